"""Questions to a RADIUS server about mobile nodes: packets, tries, and what its answers prove.

A Foreign Agent's challenge, answered with the secret that a mobile node shares with its AAA server,
is put to the server as CHAP (RFC 4721, 8; RFC 2865). With its consent the server may hand out the
node's association with its Home Agent, in the attributes of 3GPP2 X.S0011, which FreeRADIUS, Cisco
and others know: then the node's next registrations are judged here.

An answer is believed when its authenticator holds. That one is MD5 over a prefix that the sender
of a question partly chooses, and was forged (CVE-2024-3596, "Blast-RADIUS"); the HMAC-MD5 of a
Message-Authenticator was not. Questions always carry one. Acceptances have to from the first on
that does: servers older than the forgery do not send it by themselves.

No identifier is used twice while a question waits, and there are 256: what is beyond is unanswered
at once, so that a silent server costs memory for 256 registrations and no more.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .. import config
from .effects import Answer, AskAaa, Verdict

CHAP_SPI = 2  # RFC 4721, 9: the one kind of MN-AAA authenticator that RADIUS can carry
CHALLENGE_OCTETS = 237  # of a challenge, beside 16 of a digest in 253 of an attribute (RFC 4721, 8)
LARGEST = 4096  # octets of a packet (RFC 2865, 3)
HEADER = struct.Struct("!BBH16s")  # code, identifier, length, authenticator
THREE_GPP2 = 5535  # its private enterprise number
AUTHENTICATOR = 16  # octets
LONGEST = 253  # octets of an attribute's value; a NAI may have 255


class Code(enum.IntEnum):
    """RFC 2865, 3."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCESS_CHALLENGE = 11


class Attribute(enum.IntEnum):
    """RFC 2865, 5; Message-Authenticator is RFC 3579's."""

    USER_NAME = 1
    CHAP_PASSWORD = 3
    VENDOR_SPECIFIC = 26
    NAS_IDENTIFIER = 32
    CHAP_CHALLENGE = 60
    MESSAGE_AUTHENTICATOR = 80


class Vendor(enum.IntEnum):
    """3GPP2 X.S0011-005, as FreeRADIUS's dictionary.3gpp2 has them."""

    MN_HA_SPI = 57
    MN_HA_SHARED_KEY = 58  # hidden as RFC 2868, 3.5 hides a Tunnel-Password, without a tag


@dataclass(slots=True)
class _Question:
    number: int
    packet: bytes
    due: float  # s of the steady clock: when it is asked again, or given up
    tries: int  # that are left


@dataclass(slots=True)
class AaaCounters:
    accepted: int = 0
    rejected: int = 0
    unanswered: int = 0  # after every try, or because 256 others wait
    retries: int = 0
    forged: int = 0  # packets that nothing waits for, or whose authenticator does not hold


class AaaClient:
    """What was asked and not answered yet. Packets go to, and come from, the one server."""

    def __init__(
        self,
        radius: config.Radius,
        router: config.AgentConfig,
        token: Callable[[int], bytes],
    ) -> None:
        """`token` is the source of random octets."""
        self._secret = radius.secret.encode("ascii")
        self._timeout = radius.timeout_ms / 1000
        self._tries = radius.tries
        self._replay = router.replay  # no attribute says them of an association that is handed out
        self._tolerance = router.tolerance_s
        self._asker = _attribute(Attribute.NAS_IDENTIFIER, router.name.encode())
        self._token = token
        self._waiting: dict[int, _Question] = {}  # by identifier, the oldest first
        self._identifier = token(1)[0]  # of the question asked last
        self._proves = False  # the server's acceptances carry Message-Authenticators
        self.counters = AaaCounters()

    def ask(self, asked: AskAaa, now: float) -> bytes | Answer:
        """The packet to send; an answer when nobody has to be asked for it."""
        chap = asked.spi == CHAP_SPI and len(asked.authenticator) == AUTHENTICATOR
        if not chap or not 1 <= len(asked.nai) <= LONGEST:
            return self._judged(Answer(Verdict.REJECTED))
        if len(self._waiting) == 256:
            return self._judged(Answer(Verdict.UNANSWERED))
        while self._identifier in self._waiting:
            self._identifier = (self._identifier + 1) % 256
        packet = self._request(self._identifier, asked)
        self._waiting[self._identifier] = _Question(
            asked.number, packet, now + self._timeout, self._tries - 1
        )
        self._identifier = (self._identifier + 1) % 256
        return packet

    def receive(self, packet: bytes) -> tuple[int, Answer] | None:
        """Which question the server has answered, and how; None for what proves nothing."""
        try:
            code, identifier, attributes, waiting = self._proven(packet)
            answer = Answer(Verdict.REJECTED)  # also to a challenge: a mobile node cannot hear it
            if code == Code.ACCESS_ACCEPT:
                answer = Answer(Verdict.ACCEPTED, self._association(attributes, waiting.packet))
        except _Forged:
            self.counters.forged += 1
            return None
        del self._waiting[identifier]
        return waiting.number, self._judged(answer)

    def next_deadline(self) -> float | None:
        return min((question.due for question in self._waiting.values()), default=None)

    def handle_timer(self, now: float) -> Iterator[bytes | tuple[int, Answer]]:
        """Packets to send once more, and questions that have been asked often enough."""
        for identifier, question in list(self._waiting.items()):
            if question.due > now:
                continue
            if question.tries:
                question.tries -= 1
                question.due = now + self._timeout
                self.counters.retries += 1
                yield question.packet
            else:
                del self._waiting[identifier]
                yield question.number, self._judged(Answer(Verdict.UNANSWERED))

    def _judged(self, answer: Answer) -> Answer:
        match answer.verdict:
            case Verdict.ACCEPTED:
                self.counters.accepted += 1
            case Verdict.REJECTED:
                self.counters.rejected += 1
            case Verdict.UNANSWERED:
                self.counters.unanswered += 1
        return answer

    def _request(self, identifier: int, asked: AskAaa) -> bytes:
        """An Access-Request (RFC 2865, 4.1), its Message-Authenticator first (RFC 3579, 3.2)."""
        challenge = asked.challenge or b"\0"  # co-located: RFC 4721, 3.5 has the challenge 0
        digest = hashlib.md5(asked.preceding, usedforsecurity=False).digest()
        attributes = b"".join(
            (
                _attribute(Attribute.MESSAGE_AUTHENTICATOR, bytes(AUTHENTICATOR)),
                _attribute(Attribute.USER_NAME, asked.nai),
                _attribute(Attribute.CHAP_PASSWORD, challenge[:1] + asked.authenticator),
                _attribute(Attribute.CHAP_CHALLENGE, digest + challenge[-CHALLENGE_OCTETS:]),
                self._asker,
            )
        )
        length = HEADER.size + len(attributes)
        header = HEADER.pack(Code.ACCESS_REQUEST, identifier, length, self._token(AUTHENTICATOR))
        proof = hmac.digest(self._secret, header + attributes, "md5")
        return header + attributes[:2] + proof + attributes[2 + AUTHENTICATOR :]

    def _proven(self, packet: bytes) -> tuple[int, int, list[tuple[int, int, bytes]], _Question]:
        """Code, identifier, attributes and question of an answer that only the server can give."""
        if len(packet) < HEADER.size:
            raise _Forged
        code, identifier, length, authenticator = HEADER.unpack_from(packet)
        waiting = self._waiting.get(identifier)
        if waiting is None or not HEADER.size <= length <= min(len(packet), LARGEST):
            raise _Forged
        asked = waiting.packet[4 : HEADER.size]  # the authenticator of the question
        body = packet[HEADER.size : length]  # what is beyond is padding (RFC 2865, 3)
        expected = hashlib.md5(packet[:4] + asked + body + self._secret, usedforsecurity=False)
        if not hmac.compare_digest(expected.digest(), authenticator):
            raise _Forged
        if code not in (Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE):
            raise _Forged
        attributes = list(_attributes(body))
        proofs = [place for place, kind, _ in attributes if kind == Attribute.MESSAGE_AUTHENTICATOR]
        accepts = code == Code.ACCESS_ACCEPT
        if len(proofs) > 1 or (accepts and self._proves and not proofs):
            raise _Forged
        for place in proofs:
            after = place + AUTHENTICATOR
            cleared = body[:place] + bytes(AUTHENTICATOR) + body[after:]
            proof = hmac.digest(self._secret, packet[:4] + asked + cleared, "md5")
            if not hmac.compare_digest(proof, body[place:after]):
                raise _Forged
        self._proves |= accepts and bool(proofs)
        return code, identifier, attributes, waiting

    def _association(
        self, attributes: list[tuple[int, int, bytes]], question: bytes
    ) -> config.Security | None:
        """The association that an acceptance hands out: SPI and key, or nothing."""
        found = dict(_vendor(attributes))
        index, hidden = found.get(Vendor.MN_HA_SPI), found.get(Vendor.MN_HA_SHARED_KEY)
        if index is None or hidden is None or len(index) != 4:
            return None
        spi = int.from_bytes(index)
        key = shown(hidden, question[4 : HEADER.size], self._secret)
        if spi < 256 or not 1 <= len(key) <= 64:
            return None
        return config.Security(
            spi, config.Algorithm.HMAC_MD5, key.hex(), self._replay, self._tolerance
        )


class _Forged(Exception):
    """Not an answer of the server's to a question that waits."""


def shown(hidden: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """What RFC 2868, 3.5 hides: two octets of salt, then blocks of 16, the first octet a length.

    Empty for what was hidden otherwise.
    """
    salt, blocks = hidden[:2], hidden[2:]
    if not blocks or len(blocks) % 16:
        return b""
    clear, previous = b"", authenticator + salt
    for at in range(0, len(blocks), 16):
        block = blocks[at : at + 16]
        pad = hashlib.md5(secret + previous, usedforsecurity=False).digest()
        clear += bytes(x ^ y for x, y in zip(block, pad, strict=True))
        previous = block
    length = clear[0]
    return clear[1 : 1 + length] if length < len(clear) else b""


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes((kind, 2 + len(value))) + value


def _attributes(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Where each value begins, its kind, and it. Raises `_Forged` for a length that is none."""
    at = 0
    while at < len(body):
        length = body[at + 1] if at + 1 < len(body) else 0
        if length < 2 or at + length > len(body):
            raise _Forged
        yield at + 2, body[at], body[at + 2 : at + length]
        at += length


def _vendor(attributes: list[tuple[int, int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The attributes of 3GPP2 (RFC 2865, 5.26: several may share one attribute)."""
    for _, kind, value in attributes:
        if kind == Attribute.VENDOR_SPECIFIC and value[:4] == THREE_GPP2.to_bytes(4):
            yield from ((inner, content) for _, inner, content in _attributes(value[4:]))
