"""A push to IOS routers: Netmiko, unmodified, against simulated routers over real SSH.

In every test the question is the same: is every router in the old or in the new state?
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lab.ios import withdrawals
from tasks import rollback, runs
from tasks.course import Applied, State
from tasks.devices import ios
from tasks.diff import normalised
from tasks.errors import Exit, HaccError, Problem
from tasks.plan import Plan, Wave, plan_host
from tasks.rendered import Platform
from tasks.runner import Event, Stage
from tasks.running import Running
from tests.tasks.push.simulated import (
    ENABLE,
    KEY,
    OPENED,
    PASSWORD,
    Orchestrator,
    Simulator,
    orchestrator,
    plan_of,
    rendered,
    simulated,
)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / ".hacc"


@pytest.fixture(params=[True, False], ids=["archive", "no-archive"])
def pair(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """Two routers, with and without an archive: with a revert timer and with inverse commands."""
    with simulated("ios1", "ios2", archive=request.param) as simulator:
        yield simulator


@pytest.fixture
def two() -> Iterator[Simulator]:
    with simulated("ios1", "ios2") as simulator:
        yield simulator


def config(simulator: Simulator, name: str) -> str:
    return normalised(simulator.config(name), Platform.IOS)


def configs(simulator: Simulator) -> dict[str, str]:
    return {name: config(simulator, name) for name in simulator.devices}


def said(applied: Applied, host: str) -> str:
    [result] = [result for result in applied.hosts if result.host == host]
    return "\n".join(map(str, result.problems))


def states(applied: Applied) -> dict[str, State]:
    return {result.host: result.state for result in applied.hosts}


# --- the way there, and back ---------------


def test_after_an_apply_the_plan_is_empty_and_what_runs_is_saved(
    pair: Simulator, work: Path
) -> None:
    with orchestrator(pair, work) as hacc:
        applied = hacc.apply(hacc.plan())
        assert (applied.exit, states(applied)) == (
            Exit.OK,
            {"ios1": State.CHANGED, "ios2": State.CHANGED},
        ), applied.problems
        assert hacc.plan().empty
    for name in pair.devices:
        assert "standby 10 priority 110" in config(pair, name)
        assert "snmp-server community made-by-others RO" in config(pair, name)
        assert normalised(pair.startup(name) or "", Platform.IOS) == config(pair, name)
        assert withdrawals(pair.devices[name].journal) == []


def test_an_empty_plan_opens_no_run(two: Simulator, work: Path) -> None:
    with orchestrator(two, work) as hacc:
        hacc.apply(hacc.plan())
        again = hacc.apply(hacc.plan())
    assert (again.run, again.exit, set(states(again).values())) == ("", Exit.OK, {State.UNCHANGED})
    assert len(runs.runs(work)) == 1


def test_a_rollback_returns_to_the_old_configuration_and_saves_it(
    pair: Simulator, work: Path
) -> None:
    before = configs(pair)
    with orchestrator(pair, work) as hacc:
        run = hacc.apply(hacc.plan()).run
        back = rollback.rollback(run, hacc.fleet, work=work)
        assert back.exit is Exit.OK, back.problems
        assert set(states(back).values()) == {State.RETURNED}
        again = rollback.rollback(run, hacc.fleet, work=work)
        assert set(states(again).values()) == {State.UNCHANGED}
    assert configs(pair) == before
    for name in pair.devices:
        assert normalised(pair.startup(name) or "", Platform.IOS) == before[name]


def test_a_rollback_without_the_copy_in_flash_goes_by_the_difference(
    two: Simulator, work: Path
) -> None:
    before = configs(two)
    with orchestrator(two, work) as hacc:
        run = hacc.apply(hacc.plan()).run
        for device in two.devices.values():
            device.flash.files.clear()
        back = rollback.rollback(run, hacc.fleet, work=work)
    assert (back.exit, configs(two)) == (Exit.OK, before), back.problems


def test_a_rollback_can_be_rolled_back(two: Simulator, work: Path) -> None:
    with orchestrator(two, work) as hacc:
        run = hacc.apply(hacc.plan()).run
        new = configs(two)
        undone = rollback.rollback(run, hacc.fleet, work=work)
        again = rollback.rollback(undone.run, hacc.fleet, work=work)
    assert (again.exit, configs(two)) == (Exit.OK, new), again.problems


def test_a_rollback_refuses_to_lose_what_others_did_since(two: Simulator, work: Path) -> None:
    before = configs(two)
    with orchestrator(two, work) as hacc:
        run = hacc.apply(hacc.plan()).run
        two.edit("ios2", "ip route 203.0.113.0 255.255.255.0 Null0")
        edited = configs(two)
        with pytest.raises(rollback.WouldLose) as refused:
            rollback.rollback(run, hacc.fleet, work=work)
        assert refused.value.exit is Exit.STALE
        assert "ios2: running-config was changed since the run: 1 lines added" in str(refused.value)
        assert configs(two) == edited
        forced = rollback.rollback(run, hacc.fleet, work=work, force=True)
    assert (forced.exit, configs(two)) == (Exit.OK, before)


# --- what a run leaves behind ---------------


def test_the_journal_has_every_line_in_order_and_no_secret(two: Simulator, work: Path) -> None:
    with orchestrator(two, work) as hacc:
        run = runs.find(work, hacc.apply(hacc.plan()).run)
    sent = [e.text for e in run.journal_entries() if e.kind == "send" and e.host == "ios1"]
    assert sent[0] == "configure terminal revert timer 2"
    assert sent[-2:] == ["configure confirm", "write memory"]
    told = [line.replace(KEY, "<secret env:KEY>") for line in two.lines("ios1")]
    assert [line.strip() for line in sent[1:-2]] == [line.strip() for line in told]
    assert sum("<secret env:KEY>" in line for line in sent) == 1
    for name in ("plan.json", "journal.jsonl", "log.jsonl", "result.json"):
        text = (run.path / name).read_text()
        assert not any(secret in text for secret in (KEY, PASSWORD, ENABLE, "made-by-others"))


def test_a_run_is_for_its_owner_alone(two: Simulator, work: Path) -> None:
    with orchestrator(two, work) as hacc:
        run = runs.find(work, hacc.apply(hacc.plan()).run)
    for path in (run.path, *run.path.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    backup = run.path / "ios1" / "files" / "running-config"
    assert "hostname ios1" in backup.read_text()
    assert f"hacc-{run.name}.cfg" in "".join(two.flash("ios1"))
    log = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in log if entry["host"] == "ios1"] == [
        "back-up",
        "push",
        "applied",
        "confirm",
        "done",
    ]


# --- refusals before anything is sent ---------------


def refused(hacc: Orchestrator, plan: Plan, two: Simulator) -> HaccError:
    before = configs(two)
    with pytest.raises(HaccError) as error:
        hacc.apply(plan)
    assert configs(two) == before
    assert two.lines("ios1") == two.lines("ios2") == []
    return error.value


def test_a_router_edited_since_the_plan_makes_it_stale(two: Simulator, work: Path) -> None:
    with orchestrator(two, work) as hacc:
        plan = hacc.plan()
        two.edit("ios2", "ip route 203.0.113.0 255.255.255.0 Null0")
        error = refused(hacc, plan, two)
    assert error.exit is Exit.STALE
    assert str(error) == (
        "ios2: its configuration has changed since the plan was made "
        "[hint: nothing was touched; make a new plan: hacc plan]"
    )


def test_a_plan_made_just_now_is_not_read_again_and_yet_refused_by_who_has_moved(
    two: Simulator, work: Path
) -> None:
    before = configs(two)

    def fetches() -> int:
        return sum(event.stage is Stage.FETCH for event in hacc.events)

    with orchestrator(two, work) as hacc:
        read = hacc.fetch()
        plan = plan_of([plan_host(hacc.wanted[host], read[host], OPENED) for host in read])
        two.edit("ios1", "ip route 203.0.113.0 255.255.255.0 Null0")
        edited, told = configs(two), fetches()
        applied = hacc.apply(plan, read=read)
        assert fetches() == told
    assert applied.exit is Exit.STALE
    assert states(applied) == {"ios1": State.NOT_BEGUN, "ios2": State.NOT_BEGUN}
    assert before != edited == configs(two)
    assert two.lines("ios1") == two.lines("ios2") == []


def test_an_unreachable_router_is_said_once_and_nothing_is_sent(
    two: Simulator, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.devices.session.RETRY_AFTER_S", (0.01, 0.01))
    with orchestrator(two, work) as hacc:
        plan = hacc.plan()
    two.fault("ios2", refuse_connection=True)
    with orchestrator(two, work) as hacc:
        error = refused(hacc, plan, two)
        attempts = [e for e in hacc.events if e.host == "ios2" and e.stage is Stage.CONNECT]
    assert error.exit is Exit.DEVICE
    assert len(attempts) == 3
    assert len(error.problems) == 1
    assert "ios2: cannot open an SSH session to 127.0.0.1:" in str(error)
    assert "refused" in str(error)


@pytest.mark.parametrize(
    ("password", "enable", "message"),
    [
        ("wrong", ENABLE, "refused the password of 'admin'"),
        (PASSWORD, "wrong", "the enable secret was refused"),
    ],
    ids=["password", "enable"],
)
def test_a_wrong_password_is_tried_once(
    two: Simulator, work: Path, password: str, enable: str, message: str
) -> None:
    with orchestrator(two, work) as hacc:
        plan = hacc.plan()
    with orchestrator(two, work, targets=two.targets(password, enable)) as hacc:
        error = refused(hacc, plan, two)
        attempts = [e.host for e in hacc.events if e.stage is Stage.CONNECT]
    assert error.exit is Exit.DEVICE
    assert sorted(attempts) == ["ios1", "ios2"]
    assert [message in str(problem) for problem in error.problems] == [True, True]
    assert password not in str(error).replace("password", "") or password == PASSWORD


def test_a_changed_host_key_is_refused_with_both_fingerprints(two: Simulator, work: Path) -> None:
    with orchestrator(two, work) as hacc:
        plan = hacc.plan()
    two.fault("ios1", other_host_key=True)
    with orchestrator(two, work) as hacc:
        error = refused(hacc, plan, two)
        attempts = [e.host for e in hacc.events if e.stage is Stage.CONNECT]
    assert error.exit is Exit.DEVICE
    assert str(error).count("SHA256:") == 2
    assert "ssh-keygen -R" in str(error)
    assert attempts.count("ios1") == 1


def test_a_full_flash_is_refused_before_any_line(two: Simulator, work: Path) -> None:
    two.fault("ios1", full_flash=True)
    with orchestrator(two, work) as hacc:
        before = configs(two)
        applied = hacc.apply(hacc.plan())
    assert applied.exit is Exit.DEVICE
    assert "no backup could be written to flash:" in said(applied, "ios1")
    assert "nothing was sent" in said(applied, "ios1")
    assert states(applied) == {"ios1": State.NOT_BEGUN, "ios2": State.NOT_BEGUN}
    assert (configs(two), two.lines("ios1"), two.lines("ios2")) == (before, [], [])


# --- failures in the middle ---------------


def all_back(simulator: Simulator, applied: Applied, before: dict[str, str]) -> None:
    assert configs(simulator) == before
    assert State.UNKNOWN not in states(applied).values()
    for name in simulator.devices:
        saved = simulator.startup(name)
        assert saved is None or normalised(saved, Platform.IOS) == before[name]


@pytest.mark.parametrize("number", [1, 7, 12])
def test_a_rejected_line_takes_the_whole_run_back(pair: Simulator, work: Path, number: int) -> None:
    before = configs(pair)
    pair.fault("ios2", reject_line=number)
    with orchestrator(pair, work) as hacc:
        applied = hacc.apply(hacc.plan())
    assert applied.exit is Exit.DEVICE
    assert f"ios2: line {number} of 1" in said(applied, "ios2")
    assert "was refused: %" in said(applied, "ios2")
    assert states(applied) == {"ios1": State.RETURNED, "ios2": State.RETURNED}
    all_back(pair, applied, before)


@pytest.mark.parametrize("number", [1, 5, 11])
def test_a_line_that_drops_is_connected_again_and_taken_back(
    pair: Simulator, work: Path, number: int
) -> None:
    before = configs(pair)
    pair.fault("ios2", drop_after=number)

    def mend(event: Event) -> None:
        if (event.host, event.stage) == ("ios2", Stage.REVERT):
            pair.fault("ios2", drop_after=0)

    with orchestrator(pair, work, listener=mend) as hacc:
        applied = hacc.apply(hacc.plan())
    assert applied.exit is Exit.DEVICE, applied.problems
    assert "ios2: " in said(applied, "ios2")
    assert "connection" in said(applied, "ios2")
    all_back(pair, applied, before)


def test_a_router_that_never_comes_back_is_reported_as_unknown(
    two: Simulator, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ios, "RECONNECT_S", 0.1)
    monkeypatch.setattr(ios, "REVERT_MARGIN_S", -1e6)
    monkeypatch.setattr("tasks.devices.session.RETRY_AFTER_S", ())
    before = configs(two)

    def unplug(event: Event) -> None:
        if (event.host, event.stage) == ("ios2", Stage.REVERT):
            two.fault("ios2", refuse_connection=True)

    two.fault("ios2", drop_after=4)
    with orchestrator(two, work, listener=unplug) as hacc:
        applied = hacc.apply(hacc.plan())
    assert applied.exit is Exit.BROKEN
    assert states(applied) == {"ios1": State.RETURNED, "ios2": State.UNKNOWN}
    assert "nobody can say what the router holds" in said(applied, "ios2")
    assert config(two, "ios1") == before["ios1"]
    two.pass_time(121)  # and what nobody can see: the router went back by itself
    assert configs(two) == before


def test_a_failed_verification_takes_the_run_back(pair: Simulator, work: Path) -> None:
    before = configs(pair)

    def verify(wave: Wave) -> Sequence[Problem]:
        return (
            [Problem(None, "ios2", "two routers own 198.18.1.254")]
            if wave.hosts == ("ios2",)
            else []
        )

    with orchestrator(pair, work) as hacc:
        applied = hacc.apply(hacc.plan(), verify=verify)
    assert applied.exit is Exit.REVERTED
    assert said(applied, "ios2") == "ios2: two routers own 198.18.1.254"
    all_back(pair, applied, before)


def test_a_disk_that_fills_up_in_the_middle_takes_the_run_back(
    pair: Simulator, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = configs(pair)
    keep, synchronise = runs.Run.keep, os.fdatasync
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    now_full = False

    def keep_what_it_was(run: runs.Run, running: Running, moment: str) -> None:
        nonlocal now_full
        now_full = moment == "after"
        if now_full:
            raise full
        keep(run, running, moment)

    def synchronise_while_there_is_room(file: int) -> None:
        if now_full:
            raise full
        synchronise(file)

    monkeypatch.setattr(runs.Run, "keep", keep_what_it_was)
    monkeypatch.setattr(os, "fdatasync", synchronise_while_there_is_room)  # the journal's
    with orchestrator(pair, work) as hacc:
        applied = hacc.apply(hacc.plan())
    assert applied.exit is Exit.DEVICE
    assert "no space left on device" in "".join(map(str, applied.problems))
    all_back(pair, applied, before)


def test_a_router_edited_during_the_run_is_left_to_its_editor(two: Simulator, work: Path) -> None:
    before = configs(two)

    def edit(event: Event) -> None:
        if (event.host, event.stage) == ("ios1", Stage.DONE):
            two.edit("ios2", "ip route 203.0.113.0 255.255.255.0 Null0")

    with orchestrator(two, work, listener=edit) as hacc:
        applied = hacc.apply(hacc.plan())
    assert applied.exit is Exit.STALE
    assert "changed by somebody else just now" in said(applied, "ios2")
    assert states(applied) == {"ios1": State.RETURNED, "ios2": State.NOT_BEGUN}
    assert config(two, "ios1") == before["ios1"]
    assert "ip route 203.0.113.0" in config(two, "ios2")
    assert two.lines("ios2") == []


def test_a_confirmation_that_comes_too_late_finds_the_old_state(two: Simulator, work: Path) -> None:
    before = configs(two)

    def dawdle(_wave: Wave) -> Sequence[Problem]:
        two.pass_time(121)
        return []

    with orchestrator(two, work) as hacc:
        applied = hacc.apply(hacc.plan(), verify=dawdle)
    assert applied.exit is Exit.DEVICE
    assert "could not be confirmed" in said(applied, "ios1")
    all_back(two, applied, before)


@pytest.mark.parametrize("stage", [Stage.BACK_UP, Stage.PUSH, Stage.APPLIED, Stage.DONE])
def test_an_interruption_leaves_everything_as_it_was(
    pair: Simulator, work: Path, stage: Stage
) -> None:
    before = configs(pair)

    def interrupt(event: Event) -> None:
        if (event.host, event.stage) == ("ios1", stage):
            hacc.fleet.stop.request("Ctrl-C")

    with orchestrator(pair, work, listener=interrupt) as hacc:
        applied = hacc.apply(hacc.plan())
    assert applied.exit is Exit.INTERRUPTED
    assert states(applied) == {"ios1": State.RETURNED, "ios2": State.NOT_BEGUN}
    assert pair.lines("ios2") == []
    all_back(pair, applied, before)


# --- routers that are difficult ---------------


@pytest.mark.parametrize(
    "faults",
    [{"latency": 0.05}, {"slow_prompt": 0.05}, {"truncate_echo": 30}, {"login_delay": 1.0}],
    ids=lambda faults: next(iter(faults)),
)
def test_a_slow_or_narrow_terminal_changes_nothing(
    two: Simulator, work: Path, faults: dict[str, float]
) -> None:
    for name in two.devices:
        two.fault(name, **faults)
    with orchestrator(two, work) as hacc:
        applied = hacc.apply(hacc.plan())
        assert applied.exit is Exit.OK, applied.problems
        assert hacc.plan().empty


def test_a_hostname_that_changes_in_the_middle(two: Simulator, work: Path) -> None:
    text = "hostname a-name-that-is-longer-than-twenty\n"
    wanted = {name: rendered(name, text, ("hostname *",)) for name in two.devices}
    with orchestrator(two, work, wanted=wanted) as hacc:
        applied = hacc.apply(hacc.plan())
        assert applied.exit is Exit.OK, applied.problems
        back = rollback.rollback(applied.run, hacc.fleet, work=work)
    assert back.exit is Exit.OK
    assert "hostname ios1" in config(two, "ios1")


def test_a_command_that_asks_is_answered_and_the_next_line_is_not_eaten(
    two: Simulator, work: Path
) -> None:
    text = "ip route 198.19.8.0 255.255.248.0 Null0\n"
    wanted = {
        name: rendered(name, text, ("username old **", "ip route **")) for name in two.devices
    }
    with orchestrator(two, work, wanted=wanted) as hacc:
        applied = hacc.apply(hacc.plan())
        assert applied.exit is Exit.OK, applied.problems
    assert "username old" not in config(two, "ios1")
    assert "ip route 198.19.8.0" in config(two, "ios1")
