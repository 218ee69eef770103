"""Mobile IP: nothing without `router mobile`, and nothing removed from under a host line.

That a pool or virtual network in use is refused is this simulator's decision: whether a release
of IOS refuses it or drops the bindings is not documented. The refusal is the stricter teacher.
"""

from __future__ import annotations

from ..edit import Edit, Refused
from .interface import network_of


def require_router(edit: Edit) -> None:
    """Every `ip mobile` line."""
    if edit.root.get("router mobile") is None:
        raise Refused('% Mobile IP is not enabled. Configure "router mobile" first')  # [R]
    edit.put()


def remove_router(edit: Edit) -> None:
    """`no router mobile` ends Mobile IP, and takes every `ip mobile` line with it."""
    edit.drop()
    for line in edit.root.starting("ip mobile"):
        edit.root.drop(line.key)


def set_redundancy(edit: Edit) -> None:
    """`standby NAME` is how releases up to 12.1(2) wrote `redundancy NAME`."""
    if edit.root.get("router mobile") is None:
        require_router(edit)
    edit.put(edit.text.replace("home-agent standby ", "home-agent redundancy ", 1))


def set_virtual_network(edit: Edit) -> None:
    network, mask = edit.args["network"], edit.args["mask"]
    if network_of(network, mask) != network:
        raise Refused("% Inconsistent address and mask")
    require_router(edit)


def remove_virtual_network(edit: Edit) -> None:
    network = f"virtual-network {edit.args['network']} {edit.args['mask']}"
    for line in edit.root.starting("ip mobile host"):
        if f"{network} " in line.text + " ":
            raise Refused(f"% Virtual network {edit.args['network']} is in use: {line.text}")  # [R]
    edit.drop()


def set_host(edit: Edit) -> None:
    """A host stands in a virtual network or on an interface that exists, and draws from a pool."""
    words = edit.text.split()
    if "virtual-network" in words:
        at = words.index("virtual-network")
        key = f"ip mobile virtual-network {words[at + 1]} {words[at + 2]}"
        if edit.root.get(key) is None:
            raise Refused(f"% Virtual network {words[at + 1]} {words[at + 2]} does not exist")
    pool = edit.args.get("pool")
    if pool is not None and not edit.root.starting(f"ip local pool {pool}"):
        raise Refused(f"% Local pool {pool} does not exist")  # [R]
    require_router(edit)


def remove_pool(edit: Edit) -> None:
    """One range of a pool, or all of them; the last one only when no host draws from it."""
    pool = edit.args["pool"]
    lines = edit.root.starting(f"ip local pool {pool}")
    going = [line for line in lines if edit.command.only_no or line.key == edit.key]
    if going and len(going) == len(lines):
        for host in edit.root.starting("ip mobile host"):
            if host.args.get("pool") == pool:
                raise Refused(f"% Pool {pool} is in use: {host.text}")  # [R]
    if not going:
        raise Refused(f"% Pool {pool} not found")  # [R]
    for line in going:
        edit.root.drop(line.key)
