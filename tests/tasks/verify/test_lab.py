"""Real daemons: five Linux routers of a lab, brought into force by hand, verified, and broken.

FRR, keepalived and snmpd do what our templates say; the observations come from their own commands
and from SNMP over the lab's network. Each fault is real, and must be found with its message.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hacc_agent.routes import PROTOCOL
from lab.faults import Fault, FaultKind
from lab.lab import Lab
from lab.topology import load_topology
from tasks.model import ClusterModel
from tasks.render import render
from tasks.rendered import Platform
from tasks.secrets import resolve
from tasks.verify import Observation, Result, Status, Verdict, verify
from tasks.verify.observe import observe, with_snmp

pytestmark = pytest.mark.lab

CLONE_NEWNET = 0x40000000
OPENED = {
    "env:VERIFY_KEY": "0" * 32,
    "env:VERIFY_OSPF": "ospf-key",
    "env:VERIFY_SNMP": "snmp-pass-1",
}
PREPARE = """\
sysctl -q -p /etc/sysctl.d/90-hacc.conf
chown -R frr:frr /etc/frr
systemctl restart frr
systemctl daemon-reload
systemctl enable --quiet --now snmpd hacc-agent
[ ! -e /etc/keepalived/keepalived.conf ] || systemctl enable --quiet --now keepalived
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Inside:
    """A shell on a router, without SSH: what is read is what counts here."""

    lab: Lab
    host: str

    def run(self, command: str) -> str:
        return self.lab.run(self.host, "sh", "-c", command).stdout


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    lab: Lab
    cluster: ClusterModel
    opened: Mapping[str, str]

    def observe(self, clusters: Sequence[ClusterModel]) -> Mapping[str, Observation]:
        """All routers at once; SNMP from the lab's management network, by `opened`."""
        devices = [device for cluster in clusters for device in cluster.devices]
        by_name = {device.host: device for device in devices}
        with ThreadPoolExecutor(len(devices)) as pool:
            seen = pool.map(
                lambda device: observe(device, self.cluster, Inside(self.lab, device.host)), devices
            )
            found = dict(zip((device.host for device in devices), seen, strict=True))
        with ThreadPoolExecutor(1, initializer=self.enter) as inside:
            return inside.submit(with_snmp, by_name, found, self.opened).result()

    def enter(self) -> None:
        """This thread's sockets belong to the lab from now on."""
        network = os.open(f"/proc/{self.lab.fabric()}/ns/net", os.O_RDONLY)
        try:
            assert ctypes.CDLL(None, use_errno=True).setns(network, CLONE_NEWNET) == 0
        finally:
            os.close(network)

    def verify(self, deadline_s: float | None = None) -> Verdict:
        [verdict] = verify(
            [self.cluster],
            self.observe,
            clock=time.monotonic,
            sleep=time.sleep,
            deadline_s=deadline_s,
        )
        return verdict

    def settled(self) -> None:
        """What was broken is mended, and all is well again."""
        verdict = self.verify()
        assert verdict.settled, "\n".join(verdict.lines())

    def until(self, told: Callable[[Verdict], list[Result]], seconds: float = 20.0) -> list[Result]:
        """Look until something is told: what a fault does to a daemon takes its time."""
        end = time.monotonic() + seconds
        while True:
            verdict = self.verify(deadline_s=0)
            found = told(verdict)
            if found or time.monotonic() > end:
                assert found, "\n".join(verdict.lines())
                return found


@pytest.fixture(scope="module")
def linux_site(cluster: ClusterModel, site: Path) -> Iterator[Site]:
    topology = load_topology(site, name=f"t{os.getpid()}-verify")
    linux = tuple(d for d in cluster.devices if d.platform is Platform.LINUX)
    with Lab(dataclasses.replace(topology, routers=topology.linux), keep_host_keys=False) as lab:
        for device in linux:
            for file in render(device).present:
                text = resolve(file.text, OPENED)
                write = f'mkdir -p "$(dirname {file.path})" && cat > {file.path}'
                lab.run(device.host, "sh", "-c", write, text_in=text).check_returncode()
        with ThreadPoolExecutor(len(linux)) as pool:
            done = pool.map(lambda d: lab.run(d.host, "sh", "-ec", PREPARE), linux)
            assert [result.stderr for result in done if result.returncode] == []
        yield Site(lab, dataclasses.replace(cluster, devices=linux), OPENED)


@pytest.fixture(autouse=True)
def _mended(linux_site: Site) -> Iterator[None]:
    yield
    linux_site.lab.mend()


def failures(check: str) -> Callable[[Verdict], list[Result]]:
    return lambda verdict: [one for one in verdict.of(Status.FAILED) if one.check == check]


def test_a_cluster_that_was_just_configured_is_verified(linux_site: Site) -> None:
    verdict = linux_site.verify()
    assert verdict.settled, "\n".join(verdict.lines())
    passed = {(result.check, result.subject) for result in verdict.of(Status.PASSED)}
    assert {
        ("one-owner", "198.18.1.254 (west-core)"),
        ("one-owner", "198.19.0.1 (west-core)"),
        ("announced", "198.19.0.1/32"),
        ("announced", "198.19.64.0/18"),
        ("announced", "198.19.68.0/22"),
        ("forwarding", "198.19.72.0/22"),
        ("snmp", "SNMP version 3"),
    } <= passed
    # Of the stock member's routers, which are none of the lab's, nobody knows their LAN.
    skipped = {(result.check, result.subject) for result in verdict.of(Status.SKIPPED)}
    assert skipped <= {("neighbours", "ios1"), ("neighbours", "ios2")}


def test_split_brain_is_two_owners(linux_site: Site) -> None:
    """The standby hears nobody any more: it takes over, and so there are two."""
    linux_site.lab.break_(Fault(FaultKind.ONEWAY, ("hacc2",), direction="in"))
    found = linux_site.until(failures("one-owner"))
    assert {result.subject for result in found} == {
        "198.18.1.254 (west-core)",
        "198.19.0.1 (west-core)",
    }
    assert {result.observed for result in found} == {"owned by hacc1, hacc2"}
    assert all("do not hear each other" in result.hint for result in found)
    linux_site.lab.mend()
    linux_site.settled()


def test_a_slice_that_is_not_announced_is_missed_by_every_neighbour(linux_site: Site) -> None:
    ours = ("198.19.64.0/22", "proto", str(PROTOCOL))
    route = linux_site.lab.run("ha1", "ip", "route", "show", "exact", *ours).stdout.split()
    linux_site.lab.run("ha1", "ip", "route", "del", *route, *ours[1:]).check_returncode()
    found = linux_site.until(failures("announced"))
    assert {result.host for result in found} == {"hacc1", "hacc2", "ha2", "ha9"}
    assert {(result.subject, result.observed) for result in found} == {
        ("198.19.64.0/22", "not in OSPF's table")
    }
    assert found[0].expected == "through ha1"
    # The packets go somewhere all the same: to the active controller, as the last resort.
    astray = linux_site.until(failures("forwarding"))
    assert "198.19.64.0 goes through 198.18.1.11 on lan" in {one.observed for one in astray}
    linux_site.lab.run("ha1", "ip", "route", "add", *route, *ours[1:]).check_returncode()
    linux_site.settled()


def test_a_silent_snmpd_is_told_with_what_it_may_be(linux_site: Site) -> None:
    linux_site.lab.run("ha2", "systemctl", "stop", "snmpd").check_returncode()
    (silent,) = linux_site.until(failures("snmp"))
    (stopped,) = linux_site.until(failures("services"))
    assert (silent.host, stopped.host, stopped.subject) == ("ha2", "ha2", "snmpd")
    assert "snmpd does not run" in silent.observed
    linux_site.lab.run("ha2", "systemctl", "start", "snmpd").check_returncode()
    linux_site.settled()


def test_arp_rules_that_were_lifted_are_found_at_once(linux_site: Site) -> None:
    lift = ("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")
    linux_site.lab.run("ha9", *lift).check_returncode()
    verdict = linux_site.verify()
    assert verdict.rounds == 1
    (found,) = failures("arp")(verdict)
    assert (found.host, found.observed) == ("ha9", "arp_ignore 0, arp_announce 2")
    linux_site.lab.run("ha9", *lift[:-1], "net.ipv4.conf.all.arp_ignore=1").check_returncode()
    linux_site.settled()


def test_snmp_with_another_key_is_told_apart_from_silence(linux_site: Site) -> None:
    """One wrong value in the environment, and every router refuses: none of them is silent."""
    wrong = {**OPENED, "env:VERIFY_SNMP": "another-pass"}
    found = dataclasses.replace(linux_site, opened=wrong).until(failures("snmp"))
    assert {result.observed for result in found} == {
        "could not be read: the authentication key differs"
    }
    assert len(found) == len(linux_site.cluster.devices)
