"""The agent behind `snmp-server` lines: messages, keys and sockets are pysnmp's.

Level-driven, as the planes are: a router whose lines say something else than before gets another
agent, on the same sockets. One without such lines has none, and its ports answer nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Final

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.smi.instrum import AbstractMibInstrumController

from hacc_agent.engine.effects import Moment
from hacc_agent.engine.snmp.view import View
from hacc_agent.wire.agentx import Kind, VarBind

from .device import Device
from .snmp import FRESH_S, Access, access, view

PORT: Final = 161
EVERYTHING: Final = (1, 3, 6, 1)

_TYPES: Final = {
    Kind.INTEGER: rfc1902.Integer32,
    Kind.OCTET_STRING: rfc1902.OctetString,
    Kind.OBJECT_IDENTIFIER: rfc1902.ObjectIdentifier,
    Kind.IP_ADDRESS: rfc1902.IpAddress,
    Kind.COUNTER32: rfc1902.Counter32,
    Kind.GAUGE32: rfc1902.Gauge32,
    Kind.TIME_TICKS: rfc1902.TimeTicks,
    Kind.COUNTER64: rfc1902.Counter64,
}
_NOTHING: Final = {
    Kind.NO_SUCH_OBJECT: rfc1905.noSuchObject,
    Kind.NO_SUCH_INSTANCE: rfc1905.noSuchInstance,
    Kind.END_OF_MIB_VIEW: rfc1905.endOfMibView,
}


def bind(address: str) -> socket.socket:
    """Where SNMP is asked, at an address or ("") at all of a namespace."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.bind((address, PORT))
    except OSError:
        opened.close()
        raise
    return opened


class Agent:
    """Of one router."""

    def __init__(self, device: Device, clock: Callable[[], Moment]) -> None:
        self._device = device
        self._clock = clock
        self._sockets: list[socket.socket] = []
        self._running: tuple[Access, int] | None = None  # with which access, on how many sockets
        self._engine: ExitStack | None = None

    def listen(self, opened: socket.socket) -> None:
        """One more socket; whoever opened it calls `leave` before it goes."""
        self._sockets.append(opened)

    def leave(self, opened: socket.socket) -> None:
        self._stop()
        self._sockets.remove(opened)
        opened.close()

    def close(self) -> None:
        self._stop()
        for opened in self._sockets:
            opened.close()
        self._sockets.clear()

    def settle(self) -> None:
        """Be what the configuration says."""
        allowed = access(self._device)
        here = len(self._sockets) if self._device.powered else 0
        wanted = (allowed, here) if here and (allowed.communities or allowed.users) else None
        if wanted == self._running:
            return
        self._stop()
        if wanted is not None:
            self._engine = _engine(self._device, allowed, self._sockets, self._clock)
            self._running = wanted

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = self._running = None


def _engine(
    device: Device, allowed: Access, sockets: Sequence[socket.socket], clock: Callable[[], Moment]
) -> ExitStack:
    digest = hashlib.blake2s(device.name.encode(), digest_size=6).digest()
    # Enterprise 9, format 3: a MAC address (RFC 3411, SnmpEngineID).
    engine = SnmpEngine(rfc1902.OctetString(b"\x80\x00\x00\x09\x03" + digest))
    stack = ExitStack()
    stack.callback(engine.close_dispatcher)
    loop = asyncio.get_running_loop()
    for number, opened in enumerate(sockets):
        transport = udp.UdpAsyncioTransport(loop=loop)
        domain = (*udp.DOMAIN_NAME, number)
        config.add_transport(engine, domain, transport.open_server_mode(sock=opened.dup()))
    for number, community in enumerate(allowed.communities):
        config.add_v1_system(engine, f"area{number}", community)
        config.add_vacm_user(engine, 2, f"area{number}", "noAuthNoPriv", EVERYTHING)
    for user, auth, priv in allowed.users:
        config.add_v3_user(
            engine, user, config.USM_AUTH_HMAC96_SHA, auth, config.USM_PRIV_CFB128_AES, priv
        )
        config.add_vacm_user(engine, 3, user, "authPriv", EVERYTHING)
    known = context.SnmpContext(engine)
    known.unregister_context_name(b"")
    known.register_context_name(b"", _Objects(device, clock))
    for responder in (
        cmdrsp.GetCommandResponder,
        cmdrsp.NextCommandResponder,
        cmdrsp.BulkCommandResponder,
    ):
        responder(engine, known)
    return stack


class _Objects(AbstractMibInstrumController):  # type: ignore[misc]  # pysnmp has no types
    """Answers pysnmp's responders from the router's view."""

    def __init__(self, device: Device, clock: Callable[[], Moment]) -> None:
        self._device = device
        self._clock = clock
        self._made = float("-inf")
        self._view = View(())

    def _now(self) -> Moment:
        now = self._clock()
        if now.steady - self._made >= FRESH_S:
            self._view, self._made = view(self._device, self._clock), now.steady
        return now

    def read_variables(self, *varbinds: Any, **words: Any) -> list[tuple[Any, Any]]:
        now = self._now()
        found = []
        for index, (name, value) in enumerate(varbinds):
            words["acFun"]("read", (name, value), idx=index, **words)
            found.append(_told(self._view.get(tuple(name), now)))
        return found

    def read_next_variables(self, *varbinds: Any, **words: Any) -> list[tuple[Any, Any]]:
        now = self._now()
        found = []
        for index, (name, value) in enumerate(varbinds):
            words["acFun"]("read", (name, value), idx=index, **words)
            bind = self._view.next(tuple(name), (), inclusive=False, now=now)
            found.append(_told(bind))
        return found


def _told(bind: VarBind) -> tuple[Any, Any]:
    name = rfc1902.ObjectName(bind.name)
    if bind.kind in _NOTHING:
        return name, _NOTHING[bind.kind]
    return name, _TYPES[bind.kind](bind.data)
