"""A whole cluster of the real engines in one process, under one virtual clock.

`world` is the network, the power and the disks; `supervised` adds the link between controllers and
members, by which members are watched and bindings are moved.
"""
