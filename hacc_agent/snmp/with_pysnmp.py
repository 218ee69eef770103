"""Reading with pysnmp: pure Python, versions 2c and 3, some hundred requests each second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from pyasn1.type.univ import Integer, ObjectIdentifier, OctetString
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC96_SHA,
    USM_PRIV_CFB128_AES,
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    UdpTransportTarget,
    UsmUserData,
    bulk_cmd,
    get_cmd,
    next_cmd,
)
from pysnmp.proto.rfc1905 import EndOfMibView, NoSuchInstance, NoSuchObject

from ..engine.snmp.objects import Oid, Value, below
from .reader import AT_ONCE, REPETITIONS, TIMEOUT_S, TRIES, Access, Unanswered

ENGINE_S: Final = 60.0
"""Between two engines. One takes 70 ms to make."""


ROUTERS: Final = 250
"""To an engine: each further one takes longer to be made known to it than the one before."""


class PysnmpReader:
    """One engine for some hundred routers, as long as they answer.

    An engine remembers each router's engine and clock, and does not notice when a router comes back
    with others (a replaced one; one whose boots were not counted): it would ask in vain for ever.
    So a router that does not answer with version 3 is asked through a younger engine.
    """

    at_once = 16
    """It has one processor's time and needs 2 to 10 ms of it for an answer: that of a hundredth one
    would be taken for silence, and asked for again."""

    def __init__(self, access: Access, port: int) -> None:
        self._port = port
        self._context = ContextData()
        self._targets: dict[str, Any] = {}
        self._engines: dict[str, Any] = {}  # by the address of a router
        self._newest = SnmpEngine()
        self._newest_at = time.monotonic()
        self._met = 0  # routers that the newest engine was made for
        self._version = access.version
        self._access = (
            CommunityData(access.community, mpModel=1)
            if access.version == 2
            else UsmUserData(
                access.user,
                authKey=access.auth,
                privKey=access.priv,
                authProtocol=USM_AUTH_HMAC96_SHA,
                privProtocol=USM_PRIV_CFB128_AES,
            )
        )

    async def get(self, address: str, names: Sequence[Oid]) -> dict[Oid, Value]:
        found: dict[Oid, Value] = {}
        for at in range(0, len(names), AT_ONCE):
            asked = map(_object, names[at : at + AT_ONCE])
            found.update(await self._ask(address, get_cmd, *asked))
        return {name: found.get(name) for name in names}

    async def first(self, address: str, columns: Sequence[Oid]) -> dict[Oid, Oid]:
        found: dict[Oid, Oid] = {}
        for at in range(0, len(columns), AT_ONCE):
            asked = columns[at : at + AT_ONCE]
            rows = await self._ask(address, next_cmd, *map(_object, asked))
            for column, (name, value) in zip(asked, rows, strict=False):
                if value is not None and below(name, column):
                    found[column] = name
        return found

    async def walk(self, address: str, column: Oid, most: int) -> list[tuple[Oid, Value]]:
        found: list[tuple[Oid, Value]] = []
        last = column
        while len(found) < most:
            asked = ObjectType(ObjectIdentity(last))
            count = min(REPETITIONS, most - len(found))
            rows = await self._ask(address, bulk_cmd, 0, count, asked)
            for name, value in rows:
                if value is None or below(name, column) is None or name <= last:
                    return found  # past its end, or an agent that walks in circles
                found.append((name, value))
                last = name
            if not rows:
                break
        return found

    async def rows(
        self, address: str, columns: Sequence[Oid], after: Oid, most: int
    ) -> list[tuple[Oid, Value]]:
        """Objects of a table, of `most` rows behind the one with this index."""
        asked = (ObjectType(ObjectIdentity((*column, *after))) for column in columns)
        found = await self._ask(address, bulk_cmd, 0, most, *asked)
        return [
            (name, value)
            for name, value in found
            if value is not None and any(below(name, column) for column in columns)
        ]

    def close(self) -> None:
        for engine in {id(one): one for one in (*self._engines.values(), self._newest)}.values():
            engine.close_dispatcher()

    async def _ask(self, address: str, command: Any, *what: Any) -> list[tuple[Oid, Value]]:
        engine = self._engine_of(address)
        try:
            target = self._targets.get(address)
            if target is None:
                where = (address, self._port)
                target = await UdpTransportTarget.create(where, TIMEOUT_S, TRIES - 1)
                self._targets[address] = target
            failed, status, _, rows = await command(
                engine, self._access, target, self._context, *what, lookupMib=False
            )
        except (PySnmpError, OSError) as error:
            raise Unanswered(str(error)) from error
        if failed:
            if self._version == 3:
                self._ask_anew(address)
            raise Unanswered(str(failed))
        if status:
            raise Unanswered(f"it answers {status.prettyPrint()}")
        return [(tuple(name), value_of(value)) for name, value in rows]

    def _engine_of(self, address: str) -> Any:
        known = self._engines.get(address)
        if known is None:
            if self._met == ROUTERS:
                self._newest, self._newest_at, self._met = SnmpEngine(), time.monotonic(), 0
            self._met += 1
            known = self._engines[address] = self._newest
        return known

    def _ask_anew(self, address: str) -> None:
        """The next time through an engine that knows nothing of this router."""
        old = self._engines.pop(address)
        now = time.monotonic()
        if old is not self._newest or now - self._newest_at < ENGINE_S:
            self._engines[address] = self._newest
        else:
            self._newest, self._newest_at = SnmpEngine(), now
        if old is not self._newest and old not in self._engines.values():
            old.close_dispatcher()


@lru_cache(4096)
def _object(name: Oid) -> Any:
    """pysnmp looks a name up in its MIB modules: once for each that we have."""
    return ObjectType(ObjectIdentity(name))


def value_of(found: Any) -> Value:
    """A value of pysnmp's as ours."""
    if isinstance(found, NoSuchObject | NoSuchInstance | EndOfMibView):
        return None
    if isinstance(found, ObjectIdentifier):
        return tuple(found)
    if isinstance(found, OctetString):
        return bytes(found)
    return int(found) if isinstance(found, Integer) else None
