"""What the daemon on each Linux router is told: an `AgentConfig` from the cluster's models."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from hacc_agent import config

from .errors import Place
from .model import (
    DeviceModel,
    HomeAgentService,
    Link,
    Radius,
    Realm,
    Role,
    SecurityAssociation,
    Snmp,
)
from .rendered import Platform
from .schema import NOWHERE, ClusterIntent, Node
from .secrets import SecretRef

AUTHORITY = "/etc/hacc/authority.pem"
CERTIFICATE = "/etc/hacc/router.pem"
KEY = "/etc/hacc/router.key"

Slices = Mapping[str, Mapping[str, tuple[IPv4Network, ...]]]  # by realm, by member


def with_agents(
    devices: Sequence[DeviceModel], intent: ClusterIntent, slices: Slices
) -> tuple[DeviceModel, ...]:
    """The cluster's models, with what their agents are told where routers run the agent."""
    # A controller answers for every mobile node when the cluster is full: with a member's keys.
    served = next(device.service for device in devices if device.service is not None)
    common = _common(devices, intent, slices, served)
    return tuple(
        dataclasses.replace(
            device, agent=_told(common, device), agent_places=_places(device, intent, served)
        )
        if device.platform is Platform.LINUX and device.role is not Role.GATEWAY
        else device
        for device in devices
    )


def _common(
    devices: Sequence[DeviceModel],
    intent: ClusterIntent,
    slices: Slices,
    served: HomeAgentService,
) -> config.AgentConfig:
    """What a controller of no name and no interface would be told: what all of them know."""
    home, health = intent.home_agent, intent.health
    return config.AgentConfig(
        cluster=intent.cluster,
        name="",
        role=config.Role.CONTROLLER,
        home_agent_address=home.address,
        networks=tuple(
            network.prefix if network.prefix is not None else intent.lans[network.lan or ""].network
            for network in home.networks
        ),
        lifetime_s=home.lifetime,
        replay=home.replay.method,
        tolerance_s=home.replay.tolerance,
        binding_sync_s=intent.binding_sync_s,
        max_bindings=None,
        lans=(),
        gateways=tuple(
            config.LanAddress(group.lan, group.address)
            for group in intent.controllers.redundancy.groups
        ),
        controllers=tuple(
            config.Controller(
                other.host,
                max(group.priority for group in other.groups),
                _own_addresses(other),
            )
            for other in devices
            if other.role is Role.CONTROLLER
        ),
        members=tuple(_members(devices, slices)),
        routers=tuple(
            config.Router(other.host, _own_addresses(other))
            for other in devices
            if other.role is Role.GATEWAY
        ),
        selection=config.Selection(
            intent.selection.hysteresis,
            config.Weights(**intent.selection.weights.model_dump()),
        ),
        health=config.Health(
            heartbeat_ms=health.heartbeat_ms,
            misses=health.misses,
            snmp_interval_s=health.snmp_interval_s,
            failing_cpu=health.failing.cpu,
            failing_memory_free=health.failing.memory_free,
        ),
        snmp=_snmp(devices[0].snmp),
        realms=tuple(
            config.Realm(
                realm.realm,
                realm.pool,
                realm.network,
                realm.lifetime_s,
                security=_security(realm.told),
                mobile_networks=realm.mobile_networks,
            )
            for realm in served.realms
        ),
        nodes=tuple(
            config.Node(
                node.address,
                node.network,
                node.lifetime_s,
                security=_security(node.told),
                mobile_networks=node.mobile_networks,
            )
            for node in served.nodes
        ),
        foreign_agents=tuple(
            config.ForeignAgent(peer.address, _association(peer.security))
            for peer in served.foreign_agents
        ),
        assignment=intent.assignment,
        admission=config.Admission(**intent.admission.model_dump()),
        readings=config.Readings(**intent.readings.model_dump()),
        tunnels=config.Tunnels(**intent.tunnels.model_dump()),
        durability=intent.durability,
        cdp=intent.discovery.cdp,
        simultaneous_bindings=home.simultaneous_bindings,
    )


def _told(common: config.AgentConfig, device: DeviceModel) -> config.AgentConfig:
    """The part of one router: its interfaces, and, where it serves, its slice and its keys."""
    lans = {port.lan for port in device.ports}
    own = dataclasses.replace(
        common,
        name=device.host,
        role=config.Role(device.role),
        link=_link(device.link),
        lans=tuple(config.Lan(port.lan, port.name, port.address) for port in device.ports),
        gateways=tuple(gateway for gateway in common.gateways if gateway.lan in lans),
    )
    if (service := device.service) is None:
        return own
    return dataclasses.replace(
        own,
        max_bindings=service.max_bindings,
        snmp=None,
        radius=_radius(device.radius),
        realms=tuple(map(_realm, service.realms)),
    )


def _places(
    device: DeviceModel, intent: ClusterIntent, served: HomeAgentService
) -> tuple[tuple[str, tuple[Place, ...]], ...]:
    """The intent's lines of each table. What is left to its default comes from the router's own."""
    single: dict[str, Node | None] = {
        "selection": intent.selection,
        "health": intent.health,
        "admission": intent.admission,
        "readings": intent.readings,
        "tunnels": intent.tunnels,
        "link": intent.link,
        "radius": intent.radius,
    }
    return (
        *(
            (table, (node.place,))
            for table, node in single.items()
            if node and node.place != NOWHERE
        ),
        ("snmp", (device.snmp.place,)),
        ("lans", tuple(port.place for port in device.ports)),
        ("realms", tuple(realm.place for realm in served.realms)),
        ("nodes", tuple(node.place for node in served.nodes)),
        ("foreign_agents", tuple(peer.place for peer in served.foreign_agents)),
    )


def _members(devices: Sequence[DeviceModel], slices: Slices) -> Iterator[config.Member]:
    """Each member once; a pair is reached at its groups' addresses, which the active half owns."""
    seen = set()
    for device in devices:
        service = device.service
        if service is None or service.member in seen:
            continue
        seen.add(service.member)
        pair = bool(device.groups)
        yield config.Member(
            name=service.member,
            kind=config.MemberKind(device.platform.value),
            backup=device.role is Role.BACKUP,
            weight=service.weight,
            capacity=service.max_bindings,
            slices=tuple(
                prefix for cut in slices.values() for prefix in cut.get(service.member, ())
            ),
            addresses=tuple(
                config.LanAddress(group.port.lan, group.address) for group in device.groups
            )
            if pair
            else _own_addresses(device),
            routers=tuple(
                config.Router(half.host, _own_addresses(half))
                for half in devices
                if pair and half.service is not None and half.service.member == service.member
            ),
        )


def _own_addresses(device: DeviceModel) -> tuple[config.LanAddress, ...]:
    return tuple(config.LanAddress(port.lan, port.address.ip) for port in device.ports)


def _realm(realm: Realm) -> config.Realm:
    ranges = realm.slice.ranges if realm.slice is not None else ()
    return config.Realm(
        realm=realm.realm,
        pool=realm.pool,
        network=realm.network,
        lifetime_s=realm.lifetime_s,
        assigns=tuple(config.AddressRange(*ends) for ends in ranges),
        security=_security(realm.told),
        mobile_networks=realm.mobile_networks,
    )


def _security(security: SecurityAssociation | None) -> config.Security | None:
    return None if security is None else _association(security)


def _association(security: SecurityAssociation) -> config.Security:
    return config.Security(
        spi=security.spi,
        algorithm=security.algorithm,
        key=security.key.hex_token,
        replay=security.replay,
        tolerance_s=security.tolerance_s,
    )


def _snmp(snmp: Snmp) -> config.Snmp:
    def sealed(ref: SecretRef | None) -> str | None:
        return None if ref is None else ref.token

    return config.Snmp(
        version=snmp.version,
        community=sealed(snmp.community),
        user=snmp.user,
        auth=sealed(snmp.auth),
        priv=sealed(snmp.priv),
    )


def _radius(radius: Radius | None) -> config.Radius | None:
    if radius is None:
        return None
    return config.Radius(
        server=radius.server,
        secret=radius.secret.token,
        port=radius.port,
        timeout_ms=radius.timeout_ms,
        tries=radius.tries,
    )


def _link(link: Link | None) -> config.Link | None:
    return None if link is None else config.Link(link.port, AUTHORITY, CERTIFICATE, KEY)
