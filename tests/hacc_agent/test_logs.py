"""Lines of the log: for people and machines, few however many packets ask for one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hacc_agent.engine.effects import Alarm, Endpoint, Security
from hacc_agent.logs import ALLOWANCE, PERIOD_S, SENDERS, Logs


@dataclass(slots=True)
class Pipe:
    """A log, its reader, and the clock that it reads."""

    logs: Logs
    reader: int
    writer: int
    now: list[float]

    def text(self) -> str:
        return os.read(self.reader, 1 << 20).decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def wait(self, seconds: float) -> None:
        self.now[0] += seconds


def pipe(people: bool) -> Iterator[Pipe]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    now = [1_800_000_000.0]
    yield Pipe(Logs(writer, lambda: now[0], people), reader, writer, now)
    os.close(reader)
    os.close(writer)


@pytest.fixture
def machine() -> Iterator[Pipe]:
    yield from pipe(people=False)


@pytest.fixture
def terminal() -> Iterator[Pipe]:
    yield from pipe(people=True)


def test_a_line_is_json_for_machines_and_text_for_people(machine: Pipe, terminal: Pipe) -> None:
    for each in (machine, terminal):
        each.logs.warning("journal is full", folder="/var/lib/hacc", octets=3, more=None)
    assert machine.lines() == [
        {
            "time": "2027-01-15T08:00:00.000+00:00",
            "level": "warning",
            "event": "journal is full",
            "folder": "/var/lib/hacc",
            "octets": 3,
            "more": None,
        }
    ]
    assert terminal.text() == (
        "2027-01-15T08:00:00.000+00:00 warning journal is full"
        " folder=/var/lib/hacc octets=3 more=None\n"
    )


def test_what_a_stranger_chose_cannot_forge_a_line(terminal: Pipe) -> None:
    terminal.logs.warning("who?", mobile="a@b\n2027 error all is lost\x1b[2J")
    assert terminal.text().count("\n") == 1
    terminal.logs.warning("who?", mobile="a b=c")
    assert 'mobile="a b=c"' in terminal.text()


def test_a_flood_of_one_reason_leaves_the_others_their_lines(machine: Pipe) -> None:
    for number in range(1000):
        machine.logs.limited("forged", f"10.0.0.{number % 3}")
    machine.logs.limited("stale", "10.0.0.9")
    lines = machine.lines()
    assert [line["event"] for line in lines] == ["forged"] * ALLOWANCE + ["stale"]
    machine.logs.tick()
    with pytest.raises(BlockingIOError):
        machine.text()
    machine.wait(PERIOD_S)
    machine.logs.tick()
    (left_out,) = machine.lines()
    assert left_out["event"] == "forged"
    assert left_out["times"] == 1000 - ALLOWANCE
    assert "10.0.0.0 33" in left_out["mostly"]


def test_senders_that_are_told_apart_are_bounded(machine: Pipe) -> None:
    for number in range(ALLOWANCE + 4 * SENDERS):
        machine.logs.limited("forged", f"sender {number}")
    machine.lines()
    machine.logs.close()
    (line,) = machine.lines()
    assert line["mostly"].startswith(f"others {3 * SENDERS}")


def test_an_allowance_comes_back_and_a_clock_that_goes_back_gives_none(machine: Pipe) -> None:
    for _ in range(2 * ALLOWANCE):
        machine.logs.limited("forged")
    machine.wait(-3600)
    machine.logs.limited("forged")
    assert len(machine.lines()) == ALLOWANCE
    machine.wait(PERIOD_S / ALLOWANCE)
    machine.logs.limited("forged")
    assert len(machine.lines()) == 1


def test_an_alarm_tells_who_and_why(machine: Pipe) -> None:
    machine.logs.alarm(Alarm(Security.REPLAY, Endpoint(0xC6120901, 434), "ann@example.net", 256))
    (line,) = machine.lines()
    assert line["event"] == Security.REPLAY.value
    assert (line["from"], line["mobile"], line["spi"]) == ("198.18.9.1", "ann@example.net", 256)


def test_a_reader_that_does_not_read_makes_nobody_wait(machine: Pipe) -> None:
    for number in range(5000):
        machine.logs.info("much", number=number, padding="x" * 200)
    assert machine.logs.unwritten > 0
    assert machine.lines()[0]["number"] == 0, "what was written is whole"


def test_a_reader_that_has_gone_stops_nobody() -> None:
    reader, writer = os.pipe()
    logs = Logs(writer, lambda: 0.0, people=False)
    os.close(reader)
    logs.info("anybody?")
    assert logs.unwritten == 1
    os.close(writer)
