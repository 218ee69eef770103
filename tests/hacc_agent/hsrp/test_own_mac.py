"""A group with its interface's own MAC address, as controllers have it: who has it says so."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacc_agent.hsrp.config import to_toml
from lab.lab import Lab
from tests.hacc_agent.hsrp.test_live import VIRTUAL, Site, config
from tests.lab.labs import topology, until

pytestmark = pytest.mark.lab


@pytest.fixture
def site(root: Path) -> Iterator[Site]:
    unit = (root / "templates/linux/hacc-hsrp.service.j2").read_text()
    with Lab(topology("ownmac", 3), keep_host_keys=False) as lab:
        found = Site(lab)
        for router in lab.topology.linux:
            lab.run(router.name, "ip", "addr", "add", str(router.ports[0].address), "dev", "lan")
        for host, priority in (("r1", 200), ("r2", 190)):
            told = config(host, priority)
            group = dataclasses.replace(told.groups[0], own_mac=True)
            found.sh(host, "mkdir -p /etc/hacc /etc/systemd/system")
            text = to_toml(dataclasses.replace(told, groups=(group,)))
            found.sh(host, "cat >/etc/hacc/hsrp.toml", text)
            found.agent(host)
            service = unit.replace("{{ model.host }}", host).replace("{{ model.cluster }}", "test")
            found.sh(host, "cat >/etc/systemd/system/hacc-hsrp.service", service)
            started = lab.run(host, "systemctl", "enable", "--now", "hacc-hsrp")
            assert started.returncode == 0, started.stderr
        try:
            yield found
        finally:
            for agent in found.agents.values():
                found.end(agent, signal.SIGKILL)


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
