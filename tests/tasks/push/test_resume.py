"""A run survives its process: wherever that dies, the run can be finished or returned, every router
ends in the old or the new state, and the run's directory says in which."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import runs
from tasks.batches import Share
from tasks.course import State
from tasks.errors import Exit, HaccError, Problem
from tasks.plan import Wave
from tasks.policy import OnFailure, PauseAfter, Policy
from tasks.resume import How
from tests.tasks.push.memory import SITE, Desk, Device, Died, World, desk

ALL_OLD = dict.fromkeys((host for host, _, _ in SITE), "old")
ALL_NEW = dict.fromkeys(ALL_OLD, "new")
HOW = {"go-on": How.GO_ON, "return": How.RETURN, "stop": How.STOP}


def consistent(desk: Desk) -> None:
    """What the run's directory says is what the routers hold, now and after any reload."""
    ended = desk.run().ended
    assert ended is not None
    for name, device in desk.world.devices.items():
        expected = "new" if ended.hosts[name] == State.CHANGED else "old"
        assert (device.holds, device.armed) == (expected, None), (name, ended.hosts)
        assert ended.hosts[name] != State.UNKNOWN
        device.reload()
        assert device.holds == expected, name
    for _, hosts in itertools.groupby(SITE, key=lambda row: row[2]):
        group = [host for host, _, group in hosts if group]
        assert len({ended.hosts[host] == State.CHANGED for host in group}) <= 1, "half a pair"


def length(tmp_path: Path) -> int:
    """How many points a run without any trouble has."""
    with desk(tmp_path / "length") as calm:
        assert calm.apply().exit is Exit.OK
        return calm.world.passed


def dies(desk: Desk, point: int, **how: Any) -> None:
    """A run whose process dies at that point. Its last breath may be any error; nobody hears it."""
    with suppress(Died, HaccError):
        desk.apply({point: desk.world.die}, **how)
    assert desk.world.dead


@pytest.mark.parametrize("timer", [True, False], ids=["timer", "no-timer"])
@pytest.mark.parametrize("how", HOW)
def test_a_process_that_dies_at_any_point_leaves_a_run_that_can_be_resumed(
    tmp_path: Path, how: str, timer: bool
) -> None:
    points = length(tmp_path)
    assert points > 100
    resumed = 0
    for point in range(1, points + 1):
        with desk(tmp_path / f"{point}", timer) as one:
            dies(one, point)
            if runs.unfinished(one.work) is None:  # nothing was begun, or all was ended
                assert one.world.holds() in (ALL_OLD, ALL_NEW), point
                continue
            resumed += 1
            with pytest.raises(runs.Unfinished, match=r"hacc apply --resume"):
                runs.refuse_unfinished(one.work)
            applied = one.resume(HOW[how])
            assert applied.exit is Exit.OK, (point, applied.problems)
            consistent(one)
            expected = {"go-on": ALL_NEW, "return": ALL_OLD}.get(how)
            assert expected is None or one.world.holds() == expected, point
    assert resumed > 90


# --- anything may happen -----------------------------------------------------------------------


def things(world: World, host: str) -> dict[str, Callable[[], None]]:
    """What may happen to a process, and to a router and the way to it."""
    device = world.devices[host]
    return {
        "die": world.die,
        "reload": device.reload,
        "timer ends": device.expire,
        "link is cut": lambda: world.cut.add(host),
        "link is mended": lambda: world.cut.discard(host),
        "a line is refused": lambda: world.refusing.add(host),
    }


HOSTS = [host for host, _, _ in SITE]
HAPPENING = st.tuples(
    st.integers(1, 200), st.sampled_from(sorted(things(World({"": Device("", True)}), ""))),
    st.sampled_from(HOSTS),
)  # fmt: skip
PROCESS = st.tuples(
    st.lists(HAPPENING, max_size=3),
    st.sampled_from(sorted(HOW.values())),
    st.one_of(st.none(), st.sampled_from(HOSTS)),  # whose verification fails
)
POLICIES = st.builds(
    Policy,
    on_failure=st.sampled_from(OnFailure),
    max_fail=st.builds(Share, st.integers(0, 2)),
    pause_after=st.sampled_from(PauseAfter),
)


@given(
    timers=st.lists(st.booleans(), min_size=5, max_size=5),
    policy=POLICIES,
    processes=st.lists(PROCESS, min_size=1, max_size=4),
    at_last=st.sampled_from(sorted(HOW.values())),
)
def test_whatever_happens_every_router_ends_in_the_old_or_the_new_state(
    tmp_path_factory: pytest.TempPathFactory,
    timers: list[bool],
    policy: Policy,
    processes: list[tuple[list[tuple[int, str, str]], How, str | None]],
    at_last: How,
) -> None:
    work = tmp_path_factory.mktemp("run") / ".hacc"
    with desk(work, dict(zip(HOSTS, timers, strict=True))) as one:
        for number, (happening, how, blamed) in enumerate(processes):
            events = {at: things(one.world, host)[what] for at, what, host in happening}

            def verify(wave: Wave, blamed: str | None = blamed) -> Sequence[Problem]:
                wrong = blamed is not None and blamed in wave.hosts
                return [Problem(None, blamed or "", "it is deaf")] if wrong else []

            with suppress(Died, HaccError):
                if number == 0:
                    one.apply(events, verify=verify, policy=policy)
                else:
                    one.resume(how, events, verify=verify)
            one.world.cut.clear()
            one.world.refusing.clear()
        one.world.begin({})
        left = runs.unfinished(work)
        for device in one.world.devices.values():
            assert left or device.holds in ("old", "new")
        if left:
            applied = one.resume(at_last)
            if applied.paused:
                applied = one.resume(How.STOP)
            assert applied.exit is not Exit.BROKEN, applied.problems
        if runs.runs(work) and one.run().ended:
            consistent(one)
        else:
            assert one.world.holds() == ALL_OLD


def test_a_process_that_dies_before_it_has_kept_all_backups_is_no_blind_run(
    tmp_path: Path,
) -> None:
    """What it could not keep is kept when the run goes on; else there is nothing to return to."""
    for point in range(1, 12):
        with desk(tmp_path / f"{point}") as one:
            dies(one, point)
            if not runs.runs(one.work):
                continue  # not even a directory
            assert one.resume().exit is Exit.OK
            assert one.world.holds() == ALL_NEW
            for name in one.world.devices:
                held = one.run().held(name, "before")
                assert held is not None
                assert "198.51.100.0" in (held.files[0].text or ""), (point, name)
