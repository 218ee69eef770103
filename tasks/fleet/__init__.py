"""Thousands of routers: the fleet is cut into parts, and the parts go to workers.

    parts       what a worker gets: whole clusters, with all that reaching their routers takes
    work        what a worker does with a part: render, open, reach, and one function of ours
    here        in this process, part by part
    processes   on this machine, a process a core
    beyond      on other machines, over dask distributed
    choice      which of them: from the size of the fleet, or from `--processes` and `--runner`

A part is made of whole clusters, so two routers of one standby group are always in the hands of
one worker, whose `Fleet` never changes them at once: the lock of a pair holds across workers
without anybody asking for it over a network. A part has 50 to 100 routers where clusters allow it:
small enough that a worker that is lost loses little, large enough that handing it over (2 ms with
dask) costs nothing.

What comes back is small: findings, digests, the commands of a plan; never a configuration.

A worker that dies takes its part with it. The part is given to another worker where that cannot
hurt (`Work.repeatable`: reading); a part that was being *changed* is not, for nobody knows how far
it came: it is told, with the names of its routers.
"""
