"""A hundred subscribers that register again and again, run in the Foreign Agent's namespace.

    python -m bench.failover.probe

Until SIGTERM; then prints a line of JSON: of each of them the times at which it was granted
something, s of Unix time.
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
from hacc_agent.wire import (
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationRequest,
    RequestFlags,
    authenticate,
)

from .site import ADDRESSES, KEY, POOL, SPI, UNIX, VIRTUAL, nai

SUBSCRIBERS = 100
EVERY_S = 0.1  # from a reply to the next request
AGAIN_S = 0.3  # without a reply; a controller holds eight requests of a mobile node at most
STEP = 499  # of them one is probed: they are spread over all slots
ACCEPTED = 0


def request(number: int, at: float) -> bytes:
    message = RegistrationRequest(
        RequestFlags(0),
        1800,
        POOL.network_address + 1 + number,
        VIRTUAL,
        ADDRESSES["agent"],
        int((at + UNIX) * 2**32),
        (NetworkAccessIdentifier(nai(number)),),
    ).to_bytes()
    key = Key(Algorithm.HMAC_MD5, bytes.fromhex(KEY))
    return authenticate(message, ExtensionType.MOBILE_HOME_AUTHENTICATION, SPI, key)


def main() -> int:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    numbers = [each * STEP for each in range(SUBSCRIBERS)]
    subscribers = {int(POOL.network_address) + 1 + n: place for place, n in enumerate(numbers)}
    granted: list[list[float]] = [[] for _ in numbers]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((str(ADDRESSES["agent"]), 434))
        own.setblocking(False)
        due = [time.time() + EVERY_S * place / SUBSCRIBERS for place in range(SUBSCRIBERS)]
        while not ended:
            now = time.time()
            for place, number in enumerate(numbers):
                if due[place] <= now:
                    with contextlib.suppress(OSError):  # nobody answers ARP for the group address
                        own.sendto(request(number, now), (str(VIRTUAL), 434))
                    due[place] = now + AGAIN_S
            select.select([own], [], [], max(0.0, min(due) - time.time()))
            while True:
                try:
                    reply = own.recv(2048)
                except BlockingIOError:
                    break
                if reply[0] == 3 and reply[1] == ACCEPTED:
                    place = subscribers[int.from_bytes(reply[4:8], "big")]
                    granted[place].append(time.time())
                    due[place] = time.time() + EVERY_S
    print(json.dumps(granted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
