"""A router's standby groups: priorities, timers, and which group carries the virtual address."""

from __future__ import annotations

from ..errors import Fields
from ..inventory import HostFacts
from ..model import TRACKS, GroupAuthentication, RedundancyProtocol, StandbyGroup, Track
from ..platforms.ios_names import canonical
from ..rendered import Platform
from ..schema import Redundancy, Router
from .cluster import Cluster

FIRST_PRIORITY = 200
PRIORITY_STEP = 10  # smaller than the default decrement of a tracked interface: a fall reorders
PREEMPT_MARGIN_S = 5  # beyond the binding sync, where the intent doesn't say
HELLO_MS = {RedundancyProtocol.HSRP: 3000, RedundancyProtocol.VRRP: 1000}
HOLD_MS = 10_000  # HSRP's, when the intent gives no timers at all (RFC 2281 section 5.1)
SHORTEST_HOLD_MS = 50  # that IOS takes
VERSION = {RedundancyProtocol.HSRP: 2, RedundancyProtocol.VRRP: 3}


def check(cluster: Cluster, redundancy: Redundancy, subject: str, no_vrrp: str = "") -> None:
    """What this version cannot do is refused with the reason, not rendered wrongly.

    `no_vrrp`: why these routers cannot speak VRRP.
    """
    protocol, place = redundancy.protocol, redundancy.at("protocol")
    if no_vrrp and protocol is RedundancyProtocol.VRRP:
        cluster.refuse(place, f"{subject}.protocol", no_vrrp, "hsrp", "use protocol: hsrp")
    if protocol is RedundancyProtocol.VRRP and redundancy.hold_ms is not None:
        cluster.refuse(
            redundancy.at("hold_ms"),
            f"{subject}.hold_ms",
            "VRRP has no hold time: a backup waits 3 x hello_ms and a skew (RFC 5798 section 6.1)",
            hint="remove it; hello_ms decides",
        )


def standby_groups(
    cluster: Cluster,
    facts: HostFacts,
    routers: tuple[Router, ...],
    redundancy: Redundancy,
    name: str | None,
    sync_s: int,
) -> tuple[StandbyGroup, ...]:
    """A router's groups. The VHA follows the first group of the controllers, which have no name.

    `sync_s`: what a router that returns has to learn before it may take over.
    """
    priorities = {router.host: _priority(router, n) for n, router in enumerate(routers)}
    own = next(router for router in routers if router.host == facts.name)
    numbers: dict[str, int] = {}
    named = canonical if facts.platform is Platform.IOS else str
    tracks = tuple(
        Track(
            numbers.setdefault(named(track.interface), TRACKS[0] + len(numbers)),
            named(track.interface),
            track.decrement,
            track.place,
        )
        for track in own.track
    )
    if len(numbers) > len(TRACKS):
        cluster.refuse(
            own.at("track"),
            facts.name,
            f"tracks {len(numbers)} interfaces",
            f"up to {len(TRACKS)}: track objects {TRACKS[0]}-{TRACKS[-1]} are hacc's",
        )
    ports = {port.lan: port for port in cluster.ports(facts, own.at("host"))}
    hello, hold = _timers(redundancy, priorities[facts.name])
    delay = own.preempt_delay_s
    if delay is None:
        delay = redundancy.preempt_delay_s
    if delay is None:
        delay = sync_s + PREEMPT_MARGIN_S
    fields = own.fields(priority="priority", preempt_delay_s="preempt_delay_s") | redundancy.fields(
        preempt_delay_s="preempt_delay_s",
        protocol="protocol",
        version="version",
        hello_ms="hello_ms",
        hold_ms="hold_ms",
    )
    if fields.of("priority") is None:  # it is the order of the routers
        fields |= Fields((("priority", own.place),))
    found = []
    for index, group in enumerate(redundancy.groups):
        if group.lan not in ports:
            cluster.refuse(
                group.at("lan"),
                facts.name,
                f"no interface on the LAN {group.lan!r} of group {group.group}",
                "every router of a group has an interface on its LAN",
            )
            continue
        carries = name is None and index == 0
        found.append(
            StandbyGroup(
                name=f"{name or cluster.intent.cluster}-{group.lan}",
                protocol=redundancy.protocol,
                version=redundancy.version or VERSION[redundancy.protocol],
                group=group.group,
                port=ports[group.lan],
                address=group.address,
                priority=priorities[facts.name],
                preempt_delay_s=delay,
                hello_ms=hello,
                hold_ms=hold,
                authentication=_authentication(redundancy),
                tracks=tracks,
                peers=tuple(
                    sorted(
                        priorities.keys() - {facts.name},
                        key=lambda host: (-priorities[host], host),
                    )
                ),
                follows=(cluster.vha,) if carries else (),
                announces=(cluster.vha.network, *(v.prefix for v in cluster.virtual))
                if carries
                else (),
                place=group.place,
                fields=fields,
            )
        )
    return tuple(found)


def _priority(router: Router, position: int) -> int:
    return router.priority or max(1, FIRST_PRIORITY - PRIORITY_STEP * position)


def _authentication(redundancy: Redundancy) -> GroupAuthentication | None:
    found = redundancy.authentication
    if found is None:
        return None
    if found.md5 is not None:
        return GroupAuthentication("md5", found.md5, found.at("md5"))
    assert found.text is not None  # the schema wants one of the two
    return GroupAuthentication("text", found.text, found.at("text"))


def _timers(redundancy: Redundancy, priority: int) -> tuple[int, int]:
    """Hello and hold in milliseconds.

    VRRP's hold is what a backup of this priority waits: three hellos and the skew, which is
    (256 - priority) / 256 of a hello (RFC 5798 section 6.1); in version 2, of a second.
    """
    hello = redundancy.hello_ms or HELLO_MS[redundancy.protocol]
    if redundancy.protocol is RedundancyProtocol.VRRP:
        unit = 1000 if redundancy.version == 2 else hello
        return hello, 3 * hello + (256 - priority) * unit // 256
    if redundancy.hold_ms is not None:
        return hello, redundancy.hold_ms
    if redundancy.hello_ms is None:
        return hello, HOLD_MS
    return hello, max(SHORTEST_HOLD_MS, 3 * hello)
