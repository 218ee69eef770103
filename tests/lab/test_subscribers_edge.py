"""The router behind the LAN: what it takes from a cluster's own router."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from lab import fabric
from lab.errors import LabError, RouterFailed
from lab.lab import Lab
from lab.subscribers.edge import correspondent, edge
from lab.subscribers.network import Stand, sockets
from tests.lab.labs import topology, until

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


# ------------------------------------------------------------------ with a router that is there

FRR = """\
interface lan
 ip ospf area 0
 ip ospf dead-interval minimal hello-multiplier 5
 ip ospf retransmit-interval 1
router ospf
 ospf router-id 198.18.1.1
 timers throttle spf 10 50 500
 timers lsa min-arrival 100
 timers throttle lsa all 200
 redistribute kernel
"""
CARE_OF = IPv4Address("198.18.9.1")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A router that announces the home network, as a controller does."""
    with Lab(topology("edge", 1), keep_host_keys=False) as made:
        for command in (
            "ip addr add 198.18.1.1/24 dev lan",
            f"ip route add blackhole {NETWORKS[0]}",
            "sh -c 'cat > /etc/frr/frr.conf'",
            "systemctl restart frr",
        ):
            done = made.run("r1", *shlex.split(command), text_in=FRR)
            assert done.returncode == 0, done.stderr
        yield made


@pytest.mark.lab
def test_routes_are_told_both_ways_and_nothing_is_left_behind(lab: Lab) -> None:
    stand = Stand(
        CARE_OF, "core", IPv4Interface("198.18.1.252/24"), IPv4Address("198.18.1.1"),
        IPv4Address("198.19.0.1"),
    )  # fmt: skip
    beyond = edge(FRR, "lan", "core", ADDRESS, NETWORKS)
    with sockets(lab, [stand], 434), correspondent(lab, beyond, [stand]) as opened:
        assert opened.datagrams.getsockname()[0] == str(ADDRESS.ip)
        until(lambda: f"{CARE_OF} " in lab.run("r1", "ip", "route", "show", "proto", "ospf").stdout)
        way = lab.run("r1", "ip", "route", "get", str(CARE_OF)).stdout
        assert "via 198.18.1.252 dev lan" in way, "to the Foreign Agent itself, not by way of us"
    guests = [one for one in fabric.devices(lab.fabric()).values() if one.guest]
    assert guests == []


@pytest.mark.lab
def test_a_cluster_that_announces_nothing_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.subscribers.edge.PATIENCE_S", 1.0)
    nowhere = edge(FRR, "lan", "core", ADDRESS, (IPv4Network("192.0.2.0/24"),))
    with (
        pytest.raises(RouterFailed, match=r"after 1 s no OSPF route leads to 192\.0\.2\.0/24"),
        correspondent(lab, nowhere, []),
    ):
        pass
