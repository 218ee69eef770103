"""A group with its interface's own MAC address, as controllers have it: who has it says so."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacc_agent.hsrp.config import HsrpConfig
from tests.hacc_agent.hsrp.test_live import VIRTUAL, Site, config, running
from tests.lab.labs import until

pytestmark = pytest.mark.lab


def with_own_mac(host: str, priority: int) -> HsrpConfig:
    told = config(host, priority)
    return dataclasses.replace(told, groups=(dataclasses.replace(told.groups[0], own_mac=True),))


@pytest.fixture
def site(root: Path) -> Iterator[Site]:
    with running(root, "ownmac", with_own_mac) as found:
        yield found


def mac(site: Site, host: str) -> str:
    (link,) = json.loads(site.sh(host, "ip -j link show dev lan"))
    return str(link["address"])


def known(site: Site) -> str:
    """Where a neighbour believes the group's address is, without asking."""
    entries = json.loads(site.sh("r3", f"ip -j neigh show to {VIRTUAL} dev lan") or "[]")
    return str(entries[0].get("lladdr", "")) if entries else ""


def has(site: Site, host: str) -> bool:
    return f"{VIRTUAL}/" in site.sh(host, "ip -4 -o addr show dev lan")


def test_neighbours_follow_the_owner_without_asking(site: Site) -> None:
    until(lambda: has(site, "r1") and site.groups("r2")["state"] == "Standby")
    site.sh("r3", f"ping -c 1 -W 5 {VIRTUAL}")
    assert known(site) == mac(site, "r1")
    site.sh("r1", "systemctl stop hacc-hsrp")
    until(lambda: known(site) == mac(site, "r2"))
    assert has(site, "r2")
    assert not has(site, "r1")
    site.sh("r1", "systemctl start hacc-hsrp")
    until(lambda: known(site) == mac(site, "r1"))
