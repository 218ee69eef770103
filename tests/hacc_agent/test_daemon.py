"""Whole daemons on loopback: registered end to end, over restarts, reloads and bad days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.loopback import Loopback, cluster


@pytest.fixture
def west(tmp_path: Path) -> Iterator[Loopback]:
    with cluster(tmp_path, "hacc1", "ha1") as running:
        yield running


def test_a_mobile_node_registers_through_controller_and_member(west: Loopback) -> None:
    with closing(west.mobile_node()) as node:
        reply = node.register()
        assert reply.code == 0, west["ha1"].said
        assert int(reply.home_address)
        assert reply.home_agent == node.home_agent
