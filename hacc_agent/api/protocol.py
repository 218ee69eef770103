"""Connections to strangers: each of them has so long to ask, and so long to take the answer.

uvicorn bounds how much of a request it keeps and how many connections there are; who sends a
request octet by octet, or does not read what it has asked for, would keep a connection for ever.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ASK_S: Final = 10.0  # from the first octet, or the connection, to the end of a request
TAKE_S: Final = 30.0  # that a connection may be full; a listener catches up or begins anew
WAITING: Final = frozenset({h11.IDLE, h11.SEND_BODY})  # the other end owes something


class Protocol(H11Protocol):
    """HTTP/1.1 with deadlines. The application finds who a certificate names in its state."""

    _asking: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        super().connection_made(transport)
        self.app_state = {**self.app_state, "certified": tuple(_names(transport))}
        self._asking = self.loop.call_later(ASK_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in WAITING:
            self._asked()
        elif self._asking is None:
            self._asking = self.loop.call_later(ASK_S, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._taking is None:
            self._taking = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._asked()
        self._taken()

    def _asked(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None


def _names(transport: asyncio.Transport) -> Iterator[str]:
    """The subject alternative names of the other end's certificate, which TLS has verified."""
    layer: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    certificate: Any = layer.getpeercert() if layer is not None else None
    for _, name in (certificate or {}).get("subjectAltName", ()):
        yield name
