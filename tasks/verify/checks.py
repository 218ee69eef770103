"""The checks, one row each: what is asserted, why it matters, of whom, and who judges it.

A judge is pure: a model and observations in, results out. It passes only what it has seen. What
could not be read fails where the router should have it; where that kind of router has no such
part (the simulator speaks no OSPF) the result is `skipped`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import ownership, routing, service
from .verdict import Result
from .view import View


@dataclass(frozen=True, slots=True)
class Check:
    """One row. `converges`: what fails now may be right in some seconds, of itself."""

    id: str
    sentence: str
    why: str
    applies: str
    converges: bool
    judge: Callable[[View], Iterator[Result]]


CHECKS = (
    Check(
        "reachable",
        "Every router can be logged in to.",
        "What cannot be seen cannot be asserted.",
        "every router",
        False,
        ownership.reachable,
    ),
    Check(
        "one-owner",
        "Each virtual address has exactly one owner, the virtual Home Agent address too.",
        "With two owners mobile nodes register with either and one of them is wrong; with none,"
        " nobody registers.",
        "every standby group",
        True,
        ownership.one_owner,
    ),
    Check(
        "roles",
        "The router that the intent prefers is the active one.",
        "A cluster that runs on its standby has already used up its redundancy.",
        "every standby group",
        True,
        ownership.roles,
    ),
    Check(
        "addresses",
        "Each router has its addresses on the LANs.",
        "Everything else stands on them.",
        "every router",
        True,
        ownership.addresses,
    ),
    Check(
        "loopback",
        "Router identifiers, and on Home Agents the virtual address, are on a loopback, as /32.",
        "A registration that the controller passes on is addressed to the virtual address.",
        "every router",
        False,
        ownership.loopback,
    ),
    Check(
        "arp",
        "Linux Home Agents do not answer ARP for the virtual Home Agent address.",
        "Linux answers for any of its addresses on any interface, unless told not to.",
        "Linux Home Agents and backups",
        False,
        ownership.arp,
    ),
    Check(
        "forwards",
        "Linux routers forward packets.",
        "A host that merely holds the addresses drops what it is sent for others, silently.",
        "Linux routers",
        False,
        ownership.forwards,
    ),
    Check(
        "services",
        "The daemons run.",
        "An address stays on the interface of a router whose VRRP daemon was killed.",
        "Linux routers",
        True,
        ownership.services,
    ),
    Check(
        "adjacencies",
        "OSPF is fully adjacent to every router of the LAN.",
        "Prefixes move with failovers, by OSPF.",
        "pairs of routers on one LAN",
        True,
        routing.adjacencies,
    ),
    Check(
        "announced",
        "The home networks and the virtual Home Agent address are announced by the active"
        " controller alone, each slice by its member alone.",
        "With a second announcer packets for mobile nodes land on a router that has no binding.",
        "every announced prefix, seen by every Linux router",
        True,
        routing.announced,
    ),
    Check(
        "forwarding",
        "Packets for a home network, a slice, and the virtual Home Agent address go the way that"
        " is announced.",
        "A static route, or another protocol, may win over what OSPF knows.",
        "every announced prefix, asked of every Linux router's kernel",
        True,
        routing.forwarding,
    ),
    Check(
        "home-agent",
        "The Home Agent serves the virtual networks of the intent, with its lifetime.",
        "What it does not serve it denies (code 129).",
        "Home Agents and backups",
        True,
        service.home_agent,
    ),
    Check(
        "bindings",
        "The mobility bindings can be read, and are not more than the limit.",
        "They are what a failover must carry over.",
        "Home Agents and backups",
        False,
        service.bindings,
    ),
    Check(
        "table",
        "The active controller knows as many bindings of each Linux member as the member itself.",
        "A registration whose binding it does not know goes to another Home Agent.",
        "the active controller",
        True,
        service.table,
    ),
    Check(
        "members",
        "The active controller hears every member: none is down, or held for coming and going.",
        "Its mobile nodes are with others, and the next failure finds one less to go to.",
        "the active controller",
        True,
        service.members,
    ),
    Check(
        "discovery",
        "Each IOS router sees the others of its LANs by CDP, on the ports of the inventory.",
        "Cabling that differs from the inventory is found before a failover needs it.",
        "IOS routers with CDP",
        True,
        service.discovery,
    ),
    Check(
        "neighbours",
        "Routers with an agent hear one another on their LANs; CDP or LLDP place the others.",
        "Requests are passed on by MAC address: who is on another segment gets none.",
        "every Linux controller, Home Agent and backup",
        True,
        service.neighbours,
    ),
    Check(
        "strangers",
        "Nobody else advertises as an agent there, and nobody at an address of the cluster.",
        "A wrong cable, a forgotten router, or somebody who wants to be one of ours.",
        "every Linux controller, Home Agent and backup",
        False,
        service.strangers,
    ),
    Check(
        "snmp",
        "SNMP answers with the intent's version and keys, and names the router.",
        "Load and health are polled; without an answer a Home Agent is unknown to the controller.",
        "every router",
        True,
        service.snmp,
    ),
)


def judge(view: View) -> list[tuple[Check, Result]]:
    """All checks over one view, in the order of the table."""
    return [(check, result) for check in CHECKS for result in check.judge(view)]
