"""What a FreeRADIUS server is told; tests/hacc_agent/test_radius.py loads it and asks."""

from __future__ import annotations

import os
import re

import pytest

from tasks.errors import Exit
from tasks.radius import NoRadius, entries
from tasks.rendered import SECRET, File
from tests import clusters

GOLDEN = clusters.ROOT / "tests/golden/radius"
UPDATE = os.environ.get("HACC_UPDATE_GOLDEN") == "1"
SITE = clusters.cases()["radius"]
CLIENTS, POLICY = entries(SITE).files


@pytest.mark.parametrize("file", [CLIENTS, POLICY], ids=["clients", "policy"])
def test_golden(file: File) -> None:
    golden = GOLDEN / file.path.replace("/", "_")
    if UPDATE:
        golden.write_text(file.text, encoding="utf-8")
    assert file.text == golden.read_text(encoding="utf-8")


def test_a_cluster_without_a_server_has_no_entries() -> None:
    with pytest.raises(NoRadius, match="west: has no RADIUS server") as refused:
        entries(clusters.west())
    assert refused.value.exit is Exit.USAGE


def test_controllers_do_not_ask_and_each_address_of_a_member_may() -> None:
    assert "hacc1" not in CLIENTS.text
    for host in ("ha1", "ha2"):
        model = SITE.device(host)
        own = {str(model.router_id), model.management, str(model.ports[0].address.ip)}
        found = re.findall(rf"client hacc-site-{host}-\d {{\n    ipaddr = (\S+)", CLIENTS.text)
        assert set(found) == own
        assert len(found) == 3


def test_no_two_kinds_of_clients_share_a_secret() -> None:
    """Who knows a Home Agent's secret could read the keys in its answers."""
    refs = {found["ref"] for found in SECRET.finditer(CLIENTS.text)}
    assert refs == {"env:RADIUS_SECRET", "env:FA_AAA"}


def test_what_routers_are_told_the_server_is_not() -> None:
    assert not re.search("TOLD_KEY|RADIUS_SECRET|FA_", POLICY.text)


def test_lines_know_where_they_come_from() -> None:
    service = clusters.service(SITE.device("ha1"))
    held = service.realms[1]
    line = next(line for line in POLICY.lines if "HELD_AAA" in line.text)
    assert line.intent[0] == held.place
    assert line.template.file == "templates/radius/policy.j2"
