"""The local socket: answered between packets, as fast as it is read, whoever asks."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.control import (
    CLIENTS,
    NAME,
    REQUEST,
    Answer,
    ControlServer,
    Refused,
    Unanswered,
    ask,
)
from hacc_agent.loop import Loop
from tests.loopback import until


class Turns(Loop):
    """A loop whose turns are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self._stop = False

    def run(self) -> None:
        while not self._stop:
            self.turns += self.turn(0.05)

    def end(self) -> None:
        self._stop = True

    @property
    def watched(self) -> int:
        return len(self._ready)


def count(asked: Mapping[str, Any]) -> Answer:
    for number in range(asked["to"]):
        yield {"number": number}


def think(asked: Mapping[str, Any]) -> Answer:
    for _ in range(asked["turns"]):
        yield None
    yield {"thought": True}


def refuse(asked: Mapping[str, Any]) -> Answer:
    raise Refused(f"not {asked['what']}")
    yield {}


def trip(_asked: Mapping[str, Any]) -> Answer:
    yield {"first": 1}
    raise KeyError("a mistake of ours")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, Turns, list[str]]]:
    loop, faults = Turns(), list[str]()
    commands = {"count": count, "think": think, "refuse": refuse, "trip": trip}
    server = ControlServer(tmp_path, commands, loop, faults.append)
    thread = threading.Thread(target=loop.run)
    thread.start()
    yield tmp_path, loop, faults
    loop.end()
    thread.join(10)
    server.close()
    assert loop.watched == 0
    assert not (tmp_path / NAME).exists()


Served = tuple[Path, Turns, list[str]]


def test_a_question_gets_its_lines(served: Served) -> None:
    folder, _, _ = served
    assert [line["number"] for line in ask(folder, "count", to=3)] == [0, 1, 2]
    assert list(ask(folder, "count", to=0)) == []


def test_a_long_answer_is_made_in_pieces_and_a_long_thought_in_turns(served: Served) -> None:
    """Nobody else waits for either."""
    folder, loop, _ = served
    assert sum(1 for _ in ask(folder, "count", to=100_000)) == 100_000
    assert loop.turns > 20
    before = loop.turns
    assert list(ask(folder, "think", turns=50)) == [{"thought": True}]
    assert loop.turns - before >= 50


def test_who_does_not_read_is_not_waited_for(served: Served) -> None:
    folder, _, _ = served
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(folder / NAME))
        lazy.sendall(b'{"command": "count", "to": 100000}\n')
        assert list(ask(folder, "count", to=1)) == [{"number": 0}]


def test_a_refusal_says_why(served: Served) -> None:
    folder, _, faults = served
    with pytest.raises(Refused, match="not this"):
        list(ask(folder, "refuse", what="this"))
    with pytest.raises(Refused, match="does not know"):
        list(ask(folder, "fly"))
    assert faults == []


def test_a_fault_of_ours_is_told_and_ends_nothing(served: Served) -> None:
    folder, _, faults = served
    lines = ask(folder, "trip")
    assert next(lines) == {"first": 1}
    with pytest.raises(Refused, match="a mistake of ours"):
        next(lines)
    assert "trip" in faults[0]
    assert list(ask(folder, "count", to=1)) == [{"number": 0}]


@pytest.mark.parametrize(
    "octets",
    [b"\n", b"{}\n", b"[1]\n", b'"count"\n', b"\xff\n", b'{"command": ["x"]}\n'],
    ids=["blank", "nothing", "a-list", "a-text", "no-text", "no-name"],
)
def test_nonsense_is_answered_as_such(served: Served, octets: bytes) -> None:
    folder, _, _ = served
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(10)
        stranger.connect(str(folder / NAME))
        stranger.sendall(octets)
        assert "error" in json.loads(stranger.makefile().readline())
    assert list(ask(folder, "count", to=1)) == [{"number": 0}]


def test_endless_questions_and_askers_are_turned_away(served: Served) -> None:
    folder, _, _ = served
    with socket.socket(socket.AF_UNIX) as endless:
        endless.settimeout(10)
        endless.connect(str(folder / NAME))
        endless.sendall(b"x" * (REQUEST + 1))
        assert endless.recv(10) == b""
    silent = [socket.socket(socket.AF_UNIX) for _ in range(CLIENTS + 1)]
    for each in silent:
        each.settimeout(10)
        each.connect(str(folder / NAME))
    assert silent[-1].recv(10) == b""
    for each in silent:
        each.close()

    def answered() -> bool:
        """Once the daemon has seen that somebody is gone."""
        try:
            return list(ask(folder, "count", to=1)) == [{"number": 0}]
        except Unanswered:
            return False

    until(answered)


def test_only_the_user_and_group_may_ask(served: Served) -> None:
    folder, _, _ = served
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o660


def test_nobody_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="hacc-agent is not running: nobody answers at"):
        list(ask(tmp_path, "count"))
    (tmp_path / NAME).touch()
    with pytest.raises(Unanswered, match="not running"):
        list(ask(tmp_path, "count"))


def test_a_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / NAME))
    loop = Turns()
    with closing(ControlServer(tmp_path, {}, loop, print)):
        with pytest.raises(OSError, match="in use") as refused:
            ControlServer(tmp_path, {}, loop, print)
        assert refused.value.filename == str(tmp_path / NAME)
