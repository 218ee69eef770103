"""What the daemon tells who asks: its state, and its bindings one by one.

Everything here reads; a table of millions is gone through in blocks, and None between two blocks
gives the packets their turn (`control`).
"""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np

from . import __version__
from .config import AgentConfig, to_toml
from .control import Answer, Refused
from .daemon import Clock
from .discovery import Discovery
from .engine.discovery.layer2 import Layer2
from .engine.record import Kind, Row, Trait
from .engine.table import Table
from .fleet import Fleet
from .logs import Logs, address_text
from .orders import identity
from .replica import Replica
from .roles import Controller, Engine
from .transport import Transport
from .ward import Ward
from .wire import Encapsulation, RequestFlags

BLOCK: Final = 16_384  # rows looked at in one turn: below a millisecond
LIMIT: Final = 100
FOREVER: Final = 0xFFFF  # a lifetime


class Report:
    """Answers of one daemon."""

    def __init__(
        self,
        config: AgentConfig,
        engine: Engine,
        transport: Transport,
        replica: Replica,
        side: Fleet | Ward,
        discovery: Discovery | None,
        logs: Logs,
        clock: Clock,
        layer2: Callable[[], Layer2 | None],
    ) -> None:
        self._layer2 = layer2
        self.config, self._configured = config, clock()
        self._engine, self._transport, self._replica = engine, transport, replica
        self._side, self._discovery = side, discovery
        self._logs, self._clock = logs, clock
        self._since = clock().wall
        self._digested: tuple[AgentConfig | None, str] = (None, "")

    def reconfigure(self, config: AgentConfig) -> None:
        """Another configuration is in force."""
        self.config, self._configured = config, self._clock()

    def status(self, _asked: Mapping[str, Any]) -> Answer:
        config, engine = self.config, self._engine
        bindings, *pending = engine.tables
        yield {
            "name": config.name,
            "role": config.role.value,
            "cluster": config.cluster,
            "version": __version__,
            "configuration": self._digest(),
            "process": os.getpid(),
            "since": self._since,
            "configured_s": round(self._clock().steady - self._configured.steady, 1),
            "transport": config.transport.value,
            "bindings": len(bindings),
            "capacity": bindings.capacity,
            "pending": sum(map(len, pending)),
            "members": list(self._members()),
            "serves": self._side.status() if isinstance(self._side, Ward) else None,
            "log": self._replica.status(),
            "neighbours": None if self._discovery is None else self._discovery.status(),
            "stock": list(self._stock()),
            "traffic": {
                name: {field: getattr(found, field) for field in found.__slots__}
                for name, found in self._transport.traffic()
            },
            "dropped": self._transport.dropped(),
            "counters": engine.counted(),
            "unwritten_lines": self._logs.unwritten,
            "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }

    def _stock(self) -> Iterator[dict[str, str]]:
        """What proves that members without an agent of ours are on a LAN with this controller."""
        layer2 = self._layer2()
        hears = self._discovery.hears if self._discovery is not None else lambda _: False
        for each in () if layer2 is None else layer2.all(hears):
            if each.stock:
                yield {"router": each.router, "proof": each.proof, "why": each.why}

    def events(self, asked: Mapping[str, Any]) -> Answer:
        """The latest: `limit` lines, the oldest first; `after` is the id of one that is known."""
        yield from self._side.events.latest(limit_of(asked), str(asked.get("after") or ""))

    def slots(self, _asked: Mapping[str, Any]) -> Answer:
        """Who serves which: runs of slots of one member that another one, or itself, serves."""
        if not isinstance(self._engine, Controller):
            raise Refused("a member knows of its own slots alone: ask a controller")
        names = [member.name for member in self.config.members]
        slots = self._engine.slots
        yield {"epoch": slots.epoch, "slots": len(slots)}
        whose = np.arange(len(slots)) // slots.per_member
        ends = np.flatnonzero(np.diff(whose) | np.diff(slots.member_of.astype(np.int32))) + 1
        for first, end in pairwise([0, *ends.tolist(), len(slots)]):
            yield {
                "first": first,
                "last": end - 1,
                "home": names[int(whose[first])],
                "member": names[int(slots.member_of[first])],
                "bindings": int(self._engine.tables[0].count_by_slot()[first:end].sum()),
            }

    def neighbours(self, _asked: Mapping[str, Any]) -> Answer:
        """Everybody who was heard on the LANs, or should have been; then how members are placed."""
        found = self._discovery
        if found is None:
            raise Refused('nobody is discovered with transport = "udp"')
        yield from found.neighbours()
        layer2 = self._layer2()
        for each in () if layer2 is None else layer2.all(found.hears):
            yield {
                "member": each.router,
                "proof": each.proof or None,
                "why": each.why,
                "sees": each.sees,
                "strangers": [one._asdict() for one in each.strangers],
            }

    def _digest(self) -> str:
        """SHA-256 of the file that is in force, as `hacc` writes it: of one that was refused not.

        Made once for a configuration: with thousands of nodes it takes its time.
        """
        if self._digested[0] is not self.config:
            text = to_toml(self.config).encode()
            self._digested = self.config, hashlib.sha256(text).hexdigest()
        return self._digested[1]

    def _members(self) -> Iterator[dict[str, Any]]:
        if not isinstance(self._engine, Controller) or isinstance(self._side, Ward):
            return  # a member knows of itself alone
        member_of, count = self._engine.slots.member_of, len(self.config.members)
        carried = [
            np.bincount(member_of, table.count_by_slot()[: len(member_of)], count)
            .astype(int)
            .tolist()
            for table in self._engine.tables
        ]
        members = zip(self.config.members, self._side.members(), strict=True)
        for number, (member, standing) in enumerate(members):
            yield {
                "name": member.name,
                "kind": member.kind.value,
                "backup": member.backup,
                "weight": member.weight,
                "capacity": member.capacity,
                "bindings": carried[0][number],
                "pending": carried[1][number],
                **standing,
            }

    def bindings(self, asked: Mapping[str, Any]) -> Answer:
        """`mobile`: an address or NAI; `member`: a name; `limit`: lines.

        When there are more, the last line says so, and what to ask with as `after` for the rest.
        """
        wanted = _Wanted(asked, self.config)
        left = wanted.limit
        for number, table in enumerate(self._engine.tables[wanted.table :], wanted.table):
            for rows in wanted.rows(table, wanted.row if number == wanted.table else 0):
                for row in rows:
                    found = table.get(row)
                    member = self._engine.serving(found.slot)
                    if wanted.member is not None and member != wanted.member:
                        continue
                    if not left:
                        yield {"more": True, "after": f"{number}.{row - 1}"}
                        return
                    left -= 1
                    yield self._binding(found, table.nai(row), member, bool(number))
                yield None

    def _binding(self, row: Row, nai: bytes, member: int | None, pending: bool) -> dict[str, Any]:
        now = self._clock().steady
        ends = row.lifetime != FOREVER and not pending
        return {
            "home_address": address_text(row.home_address),
            "nai": nai.decode("utf-8", "replace"),
            "care_of_address": address_text(row.care_of_address),
            "source": f"{address_text(row.source_address)}:{row.source_port}",
            "member": None if member is None else self.config.members[member].name,
            "state": "pending" if pending else Kind(row.kind).name.lower(),
            "lifetime_s": row.lifetime,
            "left_s": max(0, int(row.expires - now)) if ends else None,
            "flags": _names(RequestFlags(row.flags)),
            "traits": _names(Trait(row.traits)),
            "tunnel": _tunnel(row.tunnel),
            "spi": row.spi,
        }


class _Wanted:
    """Which rows are asked for."""

    def __init__(self, asked: Mapping[str, Any], config: AgentConfig) -> None:
        """Raises `Refused`."""
        self.limit = limit_of(asked)
        names = [member.name for member in config.members]
        name = asked.get("member")
        if name is not None and name not in names:
            raise Refused(f"there is no member {name!r}; members are: {', '.join(names)}")
        self.member = None if name is None else names.index(name)
        mobile = asked.get("mobile")
        self._mobile = None if mobile is None else identity(str(mobile))
        self.table, self.row = _position(asked.get("after"))

    def rows(self, table: Table, behind: int) -> Iterator[list[int]]:
        """Those of a table behind a row, in blocks, and ascending."""
        if self._mobile is not None:
            yield sorted(row for row in table.company(*self._mobile) if row > behind)
            return
        for start in range(behind + 1, table.capacity + 1, BLOCK):
            block = table.rows[start : start + BLOCK]
            found: list[int] = (np.flatnonzero(block["kind"] != Kind.FREE) + start).tolist()
            yield found


def _position(after: object) -> tuple[int, int]:
    """Table and row of what an answer has ended with. Raises `Refused`."""
    if after is None:
        return 0, 0
    table, _, row = str(after).partition(".")
    if table not in ("0", "1") or not (row.isascii() and row.isdecimal() and len(row) < 11):
        raise Refused("`after` has to be what the answer before has ended with")
    return int(table), int(row)


def limit_of(asked: Mapping[str, Any]) -> int:
    """How many lines are wanted. Raises `Refused`."""
    limit = asked.get("limit", LIMIT)
    if type(limit) is not int or limit < 1:
        raise Refused("the limit has to be a number above 0")
    return limit


def _names(flags: RequestFlags | Trait) -> list[str]:
    return [str(flag.name).lower() for flag in type(flags) if flag in flags]


def _tunnel(number: int) -> str:
    try:
        return Encapsulation(number).name.lower().replace("_", "-")
    except ValueError:
        return str(number)
