"""Foreign Agents' routers: a Linux and an IOS router that one intent makes one HSRP group."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.commands.fleet import LabDesk
from tests.lab.labs import until

pytestmark = pytest.mark.lab

HOSTS = """\
fa1:
  hostname: 198.18.0.51
  groups: [linux]
  data:
    router_id: 198.19.255.51
    interfaces:
      lan: {lan: core, address: 198.18.1.51/24}
ios5:
  hostname: 198.18.0.55
  groups: [ios]
  data:
    router_id: 198.19.255.55
    interfaces:
      GigabitEthernet0/1: {lan: core, address: 198.18.1.55/24}
"""
GATEWAYS = """\
gateways:
  - name: visited
    hosts: [fa1, ios5]
    redundancy:
      protocol: hsrp
      groups:
        - {lan: core, group: 90, address: 198.18.1.252}
      hello_ms: 500
      hold_ms: 1600
      preempt_delay_s: 1
      authentication: {md5: "env:HSRP_KEY"}
binding_sync_s"""
VIRTUAL = "198.18.1.252"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabDesk]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    desk = LabDesk(tmp_path_factory.mktemp("gateways"), f"t{os.getpid()}-gateways")
    text = desk.intent.read_text()  # one controller and one member: the rest takes its time
    begin, end = text.index("  - pair:"), text.index("binding_sync_s")
    text = text[:begin] + text[end:].replace("binding_sync_s", GATEWAYS, 1)
    text = text.replace("[hacc1, hacc2]", "[hacc1]").replace("hello_s: 2", "hello_s: 1")
    desk.intent.write_text(text)
    hosts = (desk.inventory / "hosts.yaml").read_text()
    kept = hosts[: hosts.index("hacc2:")] + hosts[hosts.index("ha1:") : hosts.index("ios1:")]
    (desk.inventory / "hosts.yaml").write_text(kept + HOSTS)
    with desk.provisioned():
        yield desk


def linux_owns(desk: LabDesk) -> bool:
    return f"{VIRTUAL}/" in desk.sh("fa1", "ip -4 addr")


def ios_state(desk: LabDesk) -> str:
    return str(desk.ios("show", "ios5", command="show standby brief")["text"])


def test_the_linux_router_is_active_and_the_ios_one_stands_by(desk: LabDesk) -> None:
    desk.hacc("plan", "--exit-code").ends(0)
    until(lambda: linux_owns(desk) and "Standby" in ios_state(desk))
    assert "198.18.1.51" in ios_state(desk)  # whom it hears as the active one


def test_agents_hear_one_another_and_take_no_gateway_for_a_stranger(desk: LabDesk) -> None:
    until(lambda: "1 heard" in desk.sh("hacc1", "hacc-agent status"))
    said = desk.hacc("verify", "--all").ends(0).out
    for host in ("ha1", "hacc1"):
        for check in ("neighbours", "strangers"):
            assert f"passed  {check:<12} {host}: agents on its LANs" in said


def test_each_takes_over_from_the_other(desk: LabDesk) -> None:
    desk.sh("fa1", "systemctl stop hacc-hsrp")
    until(lambda: not linux_owns(desk) and "Active" in ios_state(desk))
    desk.sh("fa1", "systemctl start hacc-hsrp")
    until(lambda: linux_owns(desk) and "Standby" in ios_state(desk))


def test_a_changed_timer_reaches_both_or_neither(desk: LabDesk) -> None:
    desk.edit("hold_ms: 1600", "hold_ms: 1800")
    desk.hacc("apply", "--yes", "--allow", "re-election").ends(0)
    desk.hacc("plan", "--exit-code").ends(0)
    assert '"hold_ms": 1800' in desk.sh("fa1", "hacc-agent hsrp --json")
    assert "timers msec 500 msec 1800" in desk.ios("config", "ios5")["text"]
