"""A whole cluster of the real engines in one process, under one virtual clock.

world       the network, the power and the disks
supervised  the link between controllers and members: who is watched, bindings that are moved
blueprint   what a cluster is built from: the very texts that its routers are told
latencies   how long things take that no engine decides, each as it was measured
site        a cluster as its intent makes it, with the routes and packets of its subscribers
breaking    a drill's faults, in the words of the simulated world
rehearsal   a drill, played once or a thousand times
"""
