"""Controllers with HSRP, from the intent to routers that take over from one another."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.commands.fleet import LabDesk
from tests.lab.labs import until

pytestmark = pytest.mark.lab

VRRP = """\
    protocol: vrrp
    version: 3
"""
HSRP = """\
    protocol: hsrp
    version: 2
    hold_ms: 1600
    authentication: {md5: "env:HSRP_KEY"}
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabDesk]:
    """Three routers, provisioned with HSRP between the controllers too."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    desk = LabDesk(tmp_path_factory.mktemp("hsrp"), f"t{os.getpid()}-controllers")
    desk.edit(VRRP, HSRP)
    text = desk.intent.read_text()  # the pair has nothing to do with it, and takes its time
    begin, end = text.index("  - pair:"), text.index("binding_sync_s")
    desk.intent.write_text(text[:begin] + text[end:])
    with desk.provisioned():
        yield desk


def owner(desk: LabDesk) -> list[str]:
    """Who has the group's address on the LAN, and the virtual Home Agent address that follows."""
    return [
        host
        for host in ("hacc1", "hacc2")
        if {"198.18.1.254/32", "198.19.0.1/32"} <= {*desk.sh(host, "ip -4 addr").split()}
    ]


def test_after_apply_a_plan_is_empty(desk: LabDesk) -> None:
    desk.hacc("plan", "--exit-code").ends(0)
    assert owner(desk) == ["hacc1"]


def test_the_other_controller_takes_over_when_an_agent_dies(desk: LabDesk) -> None:
    until(lambda: owner(desk) == ["hacc1"])
    desk.sh("hacc1", "systemctl stop hacc-agent")
    until(lambda: owner(desk) == ["hacc2"])
    desk.sh("hacc1", "systemctl start hacc-agent")


def test_a_changed_timer_is_a_re_election_and_is_pushed(desk: LabDesk) -> None:
    desk.edit(HSRP, HSRP.replace("1600", "1800"))
    desk.hacc("apply", "--yes").ends(1)  # not without being allowed to
    desk.hacc("apply", "--yes", "--allow", "re-election").ends(0)
    assert '"hold_ms": 1800' in desk.sh("hacc1", "hacc-agent hsrp --json")


def test_back_to_vrrp_and_the_speaker_is_gone(desk: LabDesk) -> None:
    desk.edit(HSRP.replace("1600", "1800"), VRRP)
    desk.hacc("apply", "--yes", "--allow", "re-election").ends(0)
    for host in ("hacc1", "hacc2"):
        assert "hacc-hsrp" not in desk.sh(host, "ps -e -o comm=")
        assert desk.sh(host, "systemctl is-active keepalived").strip() == "active"
