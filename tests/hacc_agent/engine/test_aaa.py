"""Questions to an AAA server: what is asked, which answers are believed, when it is given up.

The server's side is written down here from the RFCs, without a line of ours; tests/hacc_agent/
test_radius.py asks a real one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import itertools
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import Algorithm, Radius, Replay, Security
from hacc_agent.engine.aaa import AaaClient, shown
from hacc_agent.engine.effects import Answer, AskAaa, Verdict
from tests import clusters

RADIUS = Radius(IPv4Address("203.0.113.40"), "between-the-two", 1812, 1000, 3)
SECRET = RADIUS.secret.encode()
TOLD = clusters.cases()["radius"].device("ha1").agent


def client() -> AaaClient:
    assert TOLD is not None
    octets = itertools.count(7)
    return AaaClient(RADIUS, TOLD, lambda count: bytes(next(octets) % 256 for _ in range(count)))


def asked(number: int = 1, **changes: object) -> AskAaa:
    question = AskAaa(number, b"joe@held.example", b"preceding", bytes(range(16)), b"challenge", 2)
    return dataclasses.replace(question, **changes)  # type: ignore[arg-type]  # any field


def ask(client: AaaClient, question: AskAaa, now: float = 0.0) -> bytes:
    packet = client.ask(question, now)
    assert isinstance(packet, bytes)
    return packet


def attributes(packet: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 20
    while at < len(packet):
        found.append((packet[at], packet[at + 2 : at + packet[at + 1]]))
        at += packet[at + 1]
    assert at == len(packet) == int.from_bytes(packet[2:4])
    return found


def attribute(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def vendor(kind: int, value: bytes) -> bytes:
    return attribute(26, (5535).to_bytes(4) + attribute(kind, value))


def answer(
    question: bytes, code: int, body: bytes = b"", proves: bool = True, secret: bytes = SECRET
) -> bytes:
    """What a server sends (RFC 2865, 3; RFC 3579, 3.2)."""
    if proves:
        body = attribute(80, bytes(16)) + body
    head = bytes((code, question[1])) + (20 + len(body)).to_bytes(2)
    if proves:
        proof = hmac.digest(secret, head + question[4:20] + body, "md5")
        body = attribute(80, proof) + body[18:]
    return head + hashlib.md5(head + question[4:20] + body + secret).digest() + body


def hide(key: bytes, authenticator: bytes, salt: bytes = b"\x80\x01") -> bytes:
    """RFC 2868, 3.5."""
    clear = bytes((len(key),)) + key
    clear += bytes(-len(clear) % 16)
    hidden, previous = b"", authenticator + salt
    for at in range(0, len(clear), 16):
        pad = hashlib.md5(SECRET + previous).digest()
        previous = bytes(a ^ b for a, b in zip(clear[at : at + 16], pad, strict=True))
        hidden += previous
    return salt + hidden


def association(question: bytes, spi: int = 257, key: bytes = bytes(16)) -> bytes:
    return vendor(57, spi.to_bytes(4)) + vendor(58, hide(key, question[4:20]))


# ------------------------------------------------------------------ what is asked


@given(st.binary(min_size=1, max_size=300), st.binary(max_size=60), st.binary(max_size=900))
def test_the_servers_chap_is_the_mobile_nodes_authenticator(
    challenge: bytes, key: bytes, preceding: bytes
) -> None:
    """RFC 4721, 8 and RFC 2865, 5.3 compute the same from the same secret, and not by accident."""
    digest = hashlib.md5(preceding).digest()
    authenticator = hashlib.md5(challenge[:1] + key + digest + challenge[-237:]).digest()
    packet = ask(client(), asked(preceding=preceding, authenticator=authenticator,
                                 challenge=challenge))  # fmt: skip
    found = dict(attributes(packet))
    chap = found[3]
    assert hashlib.md5(chap[:1] + key + found[60]).digest() == chap[1:]
    assert len(found[60]) <= 253


def test_a_question_says_who_asks_about_whom_and_proves_it() -> None:
    packet = ask(client(), asked())
    assert packet[0] == 1
    kinds = [kind for kind, _ in attributes(packet)]
    assert kinds == [80, 1, 3, 60, 32], "the proof first, where the forgery cannot be appended"
    found = dict(attributes(packet))
    assert found[1] == b"joe@held.example"
    assert found[32] == b"ha1"
    cleared = packet[:22] + bytes(16) + packet[38:]
    assert hmac.digest(SECRET, cleared, "md5") == found[80]


def test_a_node_with_a_colocated_address_has_the_challenge_0() -> None:
    found = dict(attributes(ask(client(), asked(challenge=b""))))
    assert found[3][0] == 0
    assert found[60][16:] == b"\0"


@pytest.mark.parametrize(
    "question",
    [asked(spi=256), asked(authenticator=bytes(20)), asked(nai=b"x" * 254), asked(nai=b"")],
    ids=["other-spi", "no-md5", "too-long", "nobody"],
)
def test_what_radius_cannot_carry_is_rejected_and_not_asked(question: AskAaa) -> None:
    asker = client()
    assert asker.ask(question, 0.0) == Answer(Verdict.REJECTED)
    assert asker.next_deadline() is None
    assert asker.counters.rejected == 1


# ------------------------------------------------------------------ what is answered


def test_the_server_accepts_and_hands_out_an_association() -> None:
    asker = client()
    packet = ask(asker, asked(number=5))
    key = bytes(range(16, 32))
    assert asker.receive(answer(packet, 2, association(packet, key=key))) == (
        5,
        Answer(Verdict.ACCEPTED, Security(257, Algorithm.HMAC_MD5, key.hex(), Replay.TIMESTAMP, 7)),
    )
    assert asker.receive(answer(packet, 2)) is None, "once"
    assert asker.next_deadline() is None


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(2, Verdict.ACCEPTED), (3, Verdict.REJECTED), (11, Verdict.REJECTED)],
    ids=["accept", "reject", "challenge"],
)
def test_codes(code: int, verdict: Verdict) -> None:
    asker = client()
    packet = ask(asker, asked())
    assert asker.receive(answer(packet, code) + b"padding") == (1, Answer(verdict))


@pytest.mark.parametrize(
    "body",
    [
        lambda q: association(q, spi=255),
        lambda q: association(q, key=b""),
        lambda q: association(q, key=bytes(65)),
        lambda _: vendor(57, b"\0\0\1\1"),
        lambda q: vendor(57, b"\1\1") + vendor(58, hide(bytes(16), q[4:20])),
        lambda _: vendor(57, b"\0\0\1\1") + vendor(58, bytes(17)),
        lambda _: attribute(26, b"\0\0"),
        lambda _: attribute(26, (9).to_bytes(4) + attribute(57, b"\0\0\1\1")),
    ],
    ids=["spi", "no-key", "long-key", "spi-alone", "short-spi", "not-hidden", "short", "cisco's"],
)
def test_an_acceptance_without_a_whole_association_hands_out_none(
    body: Callable[[bytes], bytes],
) -> None:
    asker = client()
    packet = ask(asker, asked())
    assert asker.receive(answer(packet, 2, body(packet))) == (1, Answer(Verdict.ACCEPTED))


@given(st.binary(max_size=200), st.binary(min_size=16, max_size=16), st.binary(min_size=2))
def test_what_is_hidden_is_shown(key: bytes, authenticator: bytes, salt: bytes) -> None:
    assert shown(hide(key, authenticator, salt[:2]), authenticator, SECRET) == key


# ------------------------------------------------------------------ what is not believed


@given(st.data())
def test_an_answer_with_one_bit_changed_is_none(data: st.DataObject) -> None:
    asker = client()
    packet = ask(asker, asked())
    good = answer(packet, 2, association(packet))
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    assert asker.receive(bytes(bad)) is None
    assert asker.receive(good[: data.draw(st.integers(0, len(good) - 1))]) is None
    assert asker.counters.forged == 2
    assert asker.receive(good) is not None


@given(st.binary(max_size=80))
def test_whatever_comes_is_no_error(junk: bytes) -> None:
    asker = client()
    packet = ask(asker, asked())
    assert asker.receive(junk) is None
    proven = answer(packet, 2, junk, proves=False)  # from a server that is broken itself
    assert asker.receive(proven) is None or asker.counters.accepted == 1


def test_with_another_secret_nothing_is_believed() -> None:
    asker = client()
    packet = ask(asker, asked())
    assert asker.receive(answer(packet, 2, secret=b"another")) is None


@pytest.mark.parametrize("code", [1, 4, 5, 12, 40])
def test_other_packets_are_no_answers(code: int) -> None:
    asker = client()
    assert asker.receive(answer(ask(asker, asked()), code)) is None


def test_once_acceptances_are_proven_none_without_a_proof_is_believed() -> None:
    """CVE-2024-3596: the response authenticator alone can be forged; a rejection gains nobody."""
    asker = client()
    assert asker.receive(answer(ask(asker, asked()), 2, proves=False)) is not None, "an old server"
    assert asker.receive(answer(ask(asker, asked()), 2)) is not None
    packet = ask(asker, asked())
    assert asker.receive(answer(packet, 2, proves=False)) is None
    assert asker.receive(answer(packet, 3, proves=False)) == (1, Answer(Verdict.REJECTED))


def test_two_proofs_are_none() -> None:
    asker = client()
    packet = ask(asker, asked())
    assert asker.receive(answer(packet, 2, attribute(80, bytes(16)))) is None


# ------------------------------------------------------------------ when nobody answers


def test_a_question_is_asked_three_times_and_given_up() -> None:
    asker = client()
    packet = ask(asker, asked(number=9), 10.0)
    assert asker.next_deadline() == 11.0
    assert list(asker.handle_timer(10.9)) == []
    assert list(asker.handle_timer(11.0)) == [packet]
    assert list(asker.handle_timer(12.5)) == [packet], "the very same: the server knows it again"
    assert list(asker.handle_timer(13.4)) == []
    assert list(asker.handle_timer(13.5)) == [(9, Answer(Verdict.UNANSWERED))]
    assert asker.next_deadline() is None
    assert asker.receive(answer(packet, 2)) is None, "too late"
    assert (asker.counters.retries, asker.counters.unanswered) == (2, 1)


def test_a_silent_server_is_asked_256_things_and_no_more() -> None:
    asker = client()
    packets = [ask(asker, asked(number)) for number in range(256)]
    assert len({packet[1] for packet in packets}) == 256
    assert asker.ask(asked(256), 0.0) == Answer(Verdict.UNANSWERED)
    assert asker.receive(answer(packets[77], 3)) == (77, Answer(Verdict.REJECTED))
    again = ask(asker, asked(257))
    assert again[1] == packets[77][1]
    assert asker.receive(answer(packets[77], 2)) is None, "an answer to the question before"
    assert asker.receive(answer(again, 2)) == (257, Answer(Verdict.ACCEPTED))


@given(st.lists(st.sampled_from(["ask", "answer", "time"]), max_size=60))
def test_each_question_gets_exactly_one_answer(steps: list[str]) -> None:
    asker, now, number = client(), 0.0, 0
    open_: dict[int, bytes] = {}
    answers: list[int] = []
    for step in steps:
        if step == "ask":
            number += 1
            open_[number] = ask(asker, asked(number), now)
        elif step == "answer" and open_:
            first = next(iter(open_))
            found = asker.receive(answer(open_.pop(first), 3))
            assert found == (first, Answer(Verdict.REJECTED))
            answers.append(first)
        elif step == "time":
            now += 0.7
            for due in asker.handle_timer(now):
                if not isinstance(due, bytes):
                    answers.append(due[0])
                    del open_[due[0]]
    while (deadline := asker.next_deadline()) is not None:
        answers += [due[0] for due in asker.handle_timer(deadline) if not isinstance(due, bytes)]
    assert sorted(answers) == list(range(1, number + 1))
