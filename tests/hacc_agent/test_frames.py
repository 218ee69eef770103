"""The relay on a LAN of namespaces: frames as other machines see them, members as they answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.loopback import Agent, MobileNode, opened_config, running
from tests.segment import Namespace, Segment

pytestmark = pytest.mark.lab

VIRTUAL = IPv4Address("198.19.0.1")
CARE_OF = IPv4Address("198.18.1.200")


@dataclass(slots=True)
class Site:
    """A controller, a member, a Foreign Agent's host."""

    routers: dict[str, Namespace]
    agents: dict[str, Agent]

    def mobile_node(self, name: str = "ann@example.net") -> MobileNode:
        with self.routers["fa"].inside():
            return MobileNode(VIRTUAL, CARE_OF, 434, name)


ADDRESSES = {"hacc1": "198.18.1.11/24", "ha1": "198.18.1.21/24", "ha2": "198.18.1.22/24"}


@pytest.fixture
def segment() -> Iterator[Segment]:
    with closing(Segment()) as made:
        yield made


@pytest.fixture
def site(segment: Segment, tmp_path: Path) -> Iterator[Site]:
    routers = {host: segment.router(ADDRESSES[host], str(VIRTUAL)) for host in ("hacc1", "ha1")}
    routers["fa"] = segment.router(f"{CARE_OF}/24")
    routers["fa"].ip("route", "add", str(VIRTUAL), "via", "198.18.1.11")
    agents = {
        host: Agent(
            opened_config(host, tmp_path / host), tmp_path / host, routers[host].enter_for_good
        )
        for host in ("hacc1", "ha1")
    }
    with running(agents):
        yield Site(routers, agents)


def test_a_mobile_node_registers_through_frames(site: Site) -> None:
    with closing(site.mobile_node()) as node:
        reply = node.register()
        assert reply.code == 0
        assert reply.home_agent == VIRTUAL
