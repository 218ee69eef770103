"""A run survives its process: wherever that dies, the run can be finished or returned, every router
ends in the old or the new state, and the run's directory says in which."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tasks import runs
from tasks.course import State
from tasks.errors import Exit, HaccError
from tasks.resume import How
from tests.tasks.push.memory import SITE, Desk, Died, desk

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
