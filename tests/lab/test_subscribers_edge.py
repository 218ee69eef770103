"""The router behind the LAN: what it takes from a cluster's own router."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.subscribers.edge import edge
from lab.subscribers.network import Stand

GOLDEN = Path(__file__).resolve().parents[2] / "tests/golden/render/west/ha1/etc_frr_frr.conf"
ADDRESS = IPv4Interface("198.18.1.251/24")
NETWORKS = (IPv4Network("198.19.64.0/18"),)


def test_it_speaks_ospf_as_the_clusters_routers_do() -> None:
    made = edge(GOLDEN.read_text(), "lan", "core", ADDRESS, NETWORKS)
    assert made.ospf.splitlines() == [
        "interface lan",
        " ip ospf area 0",
        " ip ospf authentication message-digest",
        " ip ospf dead-interval 4",
        " ip ospf hello-interval 1",
        " ip ospf message-digest-key 1 md5 <secret env:OSPF_KEY>",
        " ip ospf retransmit-interval 1",
        " ip ospf priority 0",
        "router ospf",
        " ospf router-id 198.18.1.251",
        " timers throttle spf 10 50 500",
        " timers lsa min-arrival 100",
        " timers throttle lsa all 200",
        " redistribute kernel",
    ]


def test_care_of_addresses_lie_behind_their_foreign_agents() -> None:
    stand = Stand(
        IPv4Address("198.18.9.1"), "core", IPv4Interface("198.18.1.252/24"),
        IPv4Address("198.18.1.254"), IPv4Address("198.19.0.1"),
    )  # fmt: skip
    lines = edge(GOLDEN.read_text(), "lan", "core", ADDRESS, NETWORKS).lines([stand])
    assert "route add 198.18.9.1/32 via 198.18.1.252" in lines


@pytest.mark.parametrize("interface", ["lo", "nowhere"])
def test_without_ospf_on_the_lan_it_is_said(interface: str) -> None:
    with pytest.raises(LabError, match="speak no OSPF on their LAN"):
        edge(GOLDEN.read_text().replace("area", "passive"), interface, "core", ADDRESS, NETWORKS)
