"""A push to Linux routers: real sshd, FRR and snmpd in namespaces, and all that can break."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.faults import Fault, FaultKind
from lab.lab import Lab
from lab.namespaces import enter_network
from tasks import push, resume, rollback, runs
from tasks.course import Applied, State
from tasks.devices.session import Target
from tasks.errors import Exit, Place
from tasks.plan import Wave
from tasks.policy import Policy
from tasks.rendered import File, Line, Owner, Platform, Rendered
from tasks.runner import Event, Stage
from tests.lab.labs import topology
from tests.tasks.push.simulated import Orchestrator

pytestmark = pytest.mark.lab

T = TypeVar("T")

COMMUNITY = "open-s3same"
OPENED = {"env:COMMUNITY": COMMUNITY}
PATHS = ("/etc/sysctl.d/90-hacc.conf", "/etc/frr/frr.conf", "/etc/snmp/snmpd.conf")

FRR = """\
frr version 8.4.4
frr defaults traditional
hostname {name}
service integrated-vtysh-config
!
ip route 198.19.8.0/21 Null0
!
interface lo
 ip address 198.19.0.1/32
exit
!
end
"""
SYSCTL = "net.ipv4.conf.all.arp_ignore = 1\n"
SNMP = "agentaddress udp:161\nrocommunity <secret env:COMMUNITY>\n"


def file(path: str, text: str, mode: int = 0o640) -> File:
    lines = tuple(
        Line(line, Place("test.j2", n), ()) for n, line in enumerate(text.splitlines(), 1)
    )
    return File(path, mode, Owner.WHOLE, (), lines)


def rendered(name: str, *, frr: str = FRR, snmp: str = SNMP) -> Rendered:
    return Rendered(
        name,
        Platform.LINUX,
        (
            file(PATHS[0], SYSCTL, 0o644),
            file(PATHS[1], frr.format(name=name)),
            file(PATHS[2], snmp, 0o600),
        ),
    )


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(topology("push", 2), keep_host_keys=False) as lab:
        yield lab


class Site:
    """The lab's routers and an orchestrator in its management network."""

    def __init__(self, lab: Lab, work: Path) -> None:
        self.lab = lab
        self.work = work
        self.names = tuple(router.name for router in lab.topology.linux)

    def inside(self, body: Callable[[], T]) -> T:
        """Run in a thread that is in the management network; threads inherit it."""
        outcome: list[Any] = []

        def run() -> None:
            enter_network(self.lab.fabric())
            try:
                outcome.append((True, body()))
            except BaseException as error:
                outcome.append((False, error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(120)
        good, value = outcome[0]
        if not good:
            raise value
        result: T = value
        return result

    def orchestrator(
        self, wanted: Mapping[str, Rendered] | None = None, **how: Any
    ) -> Orchestrator:
        secrets = self.lab.secrets()
        targets = [
            Target(one.name, Platform.LINUX, str(one.management), "root", secrets[one.password])
            for one in self.lab.topology.linux
        ]
        wanted = wanted or {name: rendered(name) for name in self.names}
        return Orchestrator(self.work, targets, wanted, OPENED, **how)

    def sh(self, name: str, command: str) -> str:
        return self.lab.run(name, "sh", "-c", command).stdout

    def state(self, name: str) -> str:
        """Everything that a change of ours may touch, as the router tells it."""
        return self.sh(
            name,
            f"for f in {' '.join(PATHS)}; do stat -c '%n %a %U %s' $f; cat $f; done 2>&1; "
            "vtysh -c 'show running-config'; ip route; ip -br addr | sed 's/@if[0-9]* */ /'; "
            "sysctl net.ipv4.conf.all.arp_ignore; systemctl is-active frr snmpd; "
            "systemctl is-enabled frr snmpd; ls /etc/frr /etc/snmp /etc/sysctl.d",
        )

    def states(self) -> dict[str, str]:
        return {name: self.state(name) for name in self.names}


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Iterator[Site]:
    site = Site(lab, tmp_path / ".hacc")
    before = site.states()
    yield site
    for name in site.names:  # the next test starts from the same routers
        site.sh(
            name,
            "for r in /var/lib/hacc/runs/*; do grep -q applied $r/state && "
            "sh $r/apply.sh restore ${r##*/}; done",
        )
        site.sh(name, "rm -rf /var/lib/hacc/runs")
    assert site.states() == before


def said(applied: Applied) -> str:
    return "\n".join(map(str, applied.problems))


def test_a_change_is_in_force_confirmed_and_taken_back_byte_for_byte(site: Site) -> None:
    before = site.states()

    def body() -> None:
        with site.orchestrator() as hacc:
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            assert "198.19.8.0/21" in site.sh("r1", "ip route")
            assert site.sh("r1", "sysctl -n net.ipv4.conf.all.arp_ignore") == "1\n"
            asked = f"snmpget -v2c -c {COMMUNITY} -Oqv 127.0.0.1 .1.3.6.1.2.1.1.5.0"
            assert "r1" in site.sh("r1", asked)
            assert [host.files for host in hacc.plan().hosts] == [(), ()]
            back = rollback.rollback("last", hacc.fleet, work=site.work)
            assert back.exit is Exit.OK, said(back)

    site.inside(body)
    assert site.states() == before


KEEPALIVED = """\
# Managed by hacc for cluster test
vrrp_instance test {
    state BACKUP
    interface lan
    virtual_router_id 10
    priority 100
    virtual_ipaddress {
        198.18.1.200/24 dev lan
    }
}
"""


def test_a_router_that_is_no_controller_any_more_stops_being_one(site: Site) -> None:
    path = "/etc/keepalived/keepalived.conf"
    controller = Rendered("r1", Platform.LINUX, (file(path, KEEPALIVED, 0o600),))
    gone = File(path, 0o600, Owner.WHOLE, (), (), absent=True)
    other = {"r2": rendered("r2")}

    def running() -> str:
        return site.sh("r1", f"systemctl is-active keepalived; test -e {path} && echo there")

    def body() -> None:
        with site.orchestrator({"r1": controller, **other}) as hacc:
            first = hacc.apply(hacc.plan())
            assert first.exit is Exit.OK, said(first)
        assert running() == "active\nthere\n"
        with site.orchestrator({"r1": Rendered("r1", Platform.LINUX, (gone,)), **other}) as hacc:
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            assert running() == "inactive\n"
            assert hacc.plan().empty
            back = rollback.rollback(applied.run, hacc.fleet, work=site.work)
            assert back.exit is Exit.OK, said(back)
            assert running() == "active\nthere\n"
            back = rollback.rollback(first.run, hacc.fleet, work=site.work)
            assert back.exit is Exit.OK, said(back)
        assert running() == "inactive\n"

    site.inside(body)


def test_a_changed_key_of_an_snmp_user_comes_into_force_and_goes_again(site: Site) -> None:
    def wanted(key: str) -> dict[str, Rendered]:
        user = f'createUser hacc SHA "{key}" AES "{key}"\nrouser hacc priv\n'
        return {name: rendered(name, snmp=f"agentaddress udp:161\n{user}") for name in site.names}

    def answers(key: str) -> bool:
        ask = f"snmpget -v3 -u hacc -l authPriv -a SHA -A {key} -x AES -X {key} -t 1 -r 2 -Oqv"
        return "r1" in site.sh("r1", f"{ask} 127.0.0.1 .1.3.6.1.2.1.1.5.0")

    def body() -> None:
        runs = []
        for key, other in (
            ("first-key-of-it", "other-key-of-it"),
            ("other-key-of-it", "first-key-of-it"),
        ):
            with site.orchestrator(wanted(key)) as hacc:
                applied = hacc.apply(hacc.plan())
                assert applied.exit is Exit.OK, said(applied)
                runs.append(applied.run)
            assert answers(key)
            assert not answers(other)
        with site.orchestrator(wanted("first-key-of-it")) as hacc:
            for run in reversed(runs):
                back = rollback.rollback(run, hacc.fleet, work=site.work)
                assert back.exit is Exit.OK, said(back)
                assert answers("first-key-of-it") is (run == runs[1])

    site.inside(body)


def test_a_rollback_that_the_router_kept_nothing_for_comes_from_the_backup(site: Site) -> None:
    before = site.states()

    def body() -> None:
        with site.orchestrator() as hacc:
            applied = hacc.apply(hacc.plan())
            new = site.states()
            back = rollback.rollback(applied.run, hacc.fleet, work=site.work)
            assert site.states() == before
            forth = rollback.rollback(back.run, hacc.fleet, work=site.work)
            assert forth.exit is Exit.OK, said(forth)
            assert site.states() == new
            for name in site.names:
                site.sh(name, "rm -rf /var/lib/hacc/runs")
            back = rollback.rollback(applied.run, hacc.fleet, work=site.work)
            assert back.exit is Exit.OK, said(back)

    site.inside(body)
    for name in site.names:
        files = site.sh(name, f"ls {' '.join(PATHS)} 2>/dev/null; cat /etc/frr/frr.conf")
        assert files == "/etc/frr/frr.conf\n", "what was not there is gone, what was there is back"
        # The one thing that only the router had kept: the kernel's values before.
        site.sh(name, "sysctl -q -w net.ipv4.conf.all.arp_ignore=0")


FAULTS = {
    "frr.conf-with-an-unknown-line": (
        {"frr": FRR + "router nonsense\n"},
        "nothing was touched",
        State.NOT_BEGUN,
    ),
    "frr.conf-with-a-wrong-prefix": (
        {"frr": FRR.replace("!\nend\n", "ip route 198.19.8.0/33 Null0\nend\n")},
        "nothing was touched",
        State.NOT_BEGUN,
    ),
    "service-that-does-not-start": (
        {"snmp": SNMP + "agentaddress nonsense:0:0\n"},
        "snmpd",
        State.RETURNED,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_router_refuses_takes_the_whole_run_back(site: Site, fault: str) -> None:
    how, message, state = FAULTS[fault]
    before = site.states()

    def body() -> Applied:
        wanted = {"r1": rendered("r1"), "r2": rendered("r2", **how)}
        with site.orchestrator(wanted) as hacc:
            return hacc.apply(hacc.plan())

    applied = site.inside(body)
    assert applied.exit is Exit.DEVICE, said(applied)
    assert message in said(applied)
    assert applied.hosts[1].state is state
    assert site.states() == before


def test_a_change_may_start_what_others_have_started_too_often(site: Site) -> None:
    """systemd refuses a sixth start in ten seconds; a change, and its way back, begin to count."""
    before = site.states()
    often = "for n in 1 2 3 4 5; do systemctl start snmpd; systemctl stop snmpd; done"
    sixth = "systemctl start snmpd 2>&1; rm /etc/snmp/snmpd.conf"
    assert "start-limit-hit" in site.sh("r1", f"echo >/etc/snmp/snmpd.conf; {often}; {sixth}")

    def body() -> None:
        with site.orchestrator() as hacc:
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            back = rollback.rollback("last", hacc.fleet, work=site.work)
            assert back.exit is Exit.OK, said(back)

    site.inside(body)
    assert site.states() == before


# What somebody else does at the last moment, how it is found, and how it is undone.
BEHIND_OUR_BACK = {
    "a file": ("echo '# mine' >>/etc/frr/frr.conf", "/etc/frr/frr.conf", ": >/etc/frr/frr.conf"),
    "a new file": (f"echo >{PATHS[0]}", PATHS[0], f"rm {PATHS[0]}"),
    "a mode": ("chmod 600 /etc/frr/frr.conf", "the mode of a file", "chmod 640 /etc/frr/frr.conf"),
    "what FRR runs": (
        "vtysh -c 'configure terminal' -c 'ip route 203.0.113.0/24 Null0'",
        "what FRR runs",
        "vtysh -c 'configure terminal' -c 'no ip route 203.0.113.0/24 Null0'",
    ),
}


@pytest.mark.parametrize("edit", BEHIND_OUR_BACK)
def test_what_was_edited_between_the_check_and_the_push_stays(site: Site, edit: str) -> None:
    command, named, undo = BEHIND_OUR_BACK[edit]
    before = site.states()
    edited = []

    def listen(event: Event) -> None:
        if (event.host, event.stage) == ("r2", Stage.PUSH):
            site.sh("r2", command)
            edited.append(site.state("r2"))

    def body() -> Applied:
        with site.orchestrator(listener=listen) as hacc:
            return hacc.apply(hacc.plan())

    applied = site.inside(body)
    assert f"{named} has changed since the plan was made; nothing was touched" in said(applied)
    assert applied.exit is Exit.STALE
    assert [host.state for host in applied.hosts] == [State.RETURNED, State.NOT_BEGUN]
    assert site.state("r1") == before["r1"]
    assert edited == [site.state("r2")]
    assert edited != [before["r2"]]
    site.sh("r2", undo)


def test_a_failed_verification_and_an_interruption_leave_the_old_state(site: Site) -> None:
    before = site.states()

    def interrupt(event: Event) -> None:
        if (event.host, event.stage) == ("r1", Stage.APPLIED):
            hacc.fleet.stop.request("Ctrl-C")

    with site.orchestrator(listener=interrupt) as hacc:
        applied = site.inside(lambda: hacc.apply(hacc.plan()))
    assert applied.exit is Exit.INTERRUPTED
    assert [host.state for host in applied.hosts] == [State.RETURNED, State.NOT_BEGUN]
    assert site.states() == before


def test_a_confirmation_too_late_finds_that_the_router_went_back(site: Site) -> None:
    before = site.states()

    def dawdle(_wave: Wave) -> list[Any]:
        wait_until(lambda: "restored" in site.sh("r1", "cat /var/lib/hacc/runs/*/state"))
        return []

    def body() -> Applied:
        with site.orchestrator() as hacc:
            return hacc.apply(hacc.plan(), verify=dawdle, policy=Policy(confirm_within_s=2))

    applied = site.inside(body)
    assert applied.exit is Exit.DEVICE
    assert "gone back by itself: no confirmation came in time" in said(applied)
    assert site.states() == before


def wait_until(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "not within its time"
        time.sleep(0.1)


def apply_until_killed(
    site: Site, host: str | None, stage: Stage, *, confirm_within_s: int
) -> None:
    """An orchestrator of its own process, which SIGKILL ends when a router is at this stage.

    None: the first one that is.
    """
    child = os.fork()
    if child == 0:
        try:

            def die(event: Event) -> None:
                if event.stage is stage and host in (None, event.host):
                    os.kill(os.getpid(), signal.SIGKILL)

            enter_network(site.lab.fabric())
            with site.orchestrator(listener=die) as hacc:
                hacc.apply(hacc.plan(), policy=Policy(confirm_within_s=confirm_within_s))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_an_orchestrator_that_is_killed_leaves_routers_that_go_back(site: Site) -> None:
    """kill -9 between "in force" and "confirmed": the dead-man timer is the router's own."""
    before = site.states()
    apply_until_killed(site, None, Stage.APPLIED, confirm_within_s=3)
    assert site.states() != before
    wait_until(lambda: site.states() == before)


def test_a_killed_run_can_be_returned_before_the_timer_ends(site: Site) -> None:
    before = site.states()

    class Died(Exception):
        pass

    def body() -> None:
        with site.orchestrator() as hacc:
            plan = hacc.plan()

            def die(_wave: Wave) -> list[Any]:
                raise Died

            with pytest.raises(Died):
                hacc.apply(plan, verify=die, policy=Policy(confirm_within_s=300))
            with pytest.raises(runs.Unfinished, match="this run did not end"):
                hacc.apply(plan)
            with pytest.raises(runs.Unfinished):
                rollback.rollback("last", hacc.fleet, work=site.work)
            run = resume.to_resume(site.work, "last")
            back = resume.resume(run, hacc.fleet, OPENED, work=site.work, how=resume.How.RETURN)
            assert back.exit is Exit.OK, said(back)

    site.inside(body)
    assert site.states() == before


@pytest.mark.parametrize("stage", [Stage.APPLIED, Stage.CONFIRM])
def test_a_killed_run_goes_on_in_another_process(site: Site, stage: Stage) -> None:
    before = site.states()
    apply_until_killed(site, "r2", stage, confirm_within_s=300)

    def body() -> None:
        with site.orchestrator() as hacc:
            run = resume.to_resume(site.work, "last")
            assert run.story().marks["r1"] == "changed"
            applied = resume.resume(run, hacc.fleet, OPENED, work=site.work, rendered=hacc.wanted)
            assert applied.exit is Exit.OK, said(applied)
            assert {host.state for host in applied.hosts} == {State.CHANGED}
            assert hacc.plan().empty
            assert "hacc-revert" not in site.sh("r2", "systemctl list-timers --all")
            back = rollback.rollback("last", hacc.fleet, work=site.work)
            assert back.exit is Exit.OK, said(back)

    site.inside(body)
    assert site.states() == before


@pytest.mark.parametrize("stage", [Stage.APPLIED, Stage.DONE])
def test_a_router_that_loses_its_power_unconfirmed_goes_back_when_it_boots(
    site: Site, stage: Stage
) -> None:
    """The orchestrator dies with it; a timer of systemd-run would be gone."""
    before = site.states()
    apply_until_killed(site, "r1", stage, confirm_within_s=3000)
    files = f"cat {' '.join(PATHS)}"
    changed = site.sh("r1", files)
    assert site.states() != before
    site.lab.break_(Fault(FaultKind.POWER, ("r1",)))
    site.lab.mend()
    if stage is Stage.APPLIED:
        wait_until(lambda: site.states() == before)
    else:  # it was confirmed: what it was told to be it stays
        wait_until(lambda: site.sh("r1", "systemctl is-active frr") == "active\n")
        assert site.sh("r1", files) == changed
    assert site.sh("r1", "ls /etc/systemd/system | grep revert") == ""

    def body() -> None:
        with site.orchestrator() as hacc:
            run = resume.to_resume(site.work, "last")
            back = resume.resume(run, hacc.fleet, OPENED, work=site.work, how=resume.How.RETURN)
            assert back.exit is Exit.OK, said(back)

    site.inside(body)
    wait_until(lambda: site.states() == before)


def test_the_scripts_are_posix_shell() -> None:
    for name in ("apply.sh", "fetch.sh"):
        script = Path(push.__file__).parent / "devices" / name
        checked = subprocess.run(["dash", "-n", str(script)], capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, ""), name
    assert sys.platform == "linux"
