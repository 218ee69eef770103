"""A simulator of IOS routers: stateful, strict where IOS is strict, and plain about what it is.

For a test, a router is an object and a session is a function call:

    from lab.ios import Device, Session

    router = Device.from_text("r1", "hostname r1\\ninterface GigabitEthernet0/1\\n ...")
    session = Session(router, user="admin", privilege=15)
    session.feed("configure terminal", now=0.0)
    session.feed("interface gi0/1", now=0.0).prompt          # 'r1(config-if)#'
    router.running_config()                                   # what IOS would print, canonical
    Console(router).configure("interface gi0/1", "shutdown")  # the same, shorter; answers output

For everything else there is the server (server.py, `python -m lab.ios --config FILE.json`).

The core is pure: no socket, clock, file or randomness; `now` is seconds since 1970. In this order:

    names syntax grammar what a person may type
    tree edit modes      the configuration, and one change on its way into it
    rules/ tables/       what each command does, one row a command
    cursor               a place in the configuration: takes lines
    device archive       a router, its files, its timers
    session exec show    a terminal line of it
    terminal             its bytes: echo, editing keys, pasted blocks
    hsrp network         routers that share LANs
    forwarding           what it is on its LANs
    home_agent           what it does with registrations
    server control plane the only modules with sockets

Law: `Device.load(d.running_config())` gives a router that prints the same.
"""

from __future__ import annotations

from .console import Console
from .device import Device, Rejected
from .faults import Entry, Faults, GroupAddress, Withdrawal, withdrawals
from .reply import Reply
from .session import Session

__all__ = [
    "Console",
    "Device",
    "Entry",
    "Faults",
    "GroupAddress",
    "Rejected",
    "Reply",
    "Session",
    "Withdrawal",
    "withdrawals",
]
