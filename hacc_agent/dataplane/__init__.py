"""Packets of registered mobile nodes, moved by the kernel on our word.

    records ---> plane ---> maps of the kernel <--- programs that see every packet

A plane follows the records that an engine decides on, after the log and before any datagram leaves:
when a mobile node hears of its binding, its packets pass already. A failover stores a few dozen
slots; no binding is touched. What a plane holds is pinned, so that packets pass while the daemon
starts again.
"""
