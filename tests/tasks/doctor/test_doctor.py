"""What is said of a machine and of routers, and that each wrong thing has its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.devices.errors import Unreachable
from tasks.devices.fleet import Failure
from tasks.doctor import machine, routers
from tasks.doctor.routers import Answers, judge
from tasks.doctor.symptom import State, Symptom
from tasks.rendered import Platform
from tasks.running import Running

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def by_name(found: list[Symptom]) -> dict[str, Symptom]:
    named = {one.what: one for one in found}
    assert len(named) == len(found)
    for one in found:
        assert one.remedy or one.state in (State.GOOD, State.UNKNOWN), "what is wrong has a remedy"
    return named


# --- routers

IOS = Answers(
    Platform.IOS,
    Running("ios1", Platform.IOS, (), (), revert_timer=True, free_flash=50_000_000),
    {
        "privilege": "Current privilege level is 15",
        "clock": "12:00:03.480 UTC Mon Nov 23 2026",
    },
    NOW,
)
assert IOS.running is not None

LINUX_LINES = {
    "uid": "0",
    "now": f"{NOW.timestamp():.9f}",
    **{f"program-{name}": f"/usr/bin/{name}" for name in routers._NEEDED},
    "python": "3.11",
    "free": "9000000",
}


def ios(**changed: str) -> Answers:
    return replace(IOS, texts={**IOS.texts, **changed})


def linux(**changed: str) -> Answers:
    lines = {**LINUX_LINES, **{name.replace("_", "-"): text for name, text in changed.items()}}
    text = "".join(f"{name} {value}\n" for name, value in lines.items())
    return Answers(Platform.LINUX, None, {"": text}, NOW)


@pytest.mark.parametrize("answers", [IOS, linux()], ids=["ios", "linux"])
def test_a_router_that_lacks_nothing(answers: Answers) -> None:
    assert {one.state for one in judge("r1", answers)} == {State.GOOD}


@pytest.mark.parametrize(
    ("answers", "what", "state", "said"),
    [
        (ios(privilege="Current privilege level is 1"), "privilege", State.WRONG, "level 1"),
        (ios(privilege="% Invalid input"), "privilege", State.UNKNOWN, "% Invalid input"),
        (ios(clock="*12:00:00.1 UTC Mon Nov 23 2026"), "clock", State.ADVICE, "no source"),
        (ios(clock="11:59:00.1 UTC Mon Nov 23 2026"), "clock", State.WRONG, "60 s behind"),
        (ios(clock="12:00:08.1 UTC Mon Nov  23 2026"), "clock", State.WRONG, "8 s ahead of"),
        (ios(clock="12:00:07.9 GMT Mon Nov 23 2026"), "clock", State.GOOD, "within 7 s"),
        (ios(clock="13:00:00.1 CET Mon Nov 23 2026"), "clock", State.UNKNOWN, "shown in CET"),
        (ios(clock=""), "clock", State.UNKNOWN, "no answer"),
        (replace(IOS, running=replace(IOS.running, revert_timer=False)), "way back", State.ADVICE,
         "inverse commands"),
        (replace(IOS, running=replace(IOS.running, free_flash=900_000)), "flash", State.WRONG,
         "900000 octets"),
        (replace(IOS, running=replace(IOS.running, free_flash=None)), "flash", State.ADVICE,
         "this machine alone"),
        (linux(uid="1000"), "privilege", State.WRONG, "user id 1000"),
        (linux(program_snmpd=""), "program snmpd", State.WRONG, "is not there"),
        (linux(program_hacc_agent=""), "program hacc-agent", State.WRONG, "is not there"),
        (linux(python="3.9"), "Python", State.WRONG, "3.9"),
        (linux(python=""), "Python", State.ADVICE, "no python3"),
        (linux(free="49999"), "disk", State.WRONG, "49 MB"),
        (linux(free=""), "disk", State.UNKNOWN, "does not say"),
        (linux(now=f"{NOW.timestamp() + 9:.3f}"), "clock", State.WRONG, "9 s ahead"),
        (linux(now="date: illegal"), "clock", State.UNKNOWN, "does not say"),
        (Answers(Platform.LINUX, None, {"": "garbage"}, NOW), "privilege", State.WRONG, "unknown"),
    ],
)  # fmt: skip
def test_what_a_router_lacks(answers: Answers, what: str, state: State, said: str) -> None:
    found = by_name([*judge("r1", answers)])[what]
    assert found.state is state
    assert said in found.found


def test_a_router_that_does_not_answer() -> None:
    error = Unreachable("ha1", "no route to host", "is it up?")
    (found,) = judge("ha1", Failure("ha1", error))
    assert (found.state, found.what, found.found) == (State.WRONG, "reach", "no route to host")
    assert found.remedy == "is it up?"


def test_a_question_that_any_shell_answers() -> None:
    """POSIX sh is what a router has; this machine's is asked for real."""
    done = subprocess.run(
        ["sh", "-c", routers.QUESTION], capture_output=True, text=True, check=True, timeout=60
    )
    answers = Answers(Platform.LINUX, None, {"": done.stdout}, datetime.now(UTC))
    found = by_name([*judge("here", answers)])
    assert done.stderr == ""
    assert found["clock"].state is State.GOOD
    assert (found["privilege"].state is State.GOOD) == (os.geteuid() == 0)
    assert (found["program ip"].state is State.GOOD) == bool(
        shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    )
    assert found["disk"].found.endswith("MB free at /etc")


# --- this machine


def test_modes_that_are_too_wide(tmp_path: Path) -> None:
    work = tmp_path / ".hacc"
    work.mkdir(mode=0o700)
    for name, mode in (("environment", 0o640), ("known_hosts", 0o644)):
        (work / name).touch()
        (work / name).chmod(mode)
    found = by_name([*machine._modes(work)])
    assert found["mode of .hacc"].state is State.GOOD
    assert found["mode of .hacc/known_hosts"].state is State.GOOD
    wide = found["mode of .hacc/environment"]
    assert (wide.state, wide.remedy) == (State.WRONG, f"chmod go-rwx {work}/environment")
    subprocess.run(["sh", "-c", wide.remedy], check=True, timeout=60)
    assert {one.state for one in machine._modes(work)} == {State.GOOD}, "the remedy helps"


@pytest.mark.parametrize(
    ("kept", "state"), [(True, State.GOOD), (False, State.ADVICE), (None, State.UNKNOWN)]
)
def test_a_clock(kept: bool | None, state: State) -> None:
    assert machine._clock(kept).state is state


def test_the_kernel_is_asked_for_real() -> None:
    assert machine._kernel_says_synchronised() in (True, False, None)


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ROOM", 1 << 62)
    found = machine._room(tmp_path / "not" / "yet")
    assert (found.state, found.what) == (State.WRONG, "disk")
    assert str(tmp_path) in found.found


def test_a_library_that_this_site_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    found = by_name([*machine._extras({"notify"})])
    assert found["extra notify"].state is State.WRONG
    assert found["extra notify"].remedy == "pip install 'hacc[notify]'"
    assert found["extra fleet"].state is State.ADVICE
