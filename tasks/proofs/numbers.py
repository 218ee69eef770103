"""Proofs of what is given out once: addresses, prefixes, hosts and names."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from ..errors import Place, Problem
from ..model import ClusterModel, MobileNode, Subscriber
from ..rendered import Platform
from .fleet import (
    Claim,
    Held,
    Invariant,
    Site,
    devices,
    groups,
    members,
    overlaps,
    rivals,
    services,
)


def addresses(site: Site) -> Iterator[Claim]:
    """Every address that somebody answers to, but for the VHA, which all routers hold."""
    for device in devices(site):
        for port in device.ports:
            what = f"the address of {device.host} on {port.name}"
            yield Claim(port.address.ip, what, port.place, (device.host, port.name))
        what = f"the router id of {device.host}"
        yield Claim(device.router_id, what, device.router_id_place, device.host)
    for _, group in groups(site):
        what = f"the virtual address of the group {group.name}"
        yield Claim(group.address, what, group.place, group.name)


def address_once(site: Site) -> Iterator[Problem]:
    for first, second in rivals(addresses(site)):
        yield Problem(
            second.place, str(first.thing),
            f"is {second.claimant}, and {first.claimant}", allowed="one owner of each address",
            also=(first.place,),
        )  # fmt: skip


def home_agent_address(site: Site) -> Iterator[Problem]:
    taken: dict[object, Claim] = {}
    for claim in addresses(site):
        taken.setdefault(claim.thing, claim)
    lans: dict[IPv4Network, Place] = {}
    for device in devices(site):
        for port in device.ports:
            lans.setdefault(port.address.network, port.place)
    earlier: dict[IPv4Address, ClusterModel] = {}
    for cluster in site:
        if not cluster.devices:
            continue
        vha, place = cluster.devices[0].home_agent_address, cluster.home_agent_place
        for device in cluster.devices:
            if device.home_agent_address != vha:
                yield Problem(
                    device.place, device.host,
                    f"has the virtual Home Agent address {device.home_agent_address}, "
                    f"and {cluster.devices[0].host} has {vha}",
                    also=(place,),
                )  # fmt: skip
            if device.holds_home_agent_address == (device.service is None):
                yield Problem(
                    device.place, device.host,
                    "a Home Agent holds the virtual address for good, a controller while active",
                    also=(place,),
                )  # fmt: skip
        if vha in taken:
            yield Problem(
                place, "home_agent.address", f"{vha} is also {taken[vha].claimant}",
                hint="every router of the cluster holds it: take an address that nobody has",
                also=(taken[vha].place,),
            )  # fmt: skip
        for network, where in lans.items():
            if vha in network:
                yield Problem(
                    place, "home_agent.address", f"{vha} lies in the LAN {network}",
                    allowed="an address outside every LAN",
                    hint="hosts of the LAN would ask for it by ARP, and every Home Agent has it",
                    also=(where,),
                )  # fmt: skip
        if vha in earlier:
            yield Problem(
                place, "home_agent.address", f"{vha} is also that of {earlier[vha].name}",
                also=(earlier[vha].home_agent_place,),
            )  # fmt: skip
        earlier.setdefault(vha, cluster)


def host_once(site: Site) -> Iterator[Problem]:
    claims = (
        Claim(device.host, f"{device.role} of {device.cluster}", device.place)
        for device in devices(site)
    )
    for first, second in rivals(claims):
        yield Problem(
            second.place, str(first.thing),
            f"is a {second.claimant} and a {first.claimant}", allowed="one part for each router",
            also=(first.place,),
        )  # fmt: skip


def member_once(site: Site) -> Iterator[Problem]:
    for cluster in site:
        names = {device.host: device for device in cluster.devices}
        for device, service in members(cluster):
            other = names.get(service.member)
            if other is not None and other.host != device.host:
                yield Problem(
                    service.place, service.member, "is the name of a pair and of a router",
                    hint="give the pair a name of its own", also=(other.place,),
                )  # fmt: skip
        claims = (
            Claim((s.member, d.role), d.host, s.place, s.place) for d, s in services([cluster])
        )
        for first, second in rivals(claims):
            yield Problem(
                second.place, first.claimant, "two members have one name", also=(first.place,)
            )


def networks(site: Site) -> Iterator[Problem]:
    held: dict[tuple[str, IPv4Network], Held] = {}
    for device, service in services(site):
        for virtual in service.virtual_networks:
            words = f"the virtual network {virtual.prefix} of {device.cluster}"
            key = (device.cluster, virtual.prefix)
            held.setdefault(key, Held(virtual.prefix, words, virtual.place))
    for device in devices(site):
        for port in device.ports:
            network = port.address.network
            held.setdefault(("", network), Held(network, f"the LAN {network}", port.place))
    for first, second in overlaps(held.values()):
        yield Problem(
            second.place, str(second.prefix),
            f"{second.holder} overlaps {first.holder}", also=(first.place,),
        )  # fmt: skip


def _pools(site: Site) -> list[Held]:
    found: dict[tuple[str, str], Held] = {}
    for device, service in services(site):
        for realm in service.realms:
            words = f"the pool {realm.pool} of {realm.realm} in {device.cluster}"
            found.setdefault((device.cluster, realm.realm), Held(realm.pool, words, realm.place))
    return list(found.values())


def pools_disjoint(site: Site) -> Iterator[Problem]:
    for first, second in overlaps(_pools(site)):
        yield Problem(
            second.place, str(second.prefix), f"{second.holder} overlaps {first.holder}",
            hint="one address would be given to two mobile nodes", also=(first.place,),
        )  # fmt: skip


def mobile_networks(site: Site) -> Iterator[Problem]:
    mobile: dict[tuple[str, str, IPv4Network], Held] = {}
    held = _pools(site)
    lans = {port.address.network: port for device in devices(site) for port in device.ports}
    held += [Held(lan, f"the LAN {lan}", port.place) for lan, port in lans.items()]
    told = set()
    for device, service in services(site):
        known: list[tuple[str, Subscriber]] = [(realm.realm, realm) for realm in service.realms]
        known += [(str(node.address), node) for node in service.nodes]
        for name, nodes in known:
            for prefix in nodes.mobile_networks:
                words = f"the mobile network {prefix} of {name}"
                mobile[device.cluster, name, prefix] = Held(prefix, words, nodes.place)
            if nodes.mobile_networks and device.platform is Platform.IOS:
                if (device.host, nodes.place) not in told:
                    yield Problem(
                        nodes.place, name, f"mobile networks, and {device.host} is an IOS router",
                        allowed="Linux Home Agents alone", also=(device.place,),
                    )  # fmt: skip
                told.add((device.host, nodes.place))
    for first, second in overlaps([*held, *mobile.values()]):
        if first in mobile.values() or second in mobile.values():
            yield Problem(
                second.place, str(second.prefix),
                f"{second.holder} overlaps {first.holder}", also=(first.place,),
            )  # fmt: skip


def inside_networks(site: Site) -> Iterator[Problem]:
    told = set()
    for device, service in services(site):
        own = [v.prefix for v in service.virtual_networks]
        own += [p.prefix for p in service.physical_networks]
        homes = [(str(r.pool), r.pool, r.network, r.place) for r in service.realms]
        homes += [
            (str(n.address), IPv4Network(n.address), n.network, n.place) for n in service.nodes
        ]
        for words, prefix, network, place in homes:
            if (place, words) in told:
                continue
            told.add((place, words))
            if network not in own:
                yield Problem(
                    place, words, f"{device.host} does not serve its home network {network}",
                    allowed=", ".join(map(str, own)),
                    hint="a physical home network needs an interface on its LAN in every member",
                    also=(device.place,),
                )  # fmt: skip
            elif not prefix.subnet_of(network):
                yield Problem(
                    place, words, f"lies outside the home network {network}", also=(service.place,)
                )


def slices_owned(site: Site) -> Iterator[Problem]:
    for cluster in site:
        realms: dict[str, tuple[IPv4Network, Place, list[Held]]] = {}
        for _, service in members(cluster):
            for realm in service.realms:
                _, _, cut = realms.setdefault(realm.realm, (realm.pool, realm.place, []))
                if realm.slice is not None:
                    cut += [
                        Held(prefix, service.member, realm.slice.place)
                        for prefix in realm.slice.prefixes
                    ]
        for name, (pool, place, cut) in realms.items():
            for first, second in overlaps(cut):
                yield Problem(
                    second.place, name,
                    f"{second.prefix} is a slice of {second.holder} and {first.prefix} one of "
                    f"{first.holder}",
                    allowed="one owner of each address", also=(first.place,),
                )  # fmt: skip
            for held in cut:
                if not held.prefix.subnet_of(pool):
                    yield Problem(
                        held.place, name,
                        f"the slice {held.prefix} of {held.holder} is not in the pool {pool}",
                        also=(place,),
                    )  # fmt: skip
            owned = list(collapse_addresses(held.prefix for held in cut))
            if not any(pool.subnet_of(prefix) for prefix in owned):
                have = sum(prefix.num_addresses for prefix in owned if prefix.subnet_of(pool))
                yield Problem(
                    place, name,
                    f"{pool.num_addresses - have} of the {pool.num_addresses} addresses of {pool} "
                    f"belong to no member",
                    hint="leave a member without `slice:`, or pin what is left",
                    also=tuple(dict.fromkeys(held.place for held in cut)),
                )  # fmt: skip


def pins(site: Site) -> Iterator[Problem]:
    """Every assignable range lies in the router's own slice."""
    for device, service in services(site):
        for realm in service.realms:
            if realm.slice is None:
                continue
            for first, last in realm.slice.ranges:
                if not any(first in p for p in realm.slice.prefixes) or not any(
                    last in p for p in realm.slice.prefixes
                ):
                    yield Problem(
                        realm.slice.place, f"{device.host}: {realm.realm}",
                        f"would assign {first} to {last}, which is not all in its slice",
                        also=(realm.place,),
                    )  # fmt: skip


def nodes_apart(site: Site) -> Iterator[Problem]:
    pools = _pools(site)
    taken = {claim.thing: claim for claim in addresses(site)}
    nodes: dict[tuple[str, Place], MobileNode] = {}
    for device, service in services(site):
        taken.setdefault(
            device.home_agent_address,
            Claim(device.home_agent_address, "the virtual Home Agent address", device.place),
        )
        for node in service.nodes:
            nodes.setdefault((device.cluster, node.place), node)
    homes = [Held(IPv4Network(n.address), f"the node {n.address}", n.place) for n in nodes.values()]
    for first, second in overlaps([*pools, *homes]):
        if second.prefix.prefixlen == 32 and second.holder.startswith("the node"):
            twice = first.holder == second.holder
            yield Problem(
                second.place, str(second.prefix.network_address),
                "is the home address of two nodes" if twice else f"lies in {first.holder}",
                allowed="a home address outside every pool",
                hint="" if twice else "a member would give it to another node: "
                "make the pool smaller, or pick an address beside it",
                also=(first.place,),
            )  # fmt: skip
    for node in nodes.values():
        if node.address in taken:
            claim = taken[node.address]
            yield Problem(
                node.place, str(node.address), f"is {claim.claimant}",
                allowed="a home address that no router has", also=(claim.place,),
            )  # fmt: skip


NUMBERS = (
    Invariant("address-once", "Every address has one owner, over all clusters.",
              "two routers with one address answer in turn", address_once),
    Invariant("home-agent-address", "The virtual Home Agent address is one for each cluster, "
              "nobody's own, and in no LAN.",
              "on a LAN every Home Agent would answer ARP for it (hole H3)", home_agent_address),
    Invariant("host-once", "A router has one part in one cluster.",
              "two clusters would undo each other's configuration", host_once),
    Invariant("member-once", "A member's name is its own in its cluster.",
              "bindings are placed by name", member_once),
    Invariant("networks-disjoint", "Home networks and LANs do not overlap, over all clusters.",
              "a packet for a mobile node would have two ways", networks),
    Invariant("pools-disjoint", "Pools do not overlap, over all clusters.",
              "one address would be given to two mobile nodes", pools_disjoint),
    Invariant("mobile-networks", "Mobile networks overlap no pool, no LAN and not one another, "
              "and Linux Home Agents serve them.",
              "a packet would be tunnelled to a router that it is not for", mobile_networks),
    Invariant("inside-networks", "Every pool and every home address lies in a home network that "
              "each Home Agent serves.",
              "a Home Agent refuses a home address of no home network (RFC 5944 section 3.8.2)",
              inside_networks),
    Invariant("slices-owned", "Every address of a pool belongs to exactly one member's slice.",
              "the owner announces the slice: without it packets go astray (hole H2)",
              slices_owned),
    Invariant("ranges-owned", "A member assigns addresses out of its own slice alone.",
              "two members would give one address to two nodes", pins),
    Invariant("nodes-apart", "A static home address is one node's, in no pool, and no router's.",
              "a pool would give it to another node", nodes_apart),
)  # fmt: skip
