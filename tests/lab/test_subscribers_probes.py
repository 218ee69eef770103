"""Packets between a correspondent and mobile nodes: what a ledger makes of what it is told."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.subscribers.probes import (
    ECHO,
    Found,
    Ledger,
    answer,
    destination_of,
    number_of,
    opened,
    payload_of,
    probe,
)
from tests.hacc_agent.dataplane.packets import checksum, ip, udp

RUN = 0xDEADBEEF
HOME, CORRESPONDENT = "198.19.64.5", "198.18.1.251"


def asked(payload: bytes = probe(RUN, 3), port: int = ECHO) -> bytes:
    return ip(CORRESPONDENT, HOME, 17, udp(40000, port, payload))


# ------------------------------------------------------------------ a mobile node's answer


def test_an_answer_is_the_same_datagram_the_other_way() -> None:
    back = answer(asked())
    assert back[12:20] == IPv4Address(HOME).packed + IPv4Address(CORRESPONDENT).packed
    assert back[20:24] == ECHO.to_bytes(2, "big") + (40000).to_bytes(2, "big")
    assert back[24:] == asked()[24:]
    assert checksum(back[:20]) == 0
    assert number_of(payload_of(back), RUN) == 3


def test_what_is_in_a_tunnel_is_found_behind_options() -> None:
    inside = asked()
    for options in (b"", b"\x94\x04\0\0" * 10):
        assert opened(ip("198.19.0.1", "198.18.9.1", 4, inside, options=options)) == inside


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(asked()[:27], id="truncated"),
        pytest.param(asked(port=53), id="another port"),
        pytest.param(ip(CORRESPONDENT, HOME, 1, bytes(20)), id="a ping"),
        pytest.param(ip(CORRESPONDENT, HOME, 17, bytes(20), options=bytes(4)), id="options"),
    ],
)
def test_what_is_no_probe_has_no_destination(packet: bytes) -> None:
    assert destination_of(packet) == 0
    assert destination_of(asked()) == int(IPv4Address(HOME))


@given(st.binary(max_size=40))
def test_strange_octets_are_nobodys_probe(octets: bytes) -> None:
    assert number_of(octets, RUN) is None
    destination_of(opened(octets))


# ------------------------------------------------------------------ the ledger

THERE, BACK = "there", "back"


def run(*fates: tuple[int, float, str], doubled: tuple[int, ...] = ()) -> Found:
    """Probes in their order: whose, when it left, how far it came."""
    ledger = Ledger(RUN)
    payloads = [ledger.leaves(node, at) for node, at, _ in fates]
    for number, (payload, (_, at, came)) in enumerate(zip(payloads, fates, strict=True)):
        for _ in range(2 if number in doubled else 1):
            if came in (THERE, BACK):
                ledger.is_there(payload)
            if came == BACK:
                ledger.is_back(payload, at + 0.002)
    return ledger.found()


def test_a_loss_has_a_direction() -> None:
    found = run((0, 0, BACK), (1, 0.1, THERE), (2, 0.2, ""), (3, 0.3, BACK), doubled=(3,))
    assert (found.sent, found.back, found.lost_there, found.lost_back) == (4, 2, 1, 1)
    assert (found.doubled, found.silent) == (1, 2)
    assert found.round_trips.longest == pytest.approx(0.002)


def test_an_outage_is_from_the_last_packet_that_passed_to_the_next() -> None:
    found = run(*((7, at / 10, "" if 5 <= at < 8 else BACK) for at in range(20)))
    assert found.outages.longest == pytest.approx(0.4)
    assert [node for node, _ in found.longest] == [7]


def test_an_outage_that_has_not_ended_lasts_to_the_end() -> None:
    found = run(*((7, at / 10, BACK if at < 5 else "") for at in range(20)))
    assert found.outages.longest == pytest.approx(1.5)


def test_who_answers_no_more_is_gone_and_who_missed_one_is_not() -> None:
    found = run(*((7, at / 10, BACK if at < 18 else "") for at in range(20)))
    assert found.gone == (7,)
    found = run(*((7, at / 10, BACK if at < 19 else "") for at in range(20)))
    assert found.gone == ()


def test_packets_are_in_order_for_each_node_by_itself() -> None:
    ledger = Ledger(RUN)
    payloads = [ledger.leaves(node, 0.0) for node in (0, 1, 0, 0)]
    for number in (2, 1, 0, 3):
        ledger.is_back(payloads[number], 1.0)
    assert ledger.found().reordered == 1


def test_the_course_of_traffic_is_counted_in_pieces() -> None:
    ledger = Ledger(RUN)
    for at in range(10):
        payload = ledger.leaves(0, 5 + at / 10)
        if at not in (3, 4):
            ledger.is_back(payload, 6.0)
    course = list(ledger.course(0.25))
    assert [(sent, back) for _, sent, back in course] == [(3, 3), (2, 0), (3, 3), (2, 2)]
    assert [at for at, _, _ in course] == pytest.approx([5, 5.25, 5.5, 5.75])


def test_without_packets_there_is_no_course() -> None:
    assert list(Ledger(RUN).course(0.1)) == []


def test_an_outage_at_the_begin_counts_from_the_first_packet() -> None:
    found = run(*((7, at / 10, BACK if at > 5 else "") for at in range(20)))
    assert found.outages.longest == pytest.approx(0.6)


def test_who_missed_nothing_had_no_outage() -> None:
    found = run(*((node, at / 10, BACK) for at in range(20) for node in range(3)))
    assert (found.outages.count, found.longest, found.silent) == (0, (), 0)


def test_nothing_sent_is_nothing_found() -> None:
    found = Ledger(RUN).found()
    assert (found.sent, found.back, found.silent, found.outages.count) == (0, 0, 0, 0)


def test_of_another_run_nothing_is_counted() -> None:
    ledger = Ledger(RUN)
    ledger.leaves(0, 0.0)
    for strange in (probe(RUN + 1, 0), probe(RUN, 1), b""):
        ledger.is_there(strange)
        ledger.is_back(strange, 1.0)
    assert ledger.found().back == 0


FATES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["", THERE, BACK])), min_size=1, max_size=60
)


@given(FATES)
def test_every_probe_is_counted_once(fates: list[tuple[int, str]]) -> None:
    found = run(*((node, at / 10, came) for at, (node, came) in enumerate(fates)))
    assert found.sent == found.back + found.lost_there + found.lost_back == len(fates)
    nodes = {node for node, _ in fates}
    whole = {node for node in nodes if all(came == BACK for n, came in fates if n == node)}
    assert found.outages.count + found.silent + len(whole) == len(nodes)
    assert found.outages.longest <= len(fates) / 10


def test_people_and_programs_are_told_the_same() -> None:
    found = run((0, 0, BACK), (0, 0.5, ""), (0, 1.0, BACK), (1, 0.6, ""))
    text = "\n".join(found.lines("node{}".format))
    assert "4 packets to mobile nodes, 2 of them answered: 2 were lost on the way there" in text
    assert "1 nodes had an outage, in ms: p50 1000.00" in text
    assert "the longest, in ms: node0 1000" in text
    assert "1 nodes never answered" in text
    told = found.as_json("node{}".format)
    assert told["outages"] == {
        "nodes": 1,
        "ms": {"p50": 1000.0, "p90": 1000.0, "p99": 1000.0, "max": 1000.0},
        "longest": {"node0": 1000.0},
    }
    assert told["lost"] == {"to_node": 2, "from_node": 0}
