"""Asks the daemon, once a second at most, and tells everybody who listens what is new.

However many callers there are, the daemon has one: an answer serves all who ask within a second,
and while nobody asks nothing is asked. A look at a thousand members takes the daemon a while; it is
left alone for twenty times as long, so that no more than a twentieth of its time is ours.

What listeners get is encoded once and kept in a short row of frames. Each goes along it at its own
pace; who falls behind the row's end has missed something and is sent away, to begin anew.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

from ..control import Refused, Unanswered
from . import documents
from .contract import EVENTS, Refusal
from .documents import Document

INTERVAL_S: Final = 1.0
PART: Final = 20  # times what a look took: then comes the next
FRAMES: Final = 64  # that a listener may be behind: a minute of them
SEARCHES: Final = 2  # at the daemon at once, beside the look: it takes 16 callers
PATIENCE_S: Final = 5.0  # that a search waits for its turn


class Ask(Protocol):
    """`control.ask`, of one daemon."""

    def __call__(self, command: str, /, **arguments: Any) -> Iterable[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Look:
    """What the daemon has said at one moment."""

    at: float  # s of Unix time
    steady: float
    told: Mapping[str, Any]
    status: Document
    members: Mapping[str, Document]
    encoded: dict[tuple[str, bool], bytes] = field(default_factory=dict)

    def body(self, name: str, *, packed: bool) -> bytes:
        """A document as it goes over the wire: made once for all who ask for it."""
        found = self.encoded.get((name, packed))
        if found is None:
            if packed:
                found = gzip.compress(self.body(name, packed=False), 1, mtime=0)
            elif name == "status":
                found = encoded(self.status)
            else:
                found = encoded({"at": self.at, "members": list(self.members.values())})
            self.encoded[name, packed] = found
        return found


class Feed:
    """One daemon, and all who want to know."""

    def __init__(
        self, ask: Ask, steady: Callable[[], float], wall: Callable[[], float], listeners: int
    ) -> None:
        """`listeners`: so many at once. Needs a running loop from its first use on."""
        self._ask, self._steady, self._wall = ask, steady, wall
        self._most = listeners
        self._look: Look | None = None
        self._rest_until = 0.0  # s of the steady clock
        self._silent: Unanswered | None = None
        self._events: deque[Document] = deque(maxlen=EVENTS)
        self._drill: Document | None = None
        self._looking = asyncio.Lock()
        self._searching = asyncio.Semaphore(SEARCHES)
        self._frames: deque[bytes] = deque(maxlen=FRAMES)
        self._count = 0  # of all frames so far
        self._fresh = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False
        self.listeners = 0

    # ------------------------------------------------------------------ one answer for all

    async def look(self) -> Look:
        """As it was within the last second. Raises `Refusal` when the daemon does not answer."""
        async with self._looking:
            if self._steady() >= self._rest_until:
                began = self._steady()
                try:
                    found = await asyncio.to_thread(self._fetch)
                except (Unanswered, Refused, ValueError, KeyError, TypeError) as why:
                    self._miss(Unanswered(str(why)))
                else:
                    self._take(*found)
                took = self._steady() - began
                self._rest_until = began + max(INTERVAL_S, took * PART)
        if self._silent is not None or self._look is None:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(self._silent), {"retry-after": "2"})
        return self._look

    def _fetch(self) -> tuple[Mapping[str, Any], list[Document]]:
        (told,) = self._ask("status")
        after = self._events[-1]["id"] if self._events else ""
        return told, list(self._ask("events", after=after, limit=EVENTS))

    def _miss(self, why: Unanswered) -> None:
        if self._silent is None:
            self._publish("silent", {"at": self._wall(), "detail": str(why)})
        self._silent = why

    def _take(self, told: Mapping[str, Any], events: list[Document]) -> None:
        at, steady, before = self._wall(), self._steady(), self._look
        known = before.members if before is not None else {}
        self._drill = documents.drill(events, self._drill)
        status = documents.status(told, at, _rate(before, told, steady), self._drill)
        members = {
            each["name"]: documents.member(each, at, known.get(each["name"]))
            for each in told["members"]
        }
        self._look = Look(at, steady, told, status, members)
        self._silent = None
        self._events.extend(events)
        for event in events:
            self._publish("event", event, event["id"])
        figures = {name: status[name] for name in documents.MOVING}
        gone = [name for name in known if name not in members]
        self._publish(
            "figures", figures | {"members": documents.changes(known, members), "gone": gone}
        )

    # ------------------------------------------------------------------ events

    async def events(self, since: str, limit: int) -> Document:
        """Those that are kept, after one that is known."""
        await self.look()
        found = list(self._after(since))[:limit]
        last = found[-1]["id"] if found else since or None
        return {"events": found, "next": last}

    def _after(self, since: str) -> Iterator[Document]:
        """All of them, if nothing is known of that one."""
        kept = list(self._events)
        places = [number for number, event in enumerate(kept) if event["id"] == since]
        yield from kept[places[0] + 1 :] if places else kept

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For as long as a listener is there. Raises `Refusal` when there are too many."""
        if self.listeners >= self._most:
            detail = f"{self._most} listen already"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"retry-after": "10"})
        self.listeners += 1
        try:
            if self._ticking is None:
                self._ticking = asyncio.create_task(self._tick())
            yield
        finally:
            self.listeners -= 1

    async def frames(self, since: str) -> AsyncIterator[bytes]:
        """Server-sent events: all that is, then what is new. Somebody has looked already."""
        look, position = self._look, self._count
        assert look is not None
        figures = {name: look.status[name] for name in documents.MOVING}
        whole = figures | {"members": look.members, "gone": []}
        first = [_frame("event", event, event["id"]) for event in self._after(since)]
        yield b"".join([*first, _frame("figures", whole)])
        while not self._closed:
            fresh = self._fresh
            behind = self._count - position
            if behind > len(self._frames):
                return  # it begins anew, by Last-Event-ID
            if behind:
                position = self._count
                yield b"".join(list(self._frames)[-behind:])
                continue
            await fresh.wait()

    async def _tick(self) -> None:
        """As long as somebody listens."""
        while self.listeners and not self._closed:
            await asyncio.sleep(max(0.0, self._rest_until - self._steady()))
            with suppress(Refusal):  # it was published
                await self.look()
        self._ticking = None

    def close(self) -> None:
        """Ends every stream."""
        self._closed = True
        self._wake()

    def _publish(self, kind: str, document: Mapping[str, Any], name: str = "") -> None:
        self._frames.append(_frame(kind, document, name))
        self._count += 1
        self._wake()

    def _wake(self) -> None:
        fresh, self._fresh = self._fresh, asyncio.Event()
        fresh.set()

    # ------------------------------------------------------------------ what is asked for once

    async def search(self, command: str, **arguments: Any) -> list[dict[str, Any]]:
        """An answer of the daemon's for one caller. Raises `Refusal`, and `control.Refused`."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._searching.acquire()
        except TimeoutError:
            detail = "others are searching"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"retry-after": "2"}) from None
        try:
            return await asyncio.to_thread(lambda: list(self._ask(command, **arguments)))
        except Unanswered as why:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(why), {"retry-after": "2"}) from None
        finally:
            self._searching.release()


def encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _frame(kind: str, document: Mapping[str, Any], name: str = "") -> bytes:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    head = f"id: {name}\n" if name else ""
    return f"{head}event: {kind}\ndata: ".encode() + encoded(document) + b"\n\n"


def _rate(before: Look | None, told: Mapping[str, Any], steady: float) -> float | None:
    if before is None or before.told["process"] != told["process"] or steady <= before.steady:
        return None
    more = documents.answered(told) - documents.answered(before.told)
    return max(0.0, more / (steady - before.steady))
