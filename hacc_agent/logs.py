"""What the daemon says: one line an event, on stderr; JSON unless a person is looking.

Who sends us packets must not be able to fill our disk, nor to hide one attack behind another. So
each reason has an allowance of lines, and beyond it lines are counted, with the busiest senders,
and told in one line when the allowance comes back. Saying something never makes the packet loop
wait: a line that the other end of the pipe has no room for is counted too.
"""

from __future__ import annotations

import json
import os
import select
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from .engine.effects import Alarm

Value = str | int | float | bool | None

ALLOWANCE: Final = 5
"""Lines of one reason at once; as many come back within `PERIOD_S`."""

PERIOD_S: Final = 10.0
SENDERS: Final = 256
"""Senders of one reason that are told apart between two lines; the rest count as one."""

SHOWN: Final = 3
PIPE: Final = 4096  # octets that a pipe takes at once when poll says that it has room (PIPE_BUF)


@dataclass(slots=True)
class _Reason:
    """How much of one reason has been said."""

    left: float = ALLOWANCE
    at: float = 0.0  # s of Unix time: when `left` was true
    unsaid: int = 0
    senders: Counter[str] = field(default_factory=Counter)


class Logs:
    """Writes lines to a descriptor."""

    def __init__(self, descriptor: int, wall: Callable[[], float], people: bool) -> None:
        """`wall` tells Unix time; `people` asks for text instead of JSON."""
        self._descriptor = descriptor
        self._wall = wall
        self._people = people
        self._reasons: dict[str, _Reason] = {}
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self.unwritten = 0  # lines that nobody had room for

    def info(self, event: str, **fields: Value) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Value) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Value) -> None:
        self._write("error", event, fields)

    def limited(self, event: str, sender: str = "", **fields: Value) -> None:
        """A warning that packets can cause: its event is the reason whose allowance it uses."""
        now = self._wall()
        reason = self._reasons.setdefault(event, _Reason(at=now))
        _refill(reason, now)
        if reason.left >= 1:
            reason.left -= 1
            told: dict[str, Value] = {"from": sender} if sender else {}
            self._write("warning", event, told | fields)
            return
        reason.unsaid += 1
        known = sender in reason.senders or len(reason.senders) < SENDERS
        reason.senders[sender if known else "others"] += 1

    def alarm(self, found: Alarm) -> None:
        """A line of the security log (RFC 5944, 3.8.2.1)."""
        fields: dict[str, Value] = {"mobile": found.mobile} if found.mobile else {}
        if found.spi:
            fields["spi"] = found.spi
        self.limited(found.reason.value, address_text(found.source.address), **fields)

    def tick(self) -> None:
        """Tells what was left out, of the reasons whose allowance has come back."""
        now = self._wall()
        for event, reason in self._reasons.items():
            _refill(reason, now)
            if reason.unsaid and reason.left >= ALLOWANCE:
                self._tell_unsaid(event, reason)

    def close(self) -> None:
        """Tells all that was left out."""
        for event, reason in self._reasons.items():
            if reason.unsaid:
                self._tell_unsaid(event, reason)

    def _tell_unsaid(self, event: str, reason: _Reason) -> None:
        busiest = ", ".join(f"{who or '?'} {n}" for who, n in reason.senders.most_common(SHOWN))
        fields: dict[str, Value] = {"times": reason.unsaid, "mostly": busiest}
        self._write("warning", event, fields)
        reason.left -= 1
        reason.unsaid = 0
        reason.senders.clear()

    def _write(self, level: str, event: str, fields: Mapping[str, Value]) -> None:
        when = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds")
        if self._people:
            told = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
            line = f"{when} {level:7} {event}{told}"
        else:
            line = json.dumps({"time": when, "level": level, "event": event, **fields})
        octets = line.encode("utf-8", "replace")
        if len(octets) >= PIPE:
            octets = octets[: PIPE - 1]
        try:
            if self._room.poll(0):
                os.write(self._descriptor, octets + b"\n")
                return
        except OSError:
            pass  # nobody reads any more: that must not stop a router
        self.unwritten += 1


def _refill(reason: _Reason, now: float) -> None:
    # The wall clock may be set back: then nothing comes back until it is where it was.
    gained = max(0.0, now - reason.at) * ALLOWANCE / PERIOD_S
    reason.left = min(ALLOWANCE, reason.left + gained)
    reason.at = now


def _plain(value: Value) -> str:
    """A value in a line for people: no blank and no control character that could fool them."""
    text = str(value)
    return text if text and text.isprintable() and " " not in text else json.dumps(text)


def address_text(address: int) -> str:
    """An IPv4 address in host order, as people write it."""
    return ".".join(str(octet) for octet in address.to_bytes(4, "big"))
