"""Proofs of the groups that own virtual addresses: who announces, who takes over, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network

from ..errors import Place, Problem
from ..inventory import nearest
from ..model import LanPort, RedundancyProtocol, Role, StandbyGroup
from .fleet import Claim, Invariant, Site, controllers, devices, groups, members, parts, rivals

HSRP, VRRP = RedundancyProtocol.HSRP, RedundancyProtocol.VRRP

# Group numbers by protocol and version: RFC 2281 section 5.1 (one octet), Cisco's version 2
# (12 bits in the virtual MAC address), RFC 3768 section 5.3.3 and RFC 5798 section 5.2.3 (VRID).
GROUP_NUMBERS = {
    (HSRP, 1): (0, 255),
    (HSRP, 2): (0, 4095),
    (VRRP, 2): (1, 255),
    (VRRP, 3): (1, 255),
}

# What `standby authentication` and VRRP can carry: HSRP either (RFC 2281 section 4.1: text), VRRP
# version 2 text in keepalived, version 3 nothing (RFC 5798 section 9 withdrew it).
AUTHENTICATIONS: dict[tuple[RedundancyProtocol, int], tuple[str, ...]] = {
    (HSRP, 1): ("md5", "text"),
    (HSRP, 2): ("md5", "text"),
    (VRRP, 2): ("text",),
    (VRRP, 3): (),
}

# The hello times that can be configured, in words and as a test of milliseconds. IOS takes 15-999
# ms or 1-254 s; VRRP version 2 has an octet of seconds (RFC 3768 section 5.3.7), version 3 has 12
# bits of centiseconds (RFC 5798 section 5.2.7).
HELLOS: dict[tuple[RedundancyProtocol, int], tuple[str, Callable[[int], bool]]] = {
    (HSRP, 1): ("15-999 ms, or whole seconds up to 254", lambda ms: _ios_time(ms, 15, 254)),
    (HSRP, 2): ("15-999 ms, or whole seconds up to 254", lambda ms: _ios_time(ms, 15, 254)),
    (VRRP, 2): ("whole seconds up to 255", lambda ms: ms % 1000 == 0 and 1000 <= ms <= 255_000),
    (VRRP, 3): (
        "whole centiseconds from 10 ms to 40950 ms",
        lambda ms: ms % 10 == 0 and 10 <= ms <= 40_950,
    ),
}
HOLD = "50-3000 ms, or whole seconds up to 255"
HOLD_HELLOS = 3  # hellos that may get lost: RFC 2281 section 5.1


def _ios_time(ms: int, low: int, seconds: int) -> bool:
    return low <= ms <= 999 or (ms % 1000 == 0 and 1000 <= ms <= seconds * 1000)


def _kind(group: StandbyGroup) -> tuple[RedundancyProtocol, int]:
    return group.protocol, group.version


def _words(group: StandbyGroup) -> str:
    return f"{group.protocol.upper()} version {group.version}"


def one_announcer(site: Site) -> Iterator[Problem]:
    for cluster in site:
        carriers: dict[str, StandbyGroup] = {}
        for device in controllers(cluster):
            own = [g for g in device.groups if device.home_agent_address in _followed(g)]
            carriers.update((group.name, group) for group in own)
            if len(own) != 1:
                yield Problem(
                    device.place,
                    device.host,
                    f"{len(own)} of its groups carry the virtual Home Agent address "
                    f"{device.home_agent_address}",
                    allowed="exactly one",
                )
        if len(carriers) > 1:
            names = sorted(carriers)
            yield Problem(
                carriers[names[0]].place,
                cluster.name,
                f"the groups {' and '.join(names)} both carry the virtual Home Agent address",
                also=tuple(carriers[name].place for name in names[1:]),
            )
        for device in cluster.devices:
            if device.service is None:
                continue
            vha = device.home_agent_address
            for group in device.groups:
                if vha in _followed(group) or any(vha in prefix for prefix in group.announces):
                    yield Problem(
                        group.place, device.host,
                        f"a Home Agent's group announces the virtual Home Agent address {vha}",
                        also=tuple(c.place for c in carriers.values()),
                    )  # fmt: skip
            for prefix in device.service.announces:
                if vha in prefix:
                    yield Problem(
                        device.service.place, device.host,
                        f"announces {prefix}, which holds the virtual Home Agent address {vha}",
                        also=tuple(c.place for c in carriers.values()),
                    )  # fmt: skip


def _followed(group: StandbyGroup) -> list[IPv4Address]:
    return [interface.ip for interface in group.follows]


def group_agrees(site: Site) -> Iterator[Problem]:
    for name, routers in parts(groups(site)).items():
        first = routers[0]
        for other in routers[1:]:
            for attribute, words in (
                ("protocol", "protocol"),
                ("version", "version"),
                ("group", "group number"),
                ("address", "virtual address"),
                ("hello_ms", "hello time"),
                ("follows", "followed addresses"),
                ("announces", "announced prefixes"),
            ):
                if getattr(first, attribute) != getattr(other, attribute):
                    yield _differ(name, words, first, other, attribute)
            # VRRP's hold is each router's own: three hellos and a skew that its priority makes.
            if first.protocol is HSRP and first.hold_ms != other.hold_ms:
                yield _differ(name, "hold time", first, other, "hold_ms")
            if first.port.address.network != other.port.address.network:
                yield Problem(
                    other.port.place, name,
                    f"a router on {other.port.address.network} and one on "
                    f"{first.port.address.network}",
                    allowed="the routers of a group share one LAN",
                    also=(first.port.place,),
                )  # fmt: skip
            ours = first.authentication and (first.authentication.method, first.authentication.key)
            theirs = other.authentication and (
                other.authentication.method,
                other.authentication.key,
            )
            if ours != theirs:
                yield Problem(
                    other.authentication.place if other.authentication else other.place, name,
                    "the routers authenticate differently: each would ignore the other",
                    also=(first.authentication.place if first.authentication else first.place,),
                )  # fmt: skip


def _differ(
    name: str, words: str, first: StandbyGroup, other: StandbyGroup, attribute: str
) -> Problem:
    values = (getattr(other, attribute), getattr(first, attribute))
    shown = " and ".join(
        ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
        for value in values
    )
    return Problem(
        other.place, name, f"the {words} differs within the group: {shown}", also=(first.place,)
    )


def priorities_differ(site: Site) -> Iterator[Problem]:
    claims = (
        Claim(
            (group.name, group.priority), device.host, device.place, device.host,
            f"{group.name}: priority {group.priority}",
        )
        for device, group in groups(site)
    )  # fmt: skip
    for first, second in rivals(claims):
        yield Problem(
            second.place, second.what, f"both {first.claimant} and {second.claimant} have it",
            allowed="a priority of its own for each router",
            hint="leave priorities out: the order decides", also=(first.place,),
        )  # fmt: skip


def preempts_after_sync(site: Site) -> Iterator[Problem]:
    for device, group in groups(site):
        if device.role is Role.GATEWAY:
            continue  # it has no bindings to learn
        if group.preempt_delay_s <= device.binding_sync_s:
            yield Problem(
                group.place, group.name,
                f"preempts after {group.preempt_delay_s} s and has the bindings after "
                f"{device.binding_sync_s} s",
                allowed=f"preempt_delay_s above binding_sync_s, {device.binding_sync_s}",
                hint="a router that takes over too early answers for nodes that it doesn't know",
            )  # fmt: skip


def address_on_lan(site: Site) -> Iterator[Problem]:
    for _, group in groups(site):
        network = group.port.address.network
        usable = network.prefixlen >= 31 or group.address not in (
            network.network_address,
            network.broadcast_address,
        )
        if group.address not in network or not usable:
            yield Problem(
                group.place, group.name,
                f"{group.address} is no host's address on the LAN {group.port.lan!r}",
                allowed=f"an address of {network}", also=(group.port.place,),
            )  # fmt: skip


def group_unique(site: Site) -> Iterator[Problem]:
    def claims() -> Iterator[Claim]:
        for _, group in groups(site):
            version = group.version if group.protocol is HSRP else 0  # one virtual MAC for VRRP
            segment = group.port.address.network
            yield Claim(
                (segment, group.protocol, version, group.group), group.name, group.place,
                group.name, f"{group.protocol.upper()} group {group.group} on {segment}",
            )  # fmt: skip

    for first, second in _once(rivals(claims())):
        yield Problem(
            second.place, second.claimant, f"{second.what} is also that of {first.claimant}",
            allowed="one group for each number on a LAN",
            hint="both would own one virtual MAC address: take another number",
            also=(first.place,),
        )  # fmt: skip


def _once(pairs: Iterator[tuple[Claim, Claim]]) -> Iterator[tuple[Claim, Claim]]:
    """Each disagreement of two names once, however many routers take part."""
    seen = set()
    for first, second in pairs:
        if (key := (first.thing, first.owner, second.owner)) not in seen:
            seen.add(key)
            yield first, second


def name_unique(site: Site) -> Iterator[Problem]:
    """Every router's part in a group of one name is about one address of one cluster."""
    claims = (
        Claim(group.name, f"{device.cluster}, LAN {group.port.lan}", group.place,
              (device.cluster, group.port.lan, device.role))
        for device, group in groups(site)
    )  # fmt: skip
    for first, second in _once(rivals(claims)):
        yield Problem(
            second.place, second.claimant,
            f"the redundancy name {first.thing} is also that of {first.claimant}",
            hint="name the pair or the cluster differently", also=(first.place,),
        )  # fmt: skip


def group_number(site: Site) -> Iterator[Problem]:
    for _, group in groups(site):
        if _kind(group) not in GROUP_NUMBERS:
            versions = sorted(v for protocol, v in GROUP_NUMBERS if protocol is group.protocol)
            yield Problem(
                group.place, group.name, f"there is no {_words(group)}",
                allowed=f"version {' or '.join(map(str, versions))}",
            )  # fmt: skip
            continue
        low, high = GROUP_NUMBERS[_kind(group)]
        if not low <= group.group <= high:
            hint = "use version: 2 for groups up to 4095" if _kind(group) == (HSRP, 1) else ""
            yield Problem(
                group.place, group.name, f"{group.group} is not a group of {_words(group)}",
                allowed=f"{low}-{high}", hint=hint,
            )  # fmt: skip


def timers(site: Site) -> Iterator[Problem]:
    for _, group in groups(site):
        words, fits = HELLOS.get(_kind(group), ("", lambda _: True))
        if not fits(group.hello_ms):
            yield Problem(
                group.place, group.name,
                f"{_words(group)} cannot say hello every {group.hello_ms} ms", allowed=words,
            )  # fmt: skip
        if group.protocol is HSRP and not (
            50 <= group.hold_ms <= 3000 or (group.hold_ms % 1000 == 0 and group.hold_ms <= 255_000)
        ):
            yield Problem(
                group.place, group.name,
                f"{_words(group)} cannot hold for {group.hold_ms} ms", allowed=HOLD,
            )  # fmt: skip
        if group.hold_ms < HOLD_HELLOS * group.hello_ms:
            yield Problem(
                group.place, group.name,
                f"hold {group.hold_ms} ms is less than {HOLD_HELLOS} hellos of {group.hello_ms} ms",
                allowed=f"at least {HOLD_HELLOS * group.hello_ms} ms",
                hint="a lost hello would be taken for a dead router",
            )  # fmt: skip


def authentication(site: Site) -> Iterator[Problem]:
    for _, group in groups(site):
        if group.authentication is None:
            continue
        allowed = AUTHENTICATIONS.get(_kind(group), ("md5", "text"))
        if group.authentication.method not in allowed:
            yield Problem(
                group.authentication.place, group.name,
                f"{_words(group)} has no {group.authentication.method} authentication",
                allowed=" or ".join(allowed) or "none: remove it",
            )  # fmt: skip


def tracking(site: Site) -> Iterator[Problem]:
    priorities = {
        name: [part.priority for part in routers] for name, routers in parts(groups(site)).items()
    }
    for device, group in groups(site):
        lower = [p for p in priorities[group.name] if p < group.priority]
        for track in group.tracks:
            subject = f"{device.host}: {group.name}"
            if track.interface not in device.known_interfaces:
                yield Problem(
                    track.place, subject, f"tracks {track.interface}, which it doesn't have",
                    hint=nearest(track.interface, device.known_interfaces), also=(device.place,),
                )  # fmt: skip
            if lower and group.priority - track.decrement >= max(lower):
                yield Problem(
                    track.place, subject,
                    f"priority {group.priority} less {track.decrement} is not below the next, "
                    f"{max(lower)}: nobody would take over",
                    allowed=f"a decrement above {group.priority - max(lower)}",
                )  # fmt: skip
            if group.priority - track.decrement < 1:
                yield Problem(
                    track.place, subject,
                    f"priority {group.priority} less {track.decrement} is below 1",
                    allowed=f"a decrement up to {group.priority - 1}",
                )  # fmt: skip


def adjacent(site: Site) -> Iterator[Problem]:
    for cluster in site:
        for device in (d for d in cluster.devices if d.role is not Role.CONTROLLER):
            own = {port.lan for port in device.ports}
            for controller in controllers(cluster):
                if own.isdisjoint(port.lan for port in controller.ports):
                    yield Problem(
                        device.place, device.host,
                        f"shares no LAN with the controller {controller.host}",
                        allowed=f"an interface on {', '.join(p.lan for p in controller.ports)}",
                        hint="a request is passed on with only its MAC addresses changed",
                        also=(controller.place,),
                    )  # fmt: skip


def lan_agrees(site: Site) -> Iterator[Problem]:
    for cluster in site:
        first: dict[str, LanPort] = {}
        for device in cluster.devices:
            for port in device.ports:
                seen = first.setdefault(port.lan, port)
                if seen.address.network != port.address.network:
                    yield Problem(
                        port.place, f"{device.host}: {port.name}",
                        f"{port.address.network} is not the LAN {port.lan!r} of the others, "
                        f"{seen.address.network}",
                        also=(seen.place,),
                    )  # fmt: skip


def pair_halves(site: Site) -> Iterator[Problem]:
    """What both halves of a pair serve is the same; each names the other on each shared LAN."""
    for cluster in site:
        for first, service in members(cluster):
            halves = [
                half
                for half in cluster.devices
                if half.service is not None
                and half.service.member == service.member
                and (half is first or half.host != first.host)
            ]
            for other in halves[1:]:
                assert other.service is not None
                for attribute in ("realms", "nodes", "announces", "foreign_agents", "weight"):
                    if getattr(service, attribute) != getattr(other.service, attribute):
                        yield Problem(
                            other.place, service.member,
                            f"its halves differ in {attribute}", also=(first.place,),
                        )  # fmt: skip
            for half in halves if len(halves) > 1 else ():
                assert half.service is not None
                wanted = {p.address.ip for d in halves if d is not half for p in d.ports}
                if {peer.address for peer in half.service.pair_peers} != wanted:
                    yield Problem(
                        half.place, half.host,
                        "does not name the other half of its pair on each of its LANs",
                        allowed=", ".join(map(str, sorted(wanted))),
                    )  # fmt: skip


def ospf_agrees(site: Site) -> Iterator[Problem]:
    first: dict[IPv4Network, tuple[tuple[object, ...], str, Place]] = {}
    for device in devices(site):
        ospf = device.ospf
        facts = (ospf.area, ospf.hello_s, ospf.dead_s, ospf.key)
        for port in device.ports:
            other, host, place = first.setdefault(
                port.address.network, (facts, device.host, ospf.place)
            )
            if other != facts:
                yield Problem(
                    ospf.place, device.host,
                    f"its OSPF area, timers or key differ from those of {host} on "
                    f"{port.address.network}: they would not become neighbours",
                    also=(place,),
                )  # fmt: skip
        if ospf.dead_s <= ospf.hello_s:
            yield Problem(
                ospf.place, device.host,
                f"OSPF dead time {ospf.dead_s} s is not above the hello time {ospf.hello_s} s",
                allowed="dead_s above hello_s, by default 4 times",
            )  # fmt: skip


REDUNDANCY = (
    Invariant("one-announcer", "Exactly one standby group of a cluster carries the virtual Home "
              "Agent address, and nobody else announces it.",
              "a second path to it would bypass the controllers (hole H3)", one_announcer),
    Invariant("group-agrees", "The routers of a group agree on protocol, version, number, address, "
              "timers, authentication and LAN.",
              "routers that differ ignore each other, and both become active", group_agrees),
    Invariant("priorities-differ", "The routers of a group have priorities of their own.",
              "otherwise the higher address decides, which nobody reads in the intent",
              priorities_differ),
    Invariant("preempt-after-sync", "A router preempts only after it has learnt the bindings.",
              "it would answer for nodes that it doesn't know", preempts_after_sync),
    Invariant("address-on-lan", "A virtual address is a host's address on its LAN.",
              "nobody on the LAN could resolve it", address_on_lan),
    Invariant("group-unique", "A group number is used once on a LAN, over all clusters.",
              "the virtual MAC address is made from it", group_unique),
    Invariant("redundancy-name", "A redundancy name stands for one group of one cluster.",
              "ip mobile home-agent redundancy finds its HSRP group by name", name_unique),
    Invariant("group-number", "A group's number and version exist in its protocol.",
              "the field on the wire has no room for others", group_number),
    Invariant("timers", "Hello and hold can be configured, and three hellos fit into a hold.",
              "a router rounds or refuses what it cannot say", timers),
    Invariant("authentication", "The protocol has the authentication that is asked for.",
              "an authentication that is not there protects nothing", authentication),
    Invariant("tracking", "A tracked interface exists, and its fall hands the group over.",
              "a decrement that changes no order is a promise that nobody keeps", tracking),
    Invariant("adjacent", "Every Home Agent and gateway shares a LAN with every controller.",
              "requests are passed on by rewriting MAC addresses (requirement P5)", adjacent),
    Invariant("lan-agrees", "Every interface on a LAN is in the LAN's prefix.",
              "a router with another mask does not reach its neighbours", lan_agrees),
    Invariant("pair-halves", "The halves of a pair serve the same, and know each other.",
              "IOS copies bindings only between halves that know each other's key", pair_halves),
    Invariant("ospf-agrees", "Routers on one LAN agree on OSPF's area, timers and key.",
              "otherwise they do not become neighbours (RFC 2328 section 10.5)", ospf_agrees),
)  # fmt: skip
