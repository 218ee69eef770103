"""One end of AgentX (RFC 2741): our part of the MIB, in the router's SNMP agent.

    CLOSED   --connected-->   OPENING   --Response-->   REGISTERING   --last Response-->   OPEN

A master that refuses to let us in, ends the session or does not answer our ping is told of by
`Ended`; whoever holds the socket closes it and connects again later. Everything that we serve is
read-only: a Set is answered notWritable in its first phase, and then has no second one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from ...wire import agentx
from ...wire.agentx import AgentXError, Failure, Header, Kind, Name, Type, VarBind
from ..effects import Moment
from .view import View

PING_S: Final = 30.0
"""Without a word of the master's before it is asked whether it is there."""

ANSWER_S: Final = 10.0
"""For an answer of the master's."""

ROUND: Final = 64
"""PDUs that are answered before packets have their turn: some 3 ms."""

MOST_VARBINDS: Final = 512
"""In an answer to a GETBULK. It may be shorter than what was asked for (RFC 3416, 4.2.3)."""


class Ended(Exception):
    """The session is over, and why."""


class State(enum.Enum):
    CLOSED = "closed"
    OPENING = "opening"
    REGISTERING = "registering"
    OPEN = "open"


class Subagent:
    """Of one router. What it returns is to be written to the master."""

    def __init__(self, view: View, roots: Sequence[Name], name: Name, description: str) -> None:
        self._view = view
        self._roots = roots
        self._identity = name, description
        self.refused: list[tuple[Name, int]] = []  # parts of the tree that are somebody else's
        self._forget()

    def _forget(self) -> None:
        self.state = State.CLOSED
        self._session = 0
        self._packet = 0
        self._input = bytearray()
        self._left = list(self._roots)  # not registered yet
        self._registering: Name = ()
        self._waits: int | None = None  # for the answer to this packet
        self._heard = 0.0  # s of the steady clock

    # ------------------------------------------------------------------ the connection

    def connected(self, now: Moment) -> bytes:
        self._forget()
        self.refused.clear()
        self.state, self._heard = State.OPENING, now.steady
        name, description = self._identity
        return agentx.encode_open(name, description, 0, self._next_packet())

    def received(self, octets: bytes, now: Moment) -> bytes:
        """Octets of the stream; raises `Ended`. What waits beyond `ROUND` is taken by the timer."""
        self._input += octets
        self._heard = now.steady
        output = []
        try:
            for _ in range(ROUND):
                pdu = self._pdu()
                if pdu is None:
                    break
                output.append(self._take(*pdu, now))
        except AgentXError as error:
            raise Ended(f"the master's octets are no AgentX: {error}") from error
        return b"".join(output)

    def next_deadline(self) -> float | None:
        if self.state is State.CLOSED:
            return None
        if self._complete():
            return self._heard
        return self._heard + (PING_S if self._waits is None else ANSWER_S)

    def handle_timer(self, now: Moment) -> bytes:
        """Raises `Ended`."""
        if self.state is State.CLOSED:
            return b""
        if self._complete():
            return self.received(b"", now)
        silent = now.steady - self._heard
        if self._waits is not None:
            if silent >= ANSWER_S:
                raise Ended("the master does not answer")
            return b""
        if silent < PING_S:
            return b""
        self._heard = now.steady
        return agentx.encode_ping(self._session, self._next_packet())

    def notify(self, varbinds: Sequence[VarBind]) -> bytes:
        """Nothing without a session: who is not there cannot be notified through."""
        if self.state is not State.OPEN:
            return b""
        self._packet += 1
        return agentx.encode_notify(self._session, varbinds, self._packet)

    def bye(self) -> bytes:
        if self.state is State.CLOSED:
            return b""
        self._packet += 1
        return agentx.encode_close(self._session, self._packet)

    # ------------------------------------------------------------------ PDUs

    def _next_packet(self) -> int:
        self._packet += 1
        self._waits = self._packet
        return self._packet

    def _complete(self) -> bool:
        """Whether a whole PDU waits in what was read."""
        if len(self._input) < agentx.HEADER_OCTETS:
            return False
        try:
            length = agentx.parse_header(bytes(self._input[: agentx.HEADER_OCTETS])).length
        except AgentXError:
            return True  # `received` says what is wrong with it
        return len(self._input) >= agentx.HEADER_OCTETS + length

    def _pdu(self) -> tuple[Header, bytes] | None:
        if len(self._input) < agentx.HEADER_OCTETS:
            return None
        header = agentx.parse_header(bytes(self._input[: agentx.HEADER_OCTETS]))
        end = agentx.HEADER_OCTETS + header.length
        if len(self._input) < end:
            return None
        payload = bytes(self._input[agentx.HEADER_OCTETS : end])
        del self._input[:end]
        return header, payload

    def _take(self, header: Header, payload: bytes, now: Moment) -> bytes:
        match header.type:
            case Type.RESPONSE:
                return self._response(header, payload)
            case Type.GET | Type.GET_NEXT | Type.GET_BULK:
                varbinds = self._answers(header, agentx.parse_request(header, payload), now)
                return agentx.encode_response(header, varbinds)
            case Type.TEST_SET:
                return agentx.encode_response(header, (), Failure.NOT_WRITABLE, 1)
            case Type.CLEANUP_SET:
                return b""  # has no answer (section 7.2.4.4)
            case Type.CLOSE:
                raise Ended("the master ended the session")
        return agentx.encode_response(header, (), Failure.PARSE)

    def _response(self, header: Header, payload: bytes) -> bytes:
        answer = agentx.parse_response(header, payload)
        if header.packet != self._waits:
            return b""  # to a notification
        self._waits = None
        match self.state:
            case State.OPENING:
                if answer.error:
                    raise Ended(f"the master refuses the session: error {answer.error}")
                self._session, self.state = header.session, State.REGISTERING
                return self._register()
            case State.REGISTERING:
                if answer.error:
                    self.refused.append((self._registering, answer.error))
                return self._register()
        if answer.error:
            raise Ended(f"the master does not know the session: error {answer.error}")
        return b""

    def _register(self) -> bytes:
        if not self._left:
            self.state = State.OPEN
            return b""
        self._registering = self._left.pop(0)
        return agentx.encode_register(self._session, self._registering, self._next_packet())

    # ------------------------------------------------------------------ questions

    def _answers(self, header: Header, request: agentx.Request, now: Moment) -> list[VarBind]:
        ranges = request.ranges
        if header.type == Type.GET:
            return [self._view.get(one.start, now) for one in ranges]
        if header.type == Type.GET_NEXT:
            return [self._next(one, now) for one in ranges]
        once, again = ranges[: request.non_repeaters], ranges[request.non_repeaters :]
        found = [self._next(one, now) for one in once]
        for _ in range(request.max_repetitions):
            if not again or len(found) + len(again) > MOST_VARBINDS:
                break
            row = [self._next(one, now) for one in again]
            found += row
            if all(bind.kind is Kind.END_OF_MIB_VIEW for bind in row):
                break
            again = tuple(
                agentx.Range(bind.name, False, one.end)
                for bind, one in zip(row, again, strict=True)
            )
        return found

    def _next(self, one: agentx.Range, now: Moment) -> VarBind:
        return self._view.next(one.start, one.end, inclusive=one.include, now=now)
