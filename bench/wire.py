"""How fast messages are read and authenticated, beside Python's own HMAC in the same run.

    python -m bench.wire

The message is a mobile node's: 24 octets of request, an NAI, a Mobile-Home Authentication
Extension. `hmac.digest` over what that covers is the unit: a relay has to peek in far less time,
and a member must not pay more for the keys that it holds ready than a part of what HMAC costs from
scratch. Rows are interleaved and processor time is what counts: ratios hold on a busy machine,
absolute numbers move with it.
"""

from __future__ import annotations

import hmac
import statistics
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from bench.machine import machine
from hacc_agent.wire import (
    Algorithm,
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    authenticate,
    parse,
    peek_reply,
    peek_request,
    verify,
)

ROUNDS = 9
RUNS = 10_000  # of each row in a round
PEER = "hmac.digest"
RELAYED = 100_000  # messages a second that a controller passes on; a request and its reply are two

HOME, AGENT = IPv4Address("198.19.64.1"), IPv4Address("198.19.0.1")
SECRET = bytes(range(16))
KEY = Key(Algorithm.HMAC_MD5, SECRET)
OLD_KEY = Key(Algorithm.MD5_PREFIX_SUFFIX, SECRET)
NAI = (NetworkAccessIdentifier(b"mn000001@example.net"),)
KIND = ExtensionType.MOBILE_HOME_AUTHENTICATION

BARE = RegistrationRequest(
    RequestFlags.REVERSE_TUNNEL, 1800, HOME, AGENT, IPv4Address("198.18.9.1"), 2**63 + 1, NAI
).to_bytes()
REQUEST = authenticate(BARE, KIND, 256, KEY)
OLD_REQUEST = authenticate(BARE, KIND, 256, OLD_KEY)
REPLY = authenticate(
    RegistrationReply(0, 1800, HOME, AGENT, 2**63 + 1, NAI).to_bytes(), KIND, 256, KEY
)
COVERED = REQUEST[:-16]
AT = len(BARE)
FRAME = memoryview(bytes(42) + REQUEST)  # as a relay has it: behind Ethernet, IP and UDP

ROWS: dict[str, tuple[Callable[[], object], float | None]] = {
    # what is done, and at most how much of hmac.digest's time it may take
    PEER: (lambda: hmac.digest(SECRET, COVERED, "md5"), None),
    "hmac.new, then digest": (lambda: hmac.new(SECRET, COVERED, "md5").digest(), None),
    "peek at a request": (lambda: peek_request(REQUEST, 0, len(REQUEST)), 0.4),
    "peek at a request in a frame": (lambda: peek_request(FRAME, 42, len(FRAME)), 0.4),
    "peek at a reply": (lambda: peek_reply(REPLY, 0, len(REPLY)), 0.4),
    "verify, HMAC-MD5": (lambda: verify(REQUEST, AT, KEY), 0.5),
    "verify, MD5 prefix and suffix": (lambda: verify(OLD_REQUEST, AT, OLD_KEY), 0.5),
    "authenticate, HMAC-MD5": (lambda: authenticate(BARE, KIND, 256, KEY), 1.0),
    "parse a request": (lambda: parse(REQUEST), 2.5),
    "parse and write a request": (lambda: parse(REQUEST).to_bytes(), 3.5),
}


def nanoseconds(work: Callable[[], object]) -> float:
    start = time.process_time_ns()
    for _ in range(RUNS):
        work()
    return (time.process_time_ns() - start) / RUNS


def main() -> int:
    rounds = [{name: nanoseconds(work) for name, (work, _) in ROWS.items()} for _ in range(ROUNDS)]
    missed = 0
    print(f"{len(REQUEST)} octets; median of {ROUNDS} rounds; share: of {PEER}'s time, same round")
    for name, (_, limit) in ROWS.items():
        cost = statistics.median(each[name] for each in rounds)
        share = statistics.median(each[name] / each[PEER] for each in rounds)
        bound = "" if limit is None else f"   limit {limit:g}"
        missed += limit is not None and share > limit
        print(f"{name:31} {cost:7.0f} ns  {1e9 / cost:10,.0f}/s   share {share:5.2f}{bound}")
    pair = statistics.median(each["peek at a request"] + each["peek at a reply"] for each in rounds)
    part = RELAYED / 2 * pair / 1e9
    print(f"peeking takes {part:.1%} of a core that relays {RELAYED:,} messages a second")
    print(machine())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
