"""Agent discovery on the LANs of this router: sockets around `engine.discovery`.

A packet socket hears, since only it knows the MAC address and the TTL of what came; a raw one
speaks. Both belong to who may send frames anyway. What has come is looked at four times a second
and so many at a time: whoever floods a LAN with advertisements fills a buffer of the kernel's, and
keeps no registration waiting.

Stock routers are told by CDP, and only told: what they know is read by SNMP (`snmp`).
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final

from . import __version__, bpf
from .bpf import Step
from .config import AgentConfig, Lan, LanAddress
from .engine.discovery.advertising import INTERVAL_S, Advertising
from .engine.discovery.neighbours import (
    ROLES,
    Heard,
    Neighbour,
    Neighbourhood,
    Verdict,
    expected,
    mac_text,
)
from .engine.effects import Moment
from .headers import ETHERTYPE_IP
from .logs import Logs, address_text
from .resources import Resources
from .wire import AgentAdvertisement, AgentLoad, AgentState, WireError, parse_discovery
from .wire.advertisement import ADVERTISEMENT_TYPE, SOLICITATION_TYPE
from .wire.cdp import ROUTER, CdpAnnouncement
from .wire.load import cluster_digest, short_name

EVERYBODY: Final = "224.0.0.1"
ROUTERS: Final = "224.0.0.2"  # where RFC 1256 solicits
MOBILITY_AGENTS: Final = "224.0.0.11"  # where RFC 5944, 2.3 may solicit too

LOOK_S: Final = 1.0
AT_ONCE: Final = 128
"""Messages of one LAN that a look reads, and so a second: below a hundredth of a processor. On a
LAN with thousands of routers of the cluster there are more: four times what they say meanwhile."""

CDP_S: Final = 60.0
CDP_HOLD_S: Final = 180
"""As IOS does by itself (`cdp timer`, `cdp holdtime`)."""

FINDINGS: Final = 16
"""That `status` names; `neighbours` has them all."""

BUFFER: Final = 1 << 18  # octets: some hundred messages
LARGEST: Final = 1500

ICMP: Final = 1
_IP: Final = Struct("!BxHxxHBBxxII")  # version and words, length, fragment, TTL, protocol, ends
_MEMBERSHIP: Final = Struct("=4s4si")  # struct ip_mreqn: group, address, interface

DISCOVERY_ALONE: Final = (
    Step(bpf.LOAD_BYTE, 9),
    Step(bpf.JUMP_EQUAL, ICMP, no="drop"),
    Step(bpf.LOAD_HALF, 6),
    Step(bpf.JUMP_BITS, bpf.LATER_FRAGMENT, yes="drop"),
    Step(bpf.LOAD_X_HEADER, 0),
    Step(bpf.LOAD_BYTE_X, 0),
    Step(bpf.JUMP_EQUAL, ADVERTISEMENT_TYPE, yes="take"),
    Step(bpf.JUMP_EQUAL, SOLICITATION_TYPE, yes="take"),
    Step(bpf.RETURN, 0, name="drop"),
    Step(bpf.RETURN, bpf.WHOLE, name="take"),
)
"""Offsets are those of the packet: the socket takes frames' headers off."""


class _Sockets:
    """Of one LAN."""

    def __init__(self, lan: Lan) -> None:
        """Raises OSError: PermissionError without CAP_NET_RAW."""
        self.lan = lan
        self.index = socket.if_nametoindex(lan.interface)
        with contextlib.ExitStack() as stack:
            kind = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            # It hears nothing until its filter stands, and then is bound.
            self._in = stack.enter_context(
                socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | kind, 0)
            )
            self._in.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            bpf.attach(self._in, DISCOVERY_ALONE)
            self._in.bind((lan.interface, ETHERTYPE_IP))
            self._frames = stack.enter_context(
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW | kind, 0)
            )
            self._frames.bind((lan.interface, 0))  # protocol 0: it hears nothing
            self._out = stack.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_RAW | kind, socket.IPPROTO_ICMP)
            )
            bpf.attach(self._out, bpf.NOTHING)
            self._out.bind((str(lan.address.ip), 0))
            own = _MEMBERSHIP.pack(bytes(4), lan.address.ip.packed, self.index)
            self._out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            self._out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            self._out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            for group in (ROUTERS, MOBILITY_AGENTS):
                joined = _MEMBERSHIP.pack(socket.inet_aton(group), bytes(4), self.index)
                self._out.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
            self._stack = stack.pop_all()

    def receive(self, most: int) -> Iterator[tuple[bytes, int]]:
        """Packets that wait, and the MAC addresses that they came from."""
        for _ in range(most):
            try:
                packet, (*_, mac) = self._in.recvfrom(LARGEST)
            except OSError:  # nothing more, or the interface has gone
                return
            yield packet, int.from_bytes(mac[:6], "big")

    def send(self, message: bytes, group: str) -> bool:
        try:
            self._out.sendto(message, (group, 0))
        except OSError:  # it is down, or has no address: the next one comes
            return False
        return True

    def announce(self, said: CdpAnnouncement) -> None:
        """From the MAC address that the interface has now."""
        own = int.from_bytes(self._frames.getsockname()[4], "big")
        with contextlib.suppress(OSError):  # it is down: the next one comes
            self._frames.send(said.frame(own))

    def there(self) -> bool:
        """Whether this is the interface that has the name now."""
        with contextlib.suppress(OSError):
            return socket.if_nametoindex(self.lan.interface) == self.index
        return True  # none has: nothing better can be opened

    def close(self) -> None:
        self._stack.close()


class Discovery:
    """A part of the daemon (`daemon.Part`), of a router that sends frames."""

    def __init__(
        self,
        config: AgentConfig,
        vitals: Callable[[], tuple[int, bool]],
        logs: Logs,
        clock: Callable[[], Moment],
    ) -> None:
        """`vitals`: how many bindings this router has, and whether it decides or serves.

        Raises OSError: PermissionError without CAP_NET_RAW.
        """
        self._config, self._vitals, self._logs, self._clock = config, vitals, logs, clock
        now = clock().steady
        self._neighbourhood = Neighbourhood(config, now)
        self._resources = Resources()
        self._sockets: dict[str, _Sockets] = {}
        self._advertising: dict[str, Advertising] = {}
        self.sent = self.unsent = self.odd = 0
        try:
            for lan in config.lans:
                self._sockets[lan.name] = _Sockets(lan)
                own = LanAddress(lan.name, lan.address.ip)
                self._advertising[lan.name] = Advertising(
                    own, config.lifetime_s, random.random, now
                )
        except BaseException:
            self.close()
            raise
        self._look_at = self._announce_at = now

    def reconfigure(self, config: AgentConfig) -> None:
        """The LANs are those of before; the routers on them may be others."""
        others = expected(config) != expected(self._config)
        self._config = config
        if others:
            self._neighbourhood = Neighbourhood(config, self._clock().steady)

    def leave(self) -> None:
        """An orderly stop is said on the LANs."""
        for name, sockets in self._sockets.items():
            sockets.send(self._advertising[name].farewell(self._load()), EVERYBODY)

    def close(self) -> None:
        for sockets in self._sockets.values():
            sockets.close()

    # ------------------------------------------------------------------ the daemon's part

    def fileno(self) -> None:
        return None

    def next_deadline(self) -> float:
        return self._look_at

    def handle(self, now: Moment) -> None:
        self._look_at = now.steady + LOOK_S
        for name, sockets in self._sockets.items():
            most = AT_ONCE + int(4 * len(self._neighbourhood) * LOOK_S / INTERVAL_S)
            for packet, mac in sockets.receive(most):
                self._take(name, packet, mac, now.steady)
        for found in self._neighbourhood.handle_timer(now.steady):
            self._tell(found)
        for name in self._sockets:
            self._speak(name, now.steady)
        if self._config.cdp and now.steady >= self._announce_at:
            self._announce_at = now.steady + CDP_S
            for sockets in self._sockets.values():
                sockets.announce(self._cdp(sockets.lan))

    def _take(self, lan: str, packet: bytes, mac: int, now: float) -> None:
        first, length, _, ttl, _, source, _ = _IP.unpack_from(packet)
        try:
            message = parse_discovery(packet[4 * (first & 15) : length])
        except WireError:
            self.odd += 1
            return
        if not isinstance(message, AgentAdvertisement):
            if ttl == 1:  # RFC 5944, 2.2
                self._advertising[lan].asked(now)
            return
        before = self._neighbourhood.untold
        found = self._neighbourhood.heard(Heard(lan, source, mac, ttl, message), now)
        if found is not None:
            self._tell(found)
        elif self._neighbourhood.untold != before:
            self._logs.limited("more strangers on the LAN than are told apart", lan)

    def _speak(self, name: str, now: float) -> None:
        advertising = self._advertising[name]
        if now < advertising.next_deadline:
            return
        if not self._sockets[name].there():
            self._reopen(name)
        sockets = self._sockets[name]
        solicitation = advertising.solicitation()
        if solicitation is not None:
            sockets.send(solicitation, ROUTERS)
        message = advertising.advertise(self._load(), now)
        if message is not None:
            if sockets.send(message, EVERYBODY):
                self.sent += 1
            else:
                self.unsent += 1

    def _reopen(self, name: str) -> None:
        """On an interface that was made anew."""
        with contextlib.suppress(OSError):
            made = _Sockets(self._sockets[name].lan)
            self._sockets[name].close()
            self._sockets[name] = made

    def _cdp(self, lan: Lan) -> CdpAnnouncement:
        return CdpAnnouncement(
            self._config.name,
            (lan.address.ip,),
            lan.interface,
            ROUTER,
            f"hacc-agent {__version__}",
            "Linux",
            CDP_HOLD_S,
        )

    def _load(self) -> AgentLoad:
        config, use = self._config, self._resources.look(self._clock().steady)
        bindings, active = self._vitals()
        return AgentLoad(
            cluster_digest(config.cluster),
            short_name(config.name),
            ROLES[config.role],
            AgentState.ACTIVE if active else AgentState.STANDBY,
            bindings,
            _whole(use.cpu),
            _whole(use.memory_free),
        )

    # ------------------------------------------------------------------ what people are told

    def _tell(self, found: Neighbour) -> None:
        where = {"lan": found.lan, "address": address_text(found.address)}
        if found.mac:
            where["mac"] = mac_text(found.mac)
        who = found.router.name if found.router is not None else ""
        match found.verdict:
            case Verdict.EXPECTED:
                self._logs.info("an agent is heard again", router=who, **where)
            case Verdict.MISSING:
                self._logs.warning("an agent is missing", router=who, why=found.why, **where)
            case _:
                self._logs.limited(f"{_article(found.verdict)} on the LAN", why=found.why, **where)

    def hears(self, at: LanAddress) -> bool:
        """Whether a router of the cluster advertises from there."""
        return self._neighbourhood.adjacent(at.lan, int(at.address))

    def neighbours(self) -> Iterator[dict[str, Any]]:
        """All that are known, one by one."""
        now = self._clock().steady
        for one in self._neighbourhood.all():
            load = one.load
            yield {
                "lan": one.lan,
                "address": address_text(one.address),
                "mac": mac_text(one.mac) if one.mac else None,
                "verdict": one.verdict.value,
                "why": one.why,
                "router": None if one.router is None else one.router.name,
                "since_s": round(now - one.first, 1),
                "seen_s": round(now - one.last, 1) if one.heard else None,
                "heard": one.heard,
                "restarts": one.restarts,
                "says": None
                if load is None
                else {
                    "router": load.router,
                    "role": load.role.name.lower().replace("_", "-"),
                    "state": load.state.name.lower(),
                    "bindings": load.bindings,
                    "cpu_percent": load.cpu_percent,
                    "memory_free_percent": load.memory_free_percent,
                },
            }

    def status(self) -> dict[str, Any]:
        """How many of what; and who it is that differs from the configuration."""
        counts = dict.fromkeys((one.value for one in Verdict), 0)
        findings: list[dict[str, str | None]] = []
        for one in self._neighbourhood.all():
            counts[one.verdict.value] += 1
            if one.verdict is not Verdict.EXPECTED and len(findings) < FINDINGS:
                findings.append(
                    {
                        "verdict": one.verdict.value,
                        "router": None if one.router is None else one.router.name,
                        "address": address_text(one.address),
                        "why": one.why,
                    }
                )
        return {
            **counts,
            "findings": findings,
            "awaited": [router.name for router in self._neighbourhood.awaited()],
            "untold": self._neighbourhood.untold,
            "sent": self.sent,
            "unsent": self.unsent,
            "odd": self.odd,
        }


def _whole(percent: float | None) -> int | None:
    return None if percent is None else round(min(100.0, max(0.0, percent)))


def _article(verdict: Verdict) -> str:
    return f"an {verdict}" if verdict is Verdict.IMPOSTOR else f"a {verdict}"
