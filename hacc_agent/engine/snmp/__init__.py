"""SNMP, without its messages: what is asked of whom and when, and what the answers are worth.

    objects    names of the objects that we read, serve and are notified of
    polling    which member is asked next: bounded, adaptive, gentle to the sick
    reading    from the values of an answer to figures, and which of them not to believe
    walking    a stock Home Agent's bindings, from the columns of its table
    traps      from the variables of a notification to what happened
    subagent   the other side: one end of AgentX
    member     what a member of ours serves through it, and notifies of
    view       objects in their order, as one tree; order has the bindings' part

Messages, keys and sockets are `hacc_agent.snmp`'s.
"""
