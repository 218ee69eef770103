"""Proofs of what the Home Agents serve: associations, lifetimes, capacity, reach."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Place, Problem
from ..model import (
    Algorithm,
    DeviceModel,
    HomeAgentService,
    Peer,
    Replay,
    Role,
    SecurityAssociation,
    Subscriber,
)
from ..rendered import Platform
from .fleet import Claim, Invariant, Site, controllers, devices, rivals, services

LIFETIMES = (1, 65535)  # seconds: 16 bits, 0 asks for deregistration (RFC 5944 section 3.3)
SPIS = (256, 2**32 - 1)  # 0-255 are reserved (RFC 5944 section 3.5.1)
IOS_BINDINGS = 500_000  # what one Home Agent holds (the patent's figure, and Cisco's for 12.4XM)


def associations(device: DeviceModel) -> Iterator[tuple[str, SecurityAssociation]]:
    """Every mobility security association of a router, and with whom."""
    if (service := device.service) is None:
        return
    for realm in service.realms:
        if realm.security is not None:
            yield f"realm {realm.realm}", realm.security
    for node in service.nodes:
        if node.security is not None:
            yield f"mobile node {node.address}", node.security
    for peer in (*service.foreign_agents, *service.pair_peers):
        yield _peer(peer), peer.security


def _peer(peer: Peer) -> str:
    return f"{peer.kind.replace('-', ' ')} {peer.address}"


def spi_range(site: Site) -> Iterator[Problem]:
    told = set()
    for device in devices(site):
        for words, security in associations(device):
            if not SPIS[0] <= security.spi <= SPIS[1] and security.place not in told:
                told.add(security.place)
                yield Problem(
                    security.place, words, f"SPI {security.spi}", allowed=f"{SPIS[0]}-{SPIS[1]}",
                    hint="0-255 are reserved (RFC 5944 section 3.5.1)",
                )  # fmt: skip


def spi_unique(site: Site) -> Iterator[Problem]:
    told = set()
    for device in devices(site):
        claims = (
            Claim((words, security.spi), words, security.place)
            for words, security in associations(device)
        )
        for first, second in rivals(claims):
            if (first.place, second.place) not in told:
                told.add((first.place, second.place))
                yield Problem(
                    second.place, second.claimant, "has this SPI twice",
                    allowed="an SPI of its own for each association of one peer",
                    hint="nobody could tell which key a message is made with", also=(first.place,),
                )  # fmt: skip


def realm_once(site: Site) -> Iterator[Problem]:
    told = set()
    for device, service in services(site):
        claims = [Claim(realm.realm, realm.realm, realm.place) for realm in service.realms]
        claims += [
            Claim((realm.pool_name,), f"the pool name {realm.pool_name}", realm.place, realm.realm)
            for realm in service.realms
        ]
        for first, second in rivals(claims):
            if (first.place, second.place) not in told:
                told.add((first.place, second.place))
                yield Problem(
                    second.place, second.claimant, f"stands twice in {device.cluster}",
                    allowed="one pool for each realm", also=(first.place,),
                )  # fmt: skip


def lifetimes(site: Site) -> Iterator[Problem]:
    low, high = LIFETIMES
    for device, service in services(site):
        granted = [(f"{device.host}", service.lifetime_s, service.place)]
        granted += [(realm.realm, realm.lifetime_s, realm.place) for realm in service.realms]
        granted += [(str(node.address), node.lifetime_s, node.place) for node in service.nodes]
        for words, lifetime, place in granted:
            if not low <= lifetime <= high:
                yield Problem(
                    place, words, f"a lifetime of {lifetime} s", allowed=f"{low}-{high}",
                    hint="it has 16 bits on the wire, and 65535 means for ever",
                )  # fmt: skip


def replay(site: Site) -> Iterator[Problem]:
    for device in devices(site):
        if device.platform is not Platform.IOS or device.service is None:
            continue
        asked = [(device.service.member, device.service.replay, device.service.place)]
        asked += [(words, sa.replay, sa.place) for words, sa in associations(device)]
        for words, method, place in asked:
            if method is not Replay.TIMESTAMP:
                yield Problem(
                    place, words, f"replay protection by {method} on an IOS router",
                    allowed="timestamp: IOS has no other", also=(device.place,),
                )  # fmt: skip


def capacity(site: Site) -> Iterator[Problem]:
    for device, service in services(site):
        if device.platform is Platform.IOS and service.max_bindings > IOS_BINDINGS:
            yield Problem(
                service.place, service.member,
                f"max_bindings {service.max_bindings} on an IOS router",
                allowed=f"up to {IOS_BINDINGS}", also=(device.place,),
            )  # fmt: skip


def reply_gateway(site: Site) -> Iterator[Problem]:
    for cluster in site:
        owned = {g.address: g.port.lan for c in controllers(cluster) for g in c.groups}
        for device, service in services([cluster]):
            lans = {port.lan for port in device.ports}
            gateway = service.reply_gateway
            led = gateway is not None and owned.get(gateway) in lans
            if device.platform is Platform.IOS and not led:
                yield Problem(
                    device.place, device.host,
                    "a stock IOS Home Agent answers Foreign Agents directly, and no group of the "
                    "controllers is on a LAN of its",
                    allowed="a group of the controllers on a LAN that they share",
                    hint="its replies are sent to the controllers' group address, who pass them on",
                    also=tuple(controller.place for controller in controllers(cluster)),
                )  # fmt: skip


def snmp_reach(site: Site) -> Iterator[Problem]:
    for device in devices(site):
        snmp = device.snmp
        complete = (
            snmp.community is not None
            if snmp.version == 2
            else snmp.version == 3 and None not in (snmp.user, snmp.auth, snmp.priv)
        )
        if not complete:
            yield Problem(
                snmp.place, device.host, f"SNMP version {snmp.version} is not complete",
                allowed="version 2c with community, or version 3 with user, auth and priv",
                also=(device.place,),
            )  # fmt: skip
        if device.service is not None and not device.management:
            yield Problem(
                device.place, device.host, "has no address at which SNMP answers",
                allowed="hostname: in hosts.yaml",
            )  # fmt: skip


def authenticated(site: Site) -> Iterator[Problem]:
    """Somebody can authenticate each mobile node: the routers themselves, or the AAA server."""
    told: set[Problem] = set()
    for device, service in services(site):
        known: list[tuple[str, Subscriber]] = [
            (f"realm {realm.realm}", realm) for realm in service.realms
        ]
        known += [(f"mobile node {node.address}", node) for node in service.nodes]
        found = [
            Problem(nodes.place, words, message, allowed=allowed, also=also)
            for words, nodes in known
            if nodes.told is None
            for message, allowed, also in _unauthenticated(device, service, nodes)
        ]
        found += [
            Problem(peer.place, _peer(peer), *_NO_SERVER)
            for peer in service.foreign_agents
            if peer.aaa is not None and device.radius is None
        ]
        yield from (problem for problem in found if problem not in told)
        told.update(found)


_NO_SERVER = ("aaa without a RADIUS server", "radius: {server: ..., secret: ...}")


def _unauthenticated(
    device: DeviceModel, service: HomeAgentService, nodes: Subscriber
) -> Iterator[tuple[str, str, tuple[Place, ...]]]:
    """What is wrong with nodes that this router leaves to the AAA server."""
    if device.radius is None:
        if nodes.aaa is not None:
            yield (*_NO_SERVER, ())
        else:
            yield "nobody can authenticate it", "security, or a radius server that knows it", ()
    elif device.platform is Platform.IOS:
        yield (
            f"its key is the RADIUS server's, and {device.host} is an IOS router",
            "security without aaa, or Linux Home Agents alone",
            (device.place,),
        )
    elif nodes.aaa is not None:
        security = nodes.security
        if security is None:
            yield (
                "aaa without the security association that the RADIUS server is to hold",
                "both, or neither where the server has them from elsewhere",
                (),
            )
        elif (security.algorithm, security.replay, security.tolerance_s) != (
            Algorithm.HMAC_MD5, service.replay, service.tolerance_s
        ):  # fmt: skip
            yield (
                "a RADIUS server hands out an SPI and a key, and nothing about their use",
                "hmac-md5, with the replay protection of home_agent",
                (security.place,),
            )


def agent_agrees(site: Site) -> Iterator[Problem]:
    """The daemon is told what the router is configured to be."""
    for cluster in site:
        # A controller answers for the members: it knows whom they know, with their keys.
        known = next((device.service for device in cluster.devices if device.service), None)
        for device in cluster.devices:
            agent = device.agent
            service = device.service or known
            wanted = device.platform is Platform.LINUX and device.role is not Role.GATEWAY
            if (agent is not None) != wanted:
                yield Problem(
                    device.place, device.host,
                    "a Linux router runs hacc-agent, an IOS router or a gateway not",
                )  # fmt: skip
            if agent is None:
                continue
            same = (
                (agent.name, device.host),
                (agent.cluster, device.cluster),
                (agent.role, device.role),
                (agent.home_agent_address, device.home_agent_address),
                ([lan.address for lan in agent.lans], [port.address for port in device.ports]),
                (
                    [realm.realm for realm in agent.realms],
                    [realm.realm for realm in service.realms] if service else [],
                ),
                (
                    [peer.address for peer in agent.foreign_agents],
                    [peer.address for peer in service.foreign_agents] if service else [],
                ),
            )
            for told, meant in same:
                if told != meant:
                    yield Problem(
                        device.place, device.host,
                        f"hacc-agent would be told {told!s} where the router has {meant!s}",
                    )  # fmt: skip


SERVICE = (
    Invariant("spi-range", "Every SPI is 256 or above.",
              "0-255 are reserved (RFC 5944 section 3.5.1)", spi_range),
    Invariant("spi-unique", "An SPI names one association of a peer.",
              "nobody could tell which key a message is made with", spi_unique),
    Invariant("realm-once", "A realm stands once in a cluster, with a pool name of its own.",
              "a registration would have two pools", realm_once),
    Invariant("lifetimes", "Every lifetime is 1 to 65535 seconds.",
              "it has 16 bits on the wire, and 0 is a deregistration", lifetimes),
    Invariant("replay", "IOS Home Agents protect against replay by timestamps.",
              "ip mobile secure knows no other method", replay),
    Invariant("capacity", "An IOS Home Agent holds at most 500,000 bindings.",
              "that is what one was built for", capacity),
    Invariant("reply-gateway", "An IOS Home Agent sends its replies to the controllers.",
              "it answers the Foreign Agent directly from the virtual address (hole H1)",
              reply_gateway),
    Invariant("snmp-reach", "Every Home Agent's load can be read by SNMP.",
              "a member whose load is unknown cannot be chosen well", snmp_reach),
    Invariant("authenticated", "Every mobile node can be authenticated by whoever serves it.",
              "a registration that nobody can judge is denied", authenticated),
    Invariant("agent-agrees", "hacc-agent is told what its router is configured to be.",
              "the daemon and the kernel must act on one truth", agent_agrees),
)  # fmt: skip
