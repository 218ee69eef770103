"""Controllers on loopback with real TLS between them, in one process and under one clock."""

from __future__ import annotations

import dataclasses
import itertools
import os
import select
import time
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from hacc_agent.config import AgentConfig, Controller, Lan, LanAddress, Link
from hacc_agent.disk import Disk
from hacc_agent.engine.effects import Moment
from hacc_agent.replica import Replica
from tasks import pki
from tasks.compile import compile_site
from tasks.intent import load_site
from tests.hacc_agent.crashing import Rows, group

PORT = 43434
PATIENCE = 20.0  # s of a busy machine until something has to have happened
(WEST,) = compile_site(load_site(Path(__file__).parents[1] / "golden/site"))
_networks = itertools.count(os.getpid())


def certificates(folder: Path, cluster: str, *names: str, now: datetime | None = None) -> Path:
    """An authority and the certificates of these routers."""
    now = now or datetime.now(UTC)
    pki.create_authority(folder, cluster, now)
    for name in names:
        pki.issue(folder, cluster, name, now)
    return folder


class Clock:
    """The real one, which can be put forward: back-offs are not waited for."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> Moment:
        steady = time.monotonic() + self.ahead
        return Moment(steady, steady)


class Router:
    """A replica, its table, and what it has said."""

    def __init__(self, config: AgentConfig, clock: Clock, disk: Disk | None = None) -> None:
        self.config, self._clock = config, clock
        self.rows = Rows()
        self.said: list[str] = []
        self.replica = Replica(config, self.rows, os.urandom, self._say, disk=disk)
        self.number = 0

    def _say(self, event: str, sender: str = "", **fields: str | int) -> None:
        self.said.append(" ".join([event, sender, *(f"{k}={v}" for k, v in fields.items())]))

    def open(self) -> Router:
        self.replica.open(self._clock())
        self.number = self.replica.journal.position.sequence
        return self

    def lead(self) -> Router:
        self.replica.lead(self._clock())
        return self

    def follow(self) -> Router:
        self.replica.follow(self._clock())
        return self

    def change(self, times: int = 1) -> None:
        for _ in range(times):
            self.number = self.replica.journal.position.sequence + 1
            self.rows.apply(group(self.number))
            self.replica.append(group(self.number), self._clock())

    def close(self) -> None:
        self.replica.close(self._clock())

    def kill(self) -> None:
        """As the system does it: sockets and files closed, nothing else done."""
        assert self.replica._link is not None
        self.replica._link.close()
        for file in (self.replica.journal._file, self.replica.journal._lock):
            assert file is not None
            os.close(file)

    @property
    def sequence(self) -> int:
        return self.replica.journal.position.sequence

    def heard(self, words: str) -> bool:
        return any(words in line for line in self.said)


class Pair:
    """hacc1 and hacc2 of cluster west, on addresses that no other test uses."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self._folder, self._keys = folder, keys
        self.clock = Clock()
        number = next(_networks)
        self._network = f"127.{64 + number // 256 % 64}.{number % 256}"
        self.routers: list[Router] = []

    def address(self, number: int) -> IPv4Address:
        return IPv4Address(f"{self._network}.{number}")

    def config(self, name: str, keys: Path | None = None, cluster: str = "west") -> AgentConfig:
        found = WEST.device("hacc1").agent
        assert found is not None
        keys = keys or self._keys
        return dataclasses.replace(
            found,
            cluster=cluster,
            name=name,
            lans=(Lan("access", "lo", IPv4Interface(f"{self.address(int(name[-1]))}/8")),),
            controllers=tuple(
                Controller(f"hacc{each}", 200 - each, (LanAddress("access", self.address(each)),))
                for each in (1, 2)
            ),
            members=tuple(
                dataclasses.replace(each, addresses=(LanAddress("access", self.address(9)),))
                for each in found.members
            ),
            link=Link(
                PORT,
                str(keys / "authority.pem"),
                str(keys / f"{name}.pem"),
                str(keys / f"{name}.key"),
            ),
            state_directory=str(self._folder / name),
        )

    def router(
        self, name: str, keys: Path | None = None, cluster: str = "west", disk: Disk | None = None
    ) -> Router:
        made = Router(self.config(name, keys, cluster), self.clock, disk).open()
        self.routers.append(made)
        return made

    def member(self, name: str) -> Router:
        """A Home Agent of the cluster, which has a log of its own."""
        found = WEST.device(name).agent
        assert found is not None
        config = dataclasses.replace(
            self.config("hacc9"),
            name=name,
            role=found.role,
            link=Link(
                PORT,
                str(self._keys / "authority.pem"),
                str(self._keys / f"{name}.pem"),
                str(self._keys / f"{name}.key"),
            ),
        )
        made = Router(config, self.clock).open()
        self.routers.append(made)
        return made

    def gone(self, router: Router) -> None:
        self.routers.remove(router)

    def until(self, happened: Callable[[], bool]) -> None:
        """Turns of everybody's loop until something is so."""
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, [router.said for router in self.routers]
            ready = [router.replica.fileno() for router in self.routers]
            select.select([each for each in ready if each is not None], [], [], 0.005)
            for router in self.routers:
                router.replica.handle(self.clock())

    def later(self, seconds: float) -> None:
        self.clock.ahead += seconds

    def close(self) -> None:
        for router in self.routers:
            router.close()
