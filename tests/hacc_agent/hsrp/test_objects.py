"""What the speaker asks of the daemon beside it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.control import NAME, ControlServer, Refused
from hacc_agent.hsrp.objects import AgentStep
from hacc_agent.loop import Loop
from tests.loopback import PATIENCE_S


@pytest.fixture
def loop() -> Iterator[Loop]:
    with closing(Loop()) as made:
        yield made


def until(loop: Loop, what: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end
        loop.turn(0.1)


def says(answer: Any) -> Callable[[Mapping[str, Any]], Iterator[Any]]:
    def command(_asked: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(answer, Exception):
            raise answer
        yield answer

    return command


@pytest.mark.parametrize(
    ("answer", "in_step"),
    [
        pytest.param({"in_step": True}, True, id="yes"),
        pytest.param({"in_step": False}, False, id="no"),
        pytest.param(Refused("not now"), False, id="refused"),
        pytest.param({"in_step": "yes"}, False, id="another-word"),
        pytest.param([], False, id="another-value"),
    ],
)
def test_the_daemon_says_whether_it_is_in_step(
    tmp_path: Path, loop: Loop, answer: Any, in_step: bool
) -> None:
    told: list[bool] = []
    with closing(ControlServer(tmp_path, {"in-step": says(answer)}, loop, lambda _: None)):
        step = AgentStep(tmp_path, loop, told.append)
        for count in (1, 2):
            step.ask()
            until(loop, lambda: len(told) >= count)  # noqa: B023  at once
        assert told == [in_step] * 2
        step.close()


def test_an_older_daemon_does_not_know_it(tmp_path: Path, loop: Loop) -> None:
    told: list[bool] = []
    with closing(ControlServer(tmp_path, {}, loop, lambda _: None)):
        step = AgentStep(tmp_path, loop, told.append)
        step.ask()
        until(loop, lambda: told)
        assert told == [False]
        step.close()


def test_who_is_not_there_or_hangs_is_not_in_step(tmp_path: Path, loop: Loop) -> None:
    told: list[bool] = []
    step = AgentStep(tmp_path, loop, told.append)
    step.ask()
    assert told == [False]
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / NAME))
        silent.listen()
        step.ask()
        assert told == [False]  # it may still answer
        step.ask()
        assert told == [False, False]
        step.close()
