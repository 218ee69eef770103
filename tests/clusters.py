"""The clusters that tests render: the example, and the published redundancy topologies."""

from __future__ import annotations

import dataclasses
import functools
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from tasks.compile import compile_site
from tasks.errors import Place
from tasks.intent import load_site
from tasks.model import (
    ClusterModel,
    DeviceModel,
    GroupAuthentication,
    HomeAgentService,
    Snmp,
    StandbyGroup,
    Track,
)
from tasks.secrets import SecretRef

ROOT = Path(__file__).resolve().parent.parent
HERE = Place("inventory/clusters/west.yaml", 99)


@functools.cache
def west() -> ClusterModel:
    """The example cluster: VRRP controllers, Linux members, a pair of IOS routers, a backup."""
    (cluster,) = compile_site(load_site(ROOT / "inventory"))
    return cluster


@functools.cache
def cases() -> dict[str, ClusterModel]:
    """Every cluster with golden texts, by the name of its folder."""
    found = {"west": west()}
    for folder in sorted((ROOT / "tests/golden/topologies").glob("*/clusters")):
        for cluster in compile_site(load_site(folder.parent)):
            found[folder.parent.name] = cluster
    return found


def ios(host: str = "ios1") -> DeviceModel:
    return west().device(host)


def member(host: str = "ha1") -> DeviceModel:
    return west().device(host)


def controller(host: str = "hacc1") -> DeviceModel:
    return west().device(host)


def service(model: DeviceModel) -> HomeAgentService:
    assert model.service is not None
    return model.service


def with_group(model: DeviceModel, **changes: object) -> DeviceModel:
    """The router with its first standby group changed."""
    first: StandbyGroup = dataclasses.replace(model.groups[0], **changes)  # type: ignore[arg-type]  # any field
    return dataclasses.replace(model, groups=(first, *model.groups[1:]))


def with_service(model: DeviceModel, **changes: object) -> DeviceModel:
    """The router with its Home Agent service changed."""
    changed = dataclasses.replace(service(model), **changes)  # type: ignore[arg-type]  # any field
    return dataclasses.replace(model, service=changed)


def v2c(model: DeviceModel) -> DeviceModel:
    """The router with SNMP version 2c."""
    community = SecretRef("env:SNMP_COMMUNITY")
    managers = (IPv4Address("198.18.0.254"), IPv4Address("198.18.0.253"))
    return dataclasses.replace(model, snmp=Snmp(2, community, None, None, None, managers, HERE))


def text_authentication() -> GroupAuthentication:
    return GroupAuthentication("text", SecretRef("env:GROUP_TEXT"), HERE)


def track(number: int, interface: str, decrement: int = 20) -> Track:
    return Track(number, interface, decrement, HERE)


def networks(*prefixes: str) -> tuple[IPv4Network, ...]:
    return tuple(map(IPv4Network, prefixes))
