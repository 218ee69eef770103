"""A controller of a thousand members and five million bindings, as its control socket tells it.

What a page and an API have to bear, without the routers: `Crowd` answers in a thread of its own as
the daemon does, and every member's figures change each second.
"""

from __future__ import annotations

import dataclasses
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hacc_agent.control import Answer, ControlServer
from hacc_agent.engine.cluster.counters import Counters
from hacc_agent.loop import Loop

MEMBERS = 1000
EACH = 5000  # bindings of a member
COUNTERS = tuple(field.name for field in dataclasses.fields(Counters))


class Crowd:
    """What would be asked for; the same for the same seed, and the same moment."""

    def __init__(self, members: int = MEMBERS, seed: int = 7, *, lan: bool = False) -> None:
        """`lan`: neighbours are told of as well."""
        self.chance = random.Random(seed)
        self.states = {f"ha{number:04}": "up" for number in range(members)}
        self.bindings = dict.fromkeys(self.states, EACH)
        self.since = time.time() - 3600
        self.changed: dict[str, float] = {}  # Unix time of a state's beginning
        self.deaf: set[str] = set()  # members whose figures nobody knows
        self.neighbours = (
            {"expected": 3, "missing": 0, "stranger": 0, "impostor": 0} if lan else None
        )
        self.asked = 0
        self.events: list[dict[str, Any]] = []
        self.note("this controller decides", epoch=7)

    def note(self, event: str, **fields: Any) -> None:
        number = len(self.events) + 1
        self.events.append({"id": f"1-{number}", "at": time.time(), "event": event, **fields})

    def kill(self, name: str) -> None:
        """It is down; its bindings go to the next one."""
        names = sorted(self.states)
        heir = names[(names.index(name) + 1) % len(names)]
        self.states[name] = "down"
        self.changed[name] = time.time()
        self.deaf.add(name)
        self.bindings[heir] += self.bindings[name]
        self.bindings[name] = 0
        self.note("member down", member=name, before="up", why="no heartbeat")
        self.note("slots move", member=heir, slots=64, epoch=8, after_ms=1.5)

    def status(self, _asked: Mapping[str, Any]) -> Answer:
        self.asked += 1
        answered = int((time.time() - self.since) * 20_000)
        yield {
            "name": "hacc1",
            "role": "controller",
            "cluster": "crowd",
            "version": "0",
            "configuration": "0" * 64,
            "process": os.getpid(),
            "since": self.since,
            "configured_s": 1.0,
            "transport": "frames",
            "bindings": sum(self.bindings.values()),
            "capacity": 10_000 * len(self.states),
            "pending": self.chance.randrange(400),
            "members": [self._member(name) for name in self.states],
            "serves": None,
            "log": {
                "leads": True,
                "follows": None,
                "group": 9,
                "trouble": "",
                "durable": 9,
                "followers": [{"name": "hacc2", "behind": 0}],
            },
            "neighbours": self.neighbours,
            "stock": [],
            "traffic": {"lan": {"received": 1, "sent": 1, "unsent": 0, "oversized": 0, "odd": 0}},
            "dropped": 0,
            "counters": dict.fromkeys(COUNTERS, 0) | {"accepted": answered},
            "unwritten_lines": 0,
            "memory_mib": 900,
        }

    def _member(self, name: str) -> dict[str, Any]:
        chance = self.chance
        return {
            "name": name,
            "kind": "linux",
            "backup": False,
            "weight": 1,
            "capacity": 10_000,
            "bindings": max(0, self.bindings[name]),
            "pending": chance.randrange(3),
            "state": self.states[name],
            "why": "heard" if self.states[name] == "up" else "no heartbeat",
            "since_s": time.time() - self.changed.get(name, self.since),
            "load": round(self.bindings[name] / 10_000, 4),
            "closed": "" if self.states[name] == "up" else self.states[name],
            "slots": 64,
            "linked": True,
            "transferring": False,
            "round_trip_ms": 0.2,
            "announced": 1,
            "epoch": 7,
            "figures": None
            if name in self.deaf
            else {
                "source": "member link",
                "age_s": 0.1,
                "bindings": self.bindings[name],
                "cpu_percent": chance.uniform(5, 60),
                "memory_free_percent": chance.uniform(40, 80),
                "registrations_per_s": chance.uniform(10, 30),
            },
        }

    def latest(self, asked: Mapping[str, Any]) -> Answer:
        after = int(str(asked.get("after") or "1-0").partition("-")[2])
        yield from self.events[after:][-asked["limit"] :]


class _Turns(Loop):
    ending = False

    def run(self) -> None:
        while not self.ending:
            self.turn(0.05)


@contextmanager
def answering(crowd: Crowd, folder: Path) -> Iterator[Crowd]:
    """At a control socket in a folder, until the end."""
    loop, faults = _Turns(), list[str]()
    commands = {"status": crowd.status, "events": crowd.latest}
    server = ControlServer(folder, commands, loop, faults.append)
    (folder / "agent.sock").chmod(0o666)  # nobody is in whatever group a test is in
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield crowd
    finally:
        loop.ending = True
        thread.join(10)
        server.close()
        loop.close()
    assert faults == []
