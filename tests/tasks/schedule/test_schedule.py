"""A schedule as systemd and cron read it: by systemd's own tools, where this machine has them."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import HaccError
from tasks.schedule import command
from tasks.schedule.calendar import every
from tasks.schedule.systemd import Manager, ScheduleError
from tasks.schedule.units import MARK, Schedule, cron_line, files
from tests.commands.program import Desk, Done

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd on this machine"
)


def schedule(folder: Path, *arguments: str, run_as: str = "nobody", often: str = "15m") -> Schedule:
    return Schedule(
        name="hacc-check-net",
        program=(sys.executable, "-m", "hacc_agent.orchestrator"),
        root=folder / "inventory",
        arguments=arguments,
        every=every(often),
        spread=timedelta(minutes=3),
        within=timedelta(minutes=30),
        environment=folder / ".hacc" / "environment",
        writable=(folder / ".hacc",),
        run_as=run_as,
    )


def section(text: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in text.split("\n") if "=" in line]
    return {name: value for name, _, value in pairs}


# --- when

TIMES = ["1m", "5m", "15m", "20m", "30m", "60m", "1h", "2h", "6h", "12h", "24h", "1d", "7d", "1w",
         "hourly", "daily", "weekly"]  # fmt: skip


@needs_analyze
@pytest.mark.parametrize("text", [*TIMES, "Mon..Fri 06:00", "*-*-01 04:30:00"])
def test_systemd_knows_the_time_and_keeps_the_interval(text: str) -> None:
    regular = every(text)
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=4", "--base-time=2026-11-23 00:00:00 UTC",
         regular.calendar],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "TZ": "UTC", "LANG": "C"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if regular.length is not None:
        lines = [line.split() for line in done.stdout.splitlines() if line.strip()[0:4] in
                 ("Next", "Iter")]  # fmt: skip
        clocks = [f"{words[-3]} {words[-2]}" for words in lines if words[-1] == "UTC"]
        moments = [datetime.fromisoformat(clock) for clock in clocks if ":" in clock]
        gaps = {later - sooner for sooner, later in pairwise(moments)}
        assert gaps == {regular.length}


@pytest.mark.parametrize(
    "text", ["25m", "7h", "5h", "90m", "2d", "30s", "0m", "15 minutes\nExecStart=evil", "", "€"]
)
def test_what_no_clock_keeps_is_refused(text: str) -> None:
    with pytest.raises(HaccError, match="--every"):
        every(text)


@given(st.sampled_from(TIMES), st.integers(0, 15))
def test_cron_runs_as_often_as_the_timer(text: str, minutes: int) -> None:
    regular = every(text)
    fields = regular.cron(timedelta(minutes=minutes)).split()
    runs = [
        day * 1440 + hour * 60 + minute
        for day in range(7)
        if fields[4] == "*" or int(fields[4]) == day
        for hour in expand(fields[1], 23)
        for minute in expand(fields[0], 59)
    ]
    assert fields[2:4] == ["*", "*"]
    assert regular.length is not None
    week = timedelta(weeks=1)
    assert len(runs) == week // regular.length
    gaps = {later - sooner for sooner, later in pairwise(runs)}
    assert gaps <= {regular.length // timedelta(minutes=1)}


def expand(field: str, last: int) -> list[int]:
    """A field of crontab(5), as far as we write it."""
    if field == "*":
        return [*range(last + 1)]
    span, _, step = field.partition("/")
    first, _, end = span.partition("-")
    return [*range(int(first), int(end or first) + 1, int(step or 1))]


def test_cron_has_no_word_for_every_expression() -> None:
    with pytest.raises(HaccError, match=r"cron cannot say 'Mon\.\.Fri 06:00'"):
        every("Mon..Fri 06:00").cron(timedelta())


# --- units


@needs_analyze
@pytest.mark.parametrize("run_as", ["nobody", ""], ids=["system", "user"])
def test_systemd_verifies_the_units(tmp_path: Path, run_as: str) -> None:
    Manager(user=not run_as).verify(files(schedule(tmp_path, "--notify", run_as=run_as)))


@needs_analyze
def test_what_systemd_would_not_start_is_refused(tmp_path: Path) -> None:
    wrong = replace(schedule(tmp_path), program=("/nowhere/hacc",))
    with pytest.raises(ScheduleError, match="/nowhere/hacc is not executable"):
        Manager(user=False).verify(files(wrong))


@needs_analyze
def test_systemd_calls_the_service_safe(tmp_path: Path) -> None:
    """`systemd-analyze security` counts from 0 (safe) to 10; a unit without a word has 9.6."""
    units = files(schedule(tmp_path))
    path = tmp_path / "hacc-check-net.service"
    path.write_text(units[path.name])
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=25", "--no-pager", str(path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_a_service_is_bounded_and_drift_is_no_failure_of_it(tmp_path: Path) -> None:
    units = files(schedule(tmp_path, "--only", "state"))
    service, timer = (section(units[f"hacc-check-net.{kind}"]) for kind in ("service", "timer"))
    assert service["Type"] == "oneshot"
    assert service["TimeoutStartSec"] == "1800"
    assert service["SuccessExitStatus"] == "2"
    assert service["User"] == "nobody"
    assert service["ReadWritePaths"] == f"{tmp_path}/.hacc"
    assert service["ExecStart"].endswith(f"check --inventory {tmp_path}/inventory --only state")
    assert timer["OnCalendar"] == "*:0/15"
    assert (timer["RandomizedDelaySec"], timer["Persistent"]) == ("180", "yes")
    assert all(text.startswith(MARK) for text in units.values())


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_no_argument_breaks_out_of_its_word(text: str) -> None:
    """What systemd.service(5) unquotes is what was meant; a line is never begun anew."""
    held = schedule(Path("/srv/net"), text)
    if any(ord(character) < 32 for character in text):
        with pytest.raises(HaccError, match="control characters"):
            files(held)
        return
    line = section(files(held)["hacc-check-net.service"])["ExecStart"]
    # Within double quotes a shell's reader undoes what systemd's does, but for these two.
    assert shlex.split(line.replace("$$", "$").replace("%%", "%"))[-1] == text


def test_cron_gives_each_machine_its_minute(tmp_path: Path) -> None:
    held = schedule(tmp_path, "--notify")
    lines = {cron_line(held, f"noc{n}") for n in range(40)}
    assert {line.split()[0] for line in lines} == {f"{n}-59/15" for n in range(4)}
    assert cron_line(held, "noc1") == cron_line(held, "noc1")


def test_cron_runs_it_in_a_shell(tmp_path: Path) -> None:
    """A folder with a blank, a quote and a per cent sign; its secrets; bounded in time."""
    folder = tmp_path / "the o'net 100%"
    (folder / ".hacc").mkdir(parents=True)
    (folder / ".hacc" / "environment").write_text("KEY='of two words'\n")
    said = folder / "said"
    script = "import os, sys; open('said', 'w').write(repr((os.environ['KEY'], sys.argv[1:])))"
    held = replace(schedule(folder), program=(sys.executable, "-c", script))
    line = cron_line(held, "noc1").split(maxsplit=5)[5]
    command = line.replace("\\%", "%")  # as cron does
    subprocess.run(["sh", "-c", command], check=True, timeout=60)
    root = str(folder / "inventory")
    assert said.read_text() == repr(("of two words", ["check", "--inventory", root]))


# --- as it is typed, with a systemctl of the test's own


class Typed(Desk):
    """A user's systemd that writes down what it is told."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.config = place / "config"
        self.told = place / "told"
        tools = place / "tools"
        tools.mkdir()
        systemctl = tools / "systemctl"
        systemctl.write_text(
            '#!/bin/sh\necho "$@" >> ' + str(self.told) + "\n"
            'case "$*" in\n'
            f"  *is-enabled*|*is-active*) test -e {place}/on ;;\n"
            f"  *enable\\ --now*) test ! -e {place}/broken || {{ echo no bus >&2; exit 1; }}\n"
            f"    case $* in *disable*) rm {place}/on ;; *) : > {place}/on ;; esac ;;\n"
            "  *show*) echo ActiveState=active ;;\n"
            "esac\n"
        )
        systemctl.chmod(0o755)
        self.tools = tools

    def environment(self) -> dict[str, str]:
        known = super().environment()
        path = f"{self.tools}:{known['PATH']}"
        return {**known, "PATH": path, "XDG_CONFIG_HOME": str(self.config)}

    def schedule(self, verb: str, *words: str) -> Done:
        return self.hacc("schedule", verb, "--user", *words)

    @property
    def units(self) -> dict[str, str]:
        folder = self.config / "systemd" / "user"
        return {path.name: path.read_text() for path in folder.glob("*")}


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    place = tmp_path / "net"
    place.mkdir()
    return Typed(place)


def test_install_show_remove(typed: Typed) -> None:
    done = typed.schedule("install", "--every", "15m", "--", "--only", "state").ends(0)
    folder = typed.config / "systemd" / "user"
    assert done.out == f"{folder}/hacc-check-net.service\n{folder}/hacc-check-net.timer\n"
    assert stat.S_IMODE((typed.work).stat().st_mode) == 0o700
    held = typed.units
    assert "--only state" in held["hacc-check-net.service"]
    assert "OnCalendar=*:0/15" in held["hacc-check-net.timer"]
    assert typed.told.read_text().splitlines()[-2:] == [
        "--user daemon-reload", "--user enable --now hacc-check-net.timer"
    ]  # fmt: skip
    typed.told.unlink()
    again = typed.schedule("install", "--every", "15m", "--", "--only", "state").ends(0)
    assert again.out == "nothing to do: it is installed and runs\n"
    assert typed.units == held
    assert "enable --now" not in typed.told.read_text()
    shown = typed.schedule("show").ends(0)
    assert held["hacc-check-net.timer"] in shown.out
    assert "ActiveState=active" in shown.out
    typed.schedule("remove").ends(0)
    assert typed.units == {}
    assert "nothing is installed" in typed.schedule("remove").ends(1).err
    assert "nothing is installed" in typed.schedule("show").ends(1).err


def test_a_changed_schedule_replaces_the_one_before(typed: Typed) -> None:
    typed.schedule("install", "--every", "15m").ends(0)
    typed.schedule("install", "--every", "daily", "--jitter", "0").ends(0)
    timer = section(typed.units["hacc-check-net.timer"])
    assert (timer["OnCalendar"], timer["RandomizedDelaySec"]) == ("daily", "0")
    assert "restart hacc-check-net.timer" in typed.told.read_text()


def test_a_systemd_that_refuses_leaves_what_was_there(typed: Typed) -> None:
    typed.schedule("install", "--every", "15m").ends(0)
    before = typed.units
    (typed.place / "broken").touch()
    told = typed.schedule("install", "--every", "daily").ends(1)
    assert told.err.startswith("systemctl enable: no bus\n")
    assert typed.units == before


def test_units_of_somebody_else_are_left_alone(typed: Typed) -> None:
    folder = typed.config / "systemd" / "user"
    folder.mkdir(parents=True)
    (folder / "hacc-check-net.service").write_text("[Service]\n")
    for verb in ("install", "remove"):
        assert "somebody else has made it" in typed.schedule(verb).ends(1).err
    assert typed.units == {"hacc-check-net.service": "[Service]\n"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--every", "25m"), "--every: '25m' is no regular time"),
        (("--within", "soon"), "--within: 'soon' is no length of time"),
        (("--name", "../evil"), "--name: '../evil' is no unit's name"),
        (("--", "--unknown"), "hacc check: No such option: --unknown"),
        (("--", "--inventory", "x"), "--inventory: is the schedule's own option"),
        (("--", "--metrics", "nowhere/hacc.prom"), "no such folder"),
        (("--", "-o", "junit=nowhere/check.xml"), "no such folder"),
    ],
    ids=["time", "span", "name", "option", "inventory", "metrics", "report"],
)
def test_what_would_fail_every_time_is_refused_once(
    typed: Typed, words: tuple[str, ...], said: str
) -> None:
    assert said in typed.schedule("install", *words).ends(1).err
    assert typed.units == {}


def test_what_the_inventory_says_is_in_the_units(typed: Typed) -> None:
    typed.edit("data:\n", 'history: "sqlite:../runs/h.sqlite"\nnotify: ["env:CHAT"]\ndata:\n',
               typed.inventory / "defaults.yaml")  # fmt: skip
    (typed.place / "metrics").mkdir()
    typed.schedule("install", "--", "--metrics", "metrics/hacc.prom").ends(0)
    service = section(typed.units["hacc-check-net.service"])
    assert service["ExecStart"].endswith(" --metrics metrics/hacc.prom --notify")
    assert service["WorkingDirectory"] == str(typed.place)


def test_the_service_may_write_what_the_check_writes(tmp_path: Path) -> None:
    """Wherever it is typed: what is relative is so to the inventory's folder, where it will run."""
    root = tmp_path / "net" / "inventory"
    for folder in (root, tmp_path / "net" / "reports", tmp_path / "metrics"):
        folder.mkdir(parents=True)
    words = ["--metrics", f"{tmp_path}/metrics/x.prom", "--rules", "house"]
    words += ["-o", "html=reports/day.html", "-o", "json=-"]
    assert command._written(words, root) == [tmp_path / "net" / "reports", tmp_path / "metrics"]


def test_cron_as_it_is_typed(typed: Typed) -> None:
    done = typed.hacc("schedule", "cron", "--every", "6h", "--", "--only", "state").ends(0)
    (line,) = done.out.splitlines()
    assert line.split()[1].endswith("-23/6")
    assert line.endswith("--only state; }")
