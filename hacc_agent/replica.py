"""This router's copy of the log: on its disk, with its standby, or from the active one.

One router of a cluster's pair leads: it numbers the groups, keeps them and gives them to whoever
follows. The other follows: it applies and keeps what it is given, and asks again when it is cut
off. What a standby has received of a state counts for nothing until it is whole; if it has to lead
before that, it goes back to what its own disk holds.

The daemon drives it from its loop: `append` before anything that follows from the records is done,
`fileno` and `handle` for the sockets, `next_deadline`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from .config import AgentConfig, Durability, LanAddress, Role
from .disk import Disk
from .engine.effects import Moment
from .engine.log import START, Frame, FrameKind, Position, encode, portions
from .engine.record import OCTETS
from .journal import Journal
from .link import Language, Link, Say, Talk
from .quickening import read_long_logs
from .recovery import Recovered
from .standby import Claim, Feed, Follow, Recent, Want

SOONEST: Final = 0.2  # s between attempts to reach a router
LATEST: Final = 5.0
SYNC: Final = 1.0  # s of changes that a failing machine may cost, where groups are not synced
COMPARE: Final = 30.0  # s between comparisons of the tables' digests
SETTLED: Final = 1.0  # s for the groups that a follower lacks at first: `standby.RETAINED` at most


class State(Protocol):
    """What is replicated: the tables of an engine."""

    def apply(self, records: bytes) -> None: ...

    def snapshot(self) -> Iterator[bytes]:
        """All records in blocks, each as it is at the moment when it is taken."""
        ...

    def expect(self, rows: int, names: int) -> None:
        """About so many of the log that is read back now: memory for them is of use."""
        ...

    def clear(self) -> None: ...

    def digest(self) -> int:
        """The same for the same content, whatever its order."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """A router that can be asked."""

    name: str
    addresses: tuple[LanAddress, ...]


class _Standby:
    """Where a follower's frames go: the tables and the disk."""

    def __init__(self, state: State, journal: Journal) -> None:
        self._state, self._journal = state, journal
        self._waiting: list[memoryview] = []  # applied together, which costs far less
        self.whole = True
        self.records = 0  # taken so far

    def begin(self, frame: Frame) -> None:
        self.whole = False
        read_long_logs().join()
        self._waiting.clear()
        self._state.clear()
        self._journal.receive(frame)

    def take(self, frame: Frame) -> None:
        self._waiting.append(frame.payload)
        self.records += len(frame.payload) // OCTETS
        self._journal.receive(frame)

    def complete(self, frame: Frame) -> None:
        self._apply()
        self._journal.receive(frame)
        self.whole = True

    def commit(self) -> None:
        self._apply()
        self._journal.commit()

    def _apply(self) -> None:
        if self._waiting:
            self._state.apply(b"".join(self._waiting))
            self._waiting.clear()

    def digest(self) -> int:
        self._apply()
        return self._state.digest()


class _Fetched:
    """Where the bindings go that another router was asked for."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self.whole = False

    def begin(self, _frame: Frame) -> None:
        pass

    def take(self, frame: Frame) -> None:
        self._take(bytes(frame.payload))

    def complete(self, _frame: Frame) -> None:
        self.whole = True

    def commit(self) -> None:
        pass

    def digest(self) -> int:
        raise AssertionError("who fetches once is not asked to compare")


class Replica:
    """The log, whoever writes it."""

    def __init__(
        self,
        config: AgentConfig,
        state: State,
        token: Callable[[int], bytes],
        say: Say,
        *,
        disk: Disk | None = None,
    ) -> None:
        """`say` is told what an operator should know."""
        self._config, self._state, self._say = config, state, say
        self._token = token
        self._sync_groups = sync_groups = config.durability is Durability.MACHINE
        self._sync_at = 0.0
        self.journal = Journal(
            Path(config.state_directory),
            config.cluster,
            state.snapshot,
            sync_groups=sync_groups,
            disk=disk,
        )
        self._standby = _Standby(state, self.journal)
        self._log: Recent | None = None
        self._busy = 0.0  # s of the steady clock: when this router last had something to keep
        self._gives_way = False
        self._feeds: dict[Talk, str] = {}
        self._follow: Follow | None = None
        self._followed = ""
        self._in_step_since = math.inf  # s of the steady clock
        self._routers = {
            **{each.name: Peer(each.name, each.addresses) for each in config.controllers},
            **{each.name: Peer(each.name, each.addresses) for each in config.members},
        }
        # A member's log is its own: it leads no controllers, and none of them leads it.
        self._peers = tuple(
            self._routers[each.name]
            for each in config.controllers
            if config.role is Role.CONTROLLER and each.name != config.name
        )
        self._wishes_to_follow = False
        self._dialled = False
        self._attempts = 0
        self._dial_at = 0.0
        self._compare_at = 0.0
        self._trouble: str | None = None
        self._link: Link | None = None
        if config.link is not None:
            names = {each.name for each in config.controllers}
            names |= {each.name for each in config.members}
            self._link = Link(config.cluster, names, config.link, say)
            self._link.serve(Language.LOG, self._answer, self._left)

    def open(self, now: Moment) -> Recovered:
        """Read the journal into the tables and listen. Raises `JournalError` and `LinkError`."""
        recovered = self.journal.open(self._state.apply, self._state.expect)
        if self._link is not None:
            self._link.listen(lan.address.ip for lan in self._config.lans)
        self._compare_at = now.steady + COMPARE
        return recovered

    @property
    def followed(self) -> int:
        """Records that came from whom this router follows, so far."""
        return self._standby.records

    @property
    def link(self) -> Link | None:
        """What else the cluster's routers say to each other goes over it; `handle` serves it."""
        return self._link

    # ------------------------------------------------------------------ who leads

    @property
    def follows(self) -> str | None:
        """The router whose log this one is given."""
        return self._followed if self._follow is not None and self._follow.welcome else None

    def in_step(self, now: Moment) -> bool:
        """Whether this router could lead and nothing would be lost; who has no link never knows."""
        return self.leads or now.steady >= self._in_step_since + SETTLED

    @property
    def leads(self) -> bool:
        return self._log is not None

    def lead(self, now: Moment) -> bool:
        """From here on this router numbers the groups.

        False: its tables were not whole, and are now what its disk holds.
        """
        whole = self._standby.whole
        self._wishes_to_follow = self._gives_way = False
        if self._follow is not None and self._link is not None:
            self._link.end(self._follow, "")
        if not whole:
            self._return_to_disk()
        if self._log is None:
            history = int.from_bytes(self._token(8), "little")
            self._log = Recent(self.journal.position, history)
            self._busy = now.steady
            self._attempts, self._dial_at = 0, now.steady
            self._say("this router leads", group=self._log.position.sequence)
        return whole

    def _return_to_disk(self) -> None:
        self._say("the state was not whole yet: back to what the disk holds")
        self._state.clear()
        self.journal.give_up_received(self._state.apply)
        self._standby.whole = True

    def follow(self, now: Moment) -> None:
        """From here on the leading router's log is ours; it is looked for among the controllers."""
        self._log = None
        self._gives_way = False
        self._wishes_to_follow = bool(self._peers) and self._link is not None
        self._attempts, self._dial_at = 0, now.steady
        if self._link is not None:
            for feed in list(self._feeds):
                self._link.end(feed, "this router does not lead any more")

    # ------------------------------------------------------------------ what the daemon calls

    def append(self, records: bytes, now: Moment) -> None:
        """Keep records, and hand them to the sockets of whoever follows, before anything else.

        Who has something to keep leads.
        """
        if self._log is None and not self.lead(now):
            self._state.apply(records)  # they were decided on before it went back
        log = self._log
        assert log is not None
        self._busy = now.steady
        for part in portions(records):
            position = Position(log.position.history, log.position.sequence + 1)
            frame = encode(
                FrameKind.CHANGES,
                position,
                part,
                steady=now.steady,
                durable=self.journal.durable,
            )
            self.journal.append(frame)
            log.append(frame)
        if self._link is not None:
            self._link.flush(now.steady)  # on its way while the disk is waited for
        self.journal.commit()

    def fileno(self) -> int | None:
        """Readable when `handle` has something to do; None without a link."""
        return None if self._link is None else self._link.fileno()

    def handle(self, now: Moment) -> None:
        """A turn of everything that is under way: sockets, disk, deadlines."""
        self.journal.work(now.steady)
        if not self._sync_groups and now.steady >= self._sync_at:
            self.journal.sync_beside()
            self._sync_at = now.steady + SYNC
        if self._link is not None:
            self._link.handle(now.steady)
            if self._gives_way:
                self._say("another router leads: this one follows")
                self.follow(now)
            if self._seeks and now.steady >= self._dial_at:
                self._dial(self._link, now)
            if now.steady >= self._compare_at:
                self._compare(now)
            if self.follows is None or not self._standby.whole:
                self._in_step_since = math.inf
            else:
                self._in_step_since = min(self._in_step_since, now.steady)
        if self.journal.trouble != self._trouble:
            self._trouble = self.journal.trouble
            if self._trouble is None:
                self._say("the journal is whole again")
            else:
                self._say(
                    "the journal cannot be written: changes are in memory alone",
                    why=self._trouble,
                    folder=self._config.state_directory,
                )

    def next_deadline(self) -> float | None:
        found = [self.journal.next_deadline()]
        if not self._sync_groups:
            found.append(self._sync_at)
        if self._link is not None:
            found.append(self._link.next_deadline())
            found.append(self._compare_at if self._feeds else None)
            found.append(self._dial_at if self._seeks else None)
        return min((deadline for deadline in found if deadline is not None), default=None)

    def fetch(
        self, name: str, take: Callable[[bytes], None], done: Callable[[str], None], now: Moment
    ) -> None:
        """Ask a router for all its bindings: `take` gets records, `done` why it failed, or ""."""
        peer = self._routers.get(name)
        if peer is None or self._link is None:
            done("there is no link to it" if peer else f"there is no router {name!r}")
            return
        copy = _Fetched(take)

        def start(_name: str, at: float) -> Follow:
            return Follow(self._config.cluster, Want.FETCH, copy, START, at)

        def closed(why: str) -> None:
            done("" if copy.whole else why or "it ended before everything was there")

        self._link.dial(name, peer.addresses[0].address, start, closed, now.steady)

    def reload(self) -> None:
        """Take renewed certificates. Raises `LinkError` and keeps the old."""
        if self._link is not None:
            self._link.reload()

    def close(self, now: Moment) -> None:
        """Everything is on the disk when this returns."""
        if self._link is not None:
            self._link.close()
        self.journal.close(now.steady)

    def status(self) -> dict[str, Any]:
        """For `hacc-agent status`."""
        position = self.journal.position
        log = self._log
        return {
            "leads": log is not None,
            "history": f"{(log.position if log else position).history:016x}",
            "group": position.sequence,
            "durable": self.journal.durable,
            "trouble": self.journal.trouble,
            "followers": [
                {
                    "name": name,
                    "kept": feed.kept.sequence,
                    "behind": position.sequence - feed.kept.sequence,
                    "states": feed.states,
                }
                for name, feed in self._followers()
            ],
            "follows": self.follows,
            "whole": self._standby.whole,
            "differed": self._follow.differed if self._follow is not None else 0,
        }

    # ------------------------------------------------------------------ connections

    @property
    def _seeks(self) -> bool:
        """Whom to follow; or, leading, those who do not follow yet: they may not know."""
        if self._dialled or not self._peers:
            return False
        if self._log is None:
            return self._wishes_to_follow
        return not {peer.name for peer in self._peers} <= {name for name, _ in self._followers()}

    def _followers(self) -> list[tuple[str, Feed]]:
        return [
            (name, feed)
            for feed, name in self._feeds.items()
            if isinstance(feed, Feed) and feed.following
        ]

    def _answer(self, name: str, now: float) -> Feed:
        feed = Feed(
            self._config.cluster,
            lambda: self._log,
            self._state.snapshot,
            lambda busy: self._yield_to(name, busy),
            now,
        )
        self._feeds[feed] = name
        return feed

    def _left(self, talk: Talk) -> None:
        self._feeds.pop(talk, None)

    def _yield_to(self, name: str, busy: float) -> bool:
        """Another router says that it leads. Only one that could may say so."""
        if name not in {peer.name for peer in self._peers}:
            return False
        self._gives_way = self._log is not None and busy > self._busy
        return self._log is None or self._gives_way

    def _dial(self, link: Link, now: Moment) -> None:
        peer = self._peers[self._attempts % len(self._peers)]
        rounds = self._attempts // len(self._peers)
        address = peer.addresses[rounds % len(peer.addresses)]
        self._dial_at = now.steady + min(LATEST, SOONEST * 2 ** min(rounds, 8))
        self._attempts += 1
        self._dialled = True

        def start(name: str, at: float) -> Talk:
            if self._log is not None:
                return Claim(self._busy, at)
            position = self.journal.position if self._standby.whole else START
            self._follow = Follow(self._config.cluster, Want.FOLLOW, self._standby, position, at)
            self._followed = name
            return self._follow

        def closed(why: str) -> None:
            self._dialled = False
            if self._follow is not None and self._follow.welcome:
                self._attempts = 0
            self._follow = None
            if why and self._log is None:
                self._say(f"cannot follow {peer.name}", str(address.address), why=why)

        link.dial(peer.name, address.address, start, closed, now.steady)

    def _compare(self, now: Moment) -> None:
        self._compare_at = now.steady + COMPARE
        following = [feed for _, feed in self._followers() if feed.caught_up]
        if following:
            digest = self._state.digest()
            for feed in following:
                feed.tell_digest(digest)
