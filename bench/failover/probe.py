"""A hundred subscribers, run in the Foreign Agent's namespace: they register, and get packets.

    python -m bench.failover.probe

Each of them registers ten times a second, whether or not it is answered, and a correspondent here
sends to its home address at the same rate, by way of the controllers; what comes out of a member's
tunnel is taken. Until SIGTERM; then prints a line of JSON: of each of them the times at which it
was granted something, and at which a packet of its came, s of Unix time.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import sys
import time

from hacc_agent.config import Algorithm
from hacc_agent.engine.home_agent.replay import timestamp
from hacc_agent.wire import (
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationRequest,
    RequestFlags,
    authenticate,
)

from .site import ADDRESSES, EVERY_S, KEY, POOL, SPI, VIRTUAL, nai

SUBSCRIBERS = 100
STEP = 499  # of them one is probed: they are spread over all slots
ACCEPTED = 0
DISCARD = 9  # UDP port
INNER = 20  # octets of the outer header; then the inner destination stands at 16


def request(number: int, at: float) -> bytes:
    message = RegistrationRequest(
        RequestFlags(0),
        1800,
        POOL.network_address + 1 + number,
        VIRTUAL,
        ADDRESSES["agent"],
        timestamp(at),
        (NetworkAccessIdentifier(nai(number)),),
    ).to_bytes()
    key = Key(Algorithm.HMAC_MD5, bytes.fromhex(KEY))
    return authenticate(message, ExtensionType.MOBILE_HOME_AUTHENTICATION, SPI, key)


class Probe:
    """Both kinds, from sockets that are open."""

    def __init__(self, registrations: socket.socket, tunnels: socket.socket) -> None:
        self._registrations, self._tunnels = registrations, tunnels
        self._correspondent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._numbers = [each * STEP for each in range(SUBSCRIBERS)]
        first = int(POOL.network_address) + 1
        self._places = {first + n: place for place, n in enumerate(self._numbers)}
        self._homes = [str(POOL.network_address + 1 + n) for n in self._numbers]
        self.granted: list[list[float]] = [[] for _ in self._numbers]
        self.received: list[list[float]] = [[] for _ in self._numbers]

    def ask(self, place: int, now: float) -> None:
        with contextlib.suppress(OSError):  # nobody answers ARP for the group address
            self._registrations.sendto(request(self._numbers[place], now), (str(VIRTUAL), 434))
        with contextlib.suppress(OSError):
            self._correspondent.sendto(b"?", (self._homes[place], DISCARD))

    def hear(self) -> None:
        """All that has come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                reply = self._registrations.recv(2048)
                if reply[0] == 3 and reply[1] == ACCEPTED:
                    self._note(self.granted, reply[4:8])
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self._tunnels.recv(2048)
                self._note(self.received, packet[INNER + 16 : INNER + 20])

    def _note(self, times: list[list[float]], home: bytes) -> None:
        place = self._places.get(int.from_bytes(home, "big"))
        if place is not None:
            times[place].append(time.time())


def main() -> int:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as registrations,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP) as tunnels,
    ):
        registrations.bind((str(ADDRESSES["agent"]), 434))
        for one in (registrations, tunnels):
            one.setblocking(False)
        probe = Probe(registrations, tunnels)
        begin, turn = time.time(), 0
        while not ended:
            due = begin + turn * EVERY_S / SUBSCRIBERS
            now = time.time()
            if now < due:
                select.select([registrations, tunnels], [], [], due - now)
            else:
                probe.ask(turn % SUBSCRIBERS, now)
                turn += 1
            probe.hear()
    print(json.dumps([probe.granted, probe.received]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
