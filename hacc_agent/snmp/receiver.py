"""Notifications of members, traps and informs: read with pysnmp, judged in `engine.snmp.traps`.

Only members are listened to, from an address that the configuration has for them, each only so
often, and only with our community, or our user's authentication and privacy: pysnmp would also take
a notification that names the user and proves nothing. What is refused is told of with its reason;
a stranger's datagram is not even parsed.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pyasn1.codec.ber import decoder
from pyasn1.error import PyAsn1Error
from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413.ntfrcv import NotificationReceiver
from pysnmp.error import PySnmpError
from pysnmp.proto.mpmod.rfc3412 import SNMPv3Message
from pysnmp.proto.rfc1902 import OctetString
from pysnmp.proto.secmod.rfc3414.service import UsmSecurityParameters

from ..engine.health import Trap
from ..engine.snmp.objects import Oid, Value
from ..engine.snmp.traps import Allowance, meaning
from .messages import Whom
from .reader import Access
from .with_pysnmp import value_of

REFUSALS: Final = {
    "snmpInBadCommunityNames": ("__SNMPv2-MIB", "a wrong community"),
    "snmpInASNParseErrs": ("__SNMPv2-MIB", "octets that are no SNMP"),
    "usmStatsUnknownUserNames": ("__SNMP-USER-BASED-SM-MIB", "an unknown user"),
    "usmStatsWrongDigests": ("__SNMP-USER-BASED-SM-MIB", "a wrong authentication key"),
    "usmStatsDecryptionErrors": ("__SNMP-USER-BASED-SM-MIB", "a wrong privacy key"),
    "usmStatsUnsupportedSecLevels": ("__SNMP-USER-BASED-SM-MIB", "a wrong level of security"),
    "usmStatsNotInTimeWindows": ("__SNMP-USER-BASED-SM-MIB", "an old message"),
}
"""pysnmp's counters of what it does not accept (RFC 3418, RFC 3414), and what we say of it.
usmStatsUnknownEngineIDs is none of them: informs begin by asking for ours."""

AUTH_PRIV: Final = 3


class _Sender(NamedTuple):
    """Whose address it is."""

    member: int
    router: str  # of a pair


class Receiver:
    """On a socket that is bound already: the port is a privileged one."""

    def __init__(
        self,
        access: Access,
        members: Sequence[Whom],
        bound: socket.socket,
        happened: Callable[[Trap], None],
        odd: Callable[[int | None, str], None],
    ) -> None:
        """`odd`: who (None: a stranger) sent what. Times of traps are the daemon's to add."""
        self._access = access
        self._senders = dict(_senders(members))
        self._engines: dict[str, OctetString] = {}  # by address
        self._happened, self._odd = happened, odd
        self._allowance = Allowance()
        self._engine = SnmpEngine()
        self._sender = _Sender(0, "")  # who sent the datagram that is being read
        self._level = 0  # of its security
        receiver = self

        class Members(udp.UdpAsyncioTransport):  # type: ignore[misc]  # pysnmp has no types
            """Passes on what members send, one datagram at a time."""

            def datagram_received(self, datagram: bytes, address: tuple[str, int]) -> None:
                receiver.datagram(self, datagram, address)

        transport = Members(loop=asyncio.get_running_loop())
        config.add_transport(self._engine, udp.DOMAIN_NAME, transport.open_server_mode(sock=bound))
        if access.version == 2:
            config.add_v1_system(self._engine, "cluster", access.community)
        else:
            self._know(None)  # for informs, whose keys are those of our own engine
        NotificationReceiver(self._engine, self._notified)
        self._engine.observer.register_observer(self._seen, "rfc3412.receiveMessage:request")
        builder = self._engine.get_mib_builder()
        self._counters = [
            (builder.import_symbols(module, name)[0], why)
            for name, (module, why) in REFUSALS.items()
        ]

    def close(self) -> None:
        self._engine.close_dispatcher()

    def datagram(self, transport: Any, octets: bytes, address: tuple[str, int]) -> None:
        """One that has arrived. What nobody accepts is told of."""
        sender = self._senders.get(address[0])
        if sender is None:
            self._odd(None, f"a notification from a stranger, {address[0]}")
            return
        member = sender.member
        if not self._allowance.allows(member, time.monotonic()):
            self._odd(member, "more notifications than are listened to")
            return
        if self._access.version == 3:
            self._meet(address[0], octets)
        self._sender, self._level = sender, 0
        before = [int(counter.syntax) for counter, _ in self._counters]
        try:
            transport._callback_function(transport, address, octets)
        except (PySnmpError, ValueError, TypeError, LookupError):  # pysnmp's parsers, at garbage
            self._odd(member, "a notification with octets that are no SNMP")
            return
        for (counter, why), count in zip(self._counters, before, strict=True):
            if int(counter.syntax) != count:
                self._odd(member, f"a notification with {why}")

    def _meet(self, address: str, octets: bytes) -> None:
        """The user's keys differ from engine to engine (RFC 3414, 2.6), and a trap comes with that
        of its sender: pysnmp has to know it before. One for each address, as strangers may write
        into this field what they like.
        """
        try:
            message, _ = decoder.decode(octets, asn1Spec=SNMPv3Message())
            inner = message["msgSecurityParameters"]
            parameters, _ = decoder.decode(inner, asn1Spec=UsmSecurityParameters())
        except PyAsn1Error:
            return
        engine = parameters["msgAuthoritativeEngineId"]
        ours = self._engine.snmpEngineID
        if not 4 < len(engine) < 33 or engine in (ours, self._engines.get(address)):
            return
        before = self._engines.pop(address, None)
        if before is not None and before not in self._engines.values():
            config.delete_v3_user(self._engine, self._access.user, before)
        if engine not in self._engines.values():
            self._know(engine)
        self._engines[address] = engine

    def _know(self, engine: OctetString | None) -> None:
        config.add_v3_user(
            self._engine,
            self._access.user,
            config.USM_AUTH_HMAC96_SHA,
            self._access.auth,
            config.USM_PRIV_CFB128_AES,
            self._access.priv,
            engine,
        )

    def _seen(self, _engine: Any, _point: str, variables: Mapping[str, Any], _context: Any) -> None:
        self._level = int(variables["securityLevel"])

    def _notified(
        self, _engine: Any, _reference: Any, _id: Any, _name: Any, rows: Any, _context: Any
    ) -> None:
        if self._access.version == 3 and self._level != AUTH_PRIV:
            self._odd(self._sender.member, "a notification without authentication and privacy")
            return
        varbinds: list[tuple[Oid, Value]] = [(tuple(name), value_of(value)) for name, value in rows]
        found = meaning(varbinds)
        if found is not None:
            kind, detail = found
            self._happened(Trap(self._sender.member, kind, detail, 0.0, self._sender.router))


def _senders(members: Sequence[Whom]) -> Iterator[tuple[str, _Sender]]:
    for number, member in enumerate(members):
        yield from ((address, _Sender(number, "")) for address in member.addresses)
        for router, addresses in member.routers:
            yield from ((address, _Sender(number, router)) for address in addresses)
