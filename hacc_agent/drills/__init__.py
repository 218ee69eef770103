"""What a drill is: a timeline of faults, who notices, what it cost, and what it may cost.

    faults     the kinds of faults, in a table: whom they strike, what they need, where they play
    drill      a drill, as its file says it: steps on a timeline, expectations, a budget
    targets    "the busiest member" is a router's name when it is looked for
    measured   what a run found: outages, packets, tables before and after, events
    phases     detect, decide, switch, transfer, reconverge: from the events of a run
    verdict    measured beside the budget
    rehearsed  what many runs of a simulation found

Pure values and functions. Two stages play the same drill, virtual routers and the simulation, and
one report judges both, so what they agree on stands here; neither knows the other. Times are in
seconds of the drill, whose timeline begins at 0, and in milliseconds where a name says so.
"""
