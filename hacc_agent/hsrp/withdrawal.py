"""What is done for a speaker that is dead: its addresses go, and the other routers hear of it.

A Resign counts with them only when it comes from the router that they take for active, so one can
be sent for every group. Without it they would wait for the hold time to end.
"""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address

from ..engine.hsrp.group import HELLO_MS, HOLD_MS, Port, encode
from ..wire.hsrp import GroupMessage, Operation, State
from .config import Group, HsrpConfig
from .kernel import Kernel
from .lan import Lan
from .links import Link, Links


def withdraw(config: HsrpConfig) -> None:
    """Raises OSError when the kernel refuses."""
    with contextlib.closing(Kernel()) as kernel:
        kernel.sweep(config)
    with contextlib.closing(Links(group.interface for group in config.groups)) as links:
        links.look()
        for group in config.groups:
            link = links.found.get(group.interface)
            if link is not None and link.address is not None:
                _resign(group, link, link.address.ip)


def _resign(group: Group, link: Link, own: IPv4Address) -> None:
    assert link.address is not None
    message = GroupMessage(
        Operation.RESIGN, State.INITIAL, group.priority, group.group, group.hello_ms or HELLO_MS,
        group.hold_ms or HOLD_MS, group.address or IPv4Address(0),
    )  # fmt: skip
    payload = encode(group, message, Port(link.address, link.mac))
    with contextlib.closing(Lan(group.interface, link.number, ())) as lan:
        lan.send(payload, group.version, link.mac, own)
