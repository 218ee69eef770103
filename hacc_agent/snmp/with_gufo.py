"""Reading with gufo-snmp: compiled, versions 2c and 3, thousands of requests each second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gufo.snmp import Aes128Key, Sha1Key, SnmpAuthError, SnmpError, User
from gufo.snmp.aio import SnmpSession

from ..engine.snmp.objects import Oid, Value, below, dotted, oid
from .reader import AT_ONCE, REPETITIONS, TIMEOUT_S, TRIES, Access, Unanswered

T = TypeVar("T")


class GufoReader:
    """A session, and so a socket, for each router. After any failure it is made anew: the router
    may have restarted with another engine, and a late answer must not be taken for the next."""

    at_once = 64

    def __init__(self, access: Access, port: int) -> None:
        self._access = access
        self._port = port
        self._sessions: dict[str, SnmpSession] = {}

    async def get(self, address: str, names: Sequence[Oid]) -> dict[Oid, Value]:
        found: dict[Oid, Value] = {}
        for at in range(0, len(names), AT_ONCE):
            asked = [dotted(name) for name in names[at : at + AT_ONCE]]

            async def get(session: SnmpSession, asked: list[str] = asked) -> None:
                answer = await session.get_many(asked)
                found.update((oid(name), _value(value)) for name, value in answer.items())

            await self._with_session(address, get)
        return {name: found.get(name) for name in names}

    async def first(self, address: str, columns: Sequence[Oid]) -> dict[Oid, Oid]:
        found = {}
        for column in columns:  # it has no GETNEXT of several
            for name, _ in await self.walk(address, column, 1):
                found[column] = name
        return found

    async def walk(self, address: str, column: Oid, most: int) -> list[tuple[Oid, Value]]:
        async def walk(session: SnmpSession) -> list[tuple[Oid, Value]]:
            found: list[tuple[Oid, Value]] = []
            last = column
            async for name, value in session.getbulk(dotted(column), min(REPETITIONS, most)):
                number = oid(name)
                if below(number, column) is None or number <= last:
                    break  # past its end, or an agent that walks in circles
                found.append((number, _value(value)))
                last = number
                if len(found) == most:
                    break
            return found

        return await self._with_session(address, walk)

    def close(self) -> None:
        self._sessions.clear()

    async def _with_session(
        self, address: str, command: Callable[[SnmpSession], Awaitable[T]]
    ) -> T:
        for left in reversed(range(TRIES)):
            try:
                session = self._sessions.pop(address, None) or await self._open(address)
                found = await command(session)
            except TimeoutError:
                if not left:
                    raise Unanswered("no answer in time") from None
            except SnmpAuthError:
                raise Unanswered("the router does not accept our user or keys") from None
            except (SnmpError, OSError, ValueError, RuntimeError) as error:
                raise Unanswered(str(error) or type(error).__name__) from error
            else:
                self._sessions[address] = session
                return found
        raise AssertionError("there is at least one try")

    async def _open(self, address: str) -> SnmpSession:
        access = self._access
        if access.version == 2:
            return SnmpSession(address, self._port, access.community, timeout=TIMEOUT_S)
        user = User(
            access.user,
            auth_key=Sha1Key(access.auth.encode()),
            priv_key=Aes128Key(access.priv.encode()),
        )
        session = SnmpSession(address, self._port, user=user, timeout=TIMEOUT_S)
        await session.refresh()  # the engine and its clock
        return session


def _value(found: object) -> Value:
    """gufo writes names and addresses as text: four numbers below 256 are an IpAddress."""
    if isinstance(found, int | bytes):
        return found
    if isinstance(found, str):
        numbers = oid(found)
        return bytes(numbers) if len(numbers) == 4 and max(numbers) < 256 else numbers
    return None
