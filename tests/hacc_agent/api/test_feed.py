"""One daemon and all who listen: asked seldom, told once, and nobody waits for a slow one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bench.crowd import Crowd
from hacc_agent.api.contract import Refusal
from hacc_agent.api.feed import FRAMES, INTERVAL_S, PART, Feed
from hacc_agent.control import Unanswered


class Daemon:
    """A crowd of five members that is asked in this process, and a clock that only tests move."""

    def __init__(self) -> None:
        self.crowd = Crowd(5)
        self.now = 100.0
        self.takes_s = 0.0  # a look
        self.silent = False
        self.feed = Feed(self.ask, lambda: self.now, lambda: 1000 + self.now, 10)

    def ask(self, command: str, /, **asked: Any) -> Iterator[dict[str, Any]]:
        if self.silent:
            raise Unanswered("nobody answers")
        if command == "status":
            self.now += self.takes_s
            yield from (dict(each) for each in self.crowd.status(asked) if each is not None)
        else:
            yield from (dict(each) for each in self.crowd.latest(asked) if each is not None)

    async def later(self, seconds: float = INTERVAL_S) -> None:
        """A look, after a while."""
        self.now += seconds
        await self.feed.look()


def frames(octets: bytes) -> list[tuple[str, Any]]:
    found = []
    for frame in octets.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in frame.split("\n"))
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_a_second_question_within_a_second_is_answered_from_the_first() -> None:
    async def scene() -> None:
        daemon = Daemon()
        looks = await asyncio.gather(*(daemon.feed.look() for _ in range(50)))
        assert daemon.crowd.asked == 1
        assert all(each is looks[0] for each in looks)
        await daemon.later()
        assert daemon.crowd.asked == 2

    asyncio.run(scene())


def test_a_daemon_that_takes_long_is_left_alone_for_longer() -> None:
    async def scene() -> None:
        daemon = Daemon()
        daemon.takes_s = 0.5
        await daemon.feed.look()
        await daemon.later(0.5 * PART - 0.6)
        assert daemon.crowd.asked == 1
        await daemon.later(0.2)
        assert daemon.crowd.asked == 2

    asyncio.run(scene())


def test_a_listener_gets_all_at_first_and_then_what_has_changed() -> None:
    async def scene() -> None:
        daemon = Daemon()
        daemon.crowd.deaf = set(daemon.crowd.states)  # no figures that change by themselves
        await daemon.feed.look()
        stream = daemon.feed.frames("")
        first = frames(await anext(stream))
        assert [kind for kind, _ in first] == ["event", "figures"]
        assert set(first[-1][1]["members"]) == set(daemon.crowd.states)
        daemon.crowd.kill("ha0001")
        await daemon.later()
        then = frames(await anext(stream))
        assert [kind for kind, _ in then] == ["event", "event", "figures"]
        assert then[-1][1]["members"]["ha0001"]["state"] == "down"
        assert "name" not in then[-1][1]["members"]["ha0001"], "which has not changed"
        again = daemon.feed.frames(daemon.crowd.events[0]["id"])
        assert [kind for kind, _ in frames(await anext(again))] == ["event", "event", "figures"]

    asyncio.run(scene())


def test_who_does_not_read_is_sent_away_and_delays_nobody() -> None:
    async def scene() -> None:
        daemon = Daemon()
        await daemon.feed.look()
        slow, quick = daemon.feed.frames(""), daemon.feed.frames("")
        await anext(slow)
        await anext(quick)
        for _ in range(FRAMES + 1):
            await daemon.later()
            await anext(quick)
        with pytest.raises(StopAsyncIteration):
            await anext(slow)
        await daemon.later()
        assert await anext(quick)

    asyncio.run(scene())


def test_silence_is_told_once_and_so_is_its_end() -> None:
    async def scene() -> None:
        daemon = Daemon()
        await daemon.feed.look()
        stream = daemon.feed.frames("")
        await anext(stream)
        daemon.silent = True
        for _ in range(3):
            with pytest.raises(Refusal):
                await daemon.later()
        assert [kind for kind, _ in frames(await anext(stream))] == ["silent"]
        daemon.silent = False
        await daemon.later()
        assert [kind for kind, _ in frames(await anext(stream))] == ["figures"]

    asyncio.run(scene())


def test_the_rate_begins_anew_with_another_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        daemon = Daemon()
        assert (await daemon.feed.look()).status["registrations_per_s"] is None
        daemon.now += 2.0
        assert (await daemon.feed.look()).status["registrations_per_s"] >= 0
        monkeypatch.setattr("bench.crowd.os.getpid", lambda: -1)
        daemon.now += 2.0
        assert (await daemon.feed.look()).status["registrations_per_s"] is None

    asyncio.run(scene())


def test_a_member_that_left_the_configuration_is_told_as_gone() -> None:
    async def scene() -> None:
        daemon = Daemon()
        await daemon.feed.look()
        stream = daemon.feed.frames("")
        await anext(stream)
        del daemon.crowd.states["ha0004"]
        await daemon.later()
        assert frames(await anext(stream))[-1][1]["gone"] == ["ha0004"]

    asyncio.run(scene())
