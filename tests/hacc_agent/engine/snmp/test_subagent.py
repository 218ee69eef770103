"""Conversations of a subagent with a master that is played here."""

from __future__ import annotations

import pytest

from hacc_agent.engine.effects import Alarm, Endpoint, Moment, Security
from hacc_agent.engine.snmp import member, objects
from hacc_agent.engine.snmp.member import VIOLATIONS_S, Minute, Notices, Reason
from hacc_agent.engine.snmp.subagent import (
    ANSWER_S,
    MOST_VARBINDS,
    PING_S,
    ROUND,
    Ended,
    State,
    Subagent,
)
from hacc_agent.engine.snmp.view import Leaves, Value, View
from hacc_agent.wire import agentx
from hacc_agent.wire.agentx import Failure, Header, Kind, Name, Range, Request, Response, Type

SESSION = 77
ROOTS = ((1, 3, 6, 1, 2, 1, 44), (1, 3, 6, 1, 4, 1, 9, 9, 174))
LEAVES: dict[Name, Value] = {(*ROOTS[0], n, 0): (Kind.INTEGER, n) for n in range(1, 1001)}


def at(steady: float) -> Moment:
    return Moment(steady, steady)


def pdus(octets: bytes) -> list[tuple[Header, bytes]]:
    found = []
    while octets:
        header = agentx.parse_header(octets)
        end = agentx.HEADER_OCTETS + header.length
        found.append((header, octets[agentx.HEADER_OCTETS : end]))
        octets = octets[end:]
    return found


def answered(octets: bytes, failure: Failure = Failure.NONE) -> bytes:
    """A master's answer to the one PDU in these octets."""
    ((header, _),) = pdus(octets)
    return agentx.encode_response(
        Header(header.type, header.flags, SESSION, header.transaction, header.packet, 0),
        failure=failure,
    )


def fresh() -> Subagent:
    view = View((Leaves(LEAVES, lambda _: LEAVES),))
    return Subagent(view, ROOTS, ROOTS[0], "ours")


def opened() -> Subagent:
    subagent = fresh()
    octets = subagent.connected(at(0))
    while octets:
        octets = subagent.received(answered(octets), at(0))
    assert subagent.state is State.OPEN
    return subagent


def asked(subagent: Subagent, kind: Type, request: Request) -> Response:
    said = subagent.received(agentx.encode_request(kind, SESSION, 5, request), at(1))
    ((header, payload),) = pdus(said)
    assert (header.type, header.session, header.packet) == (Type.RESPONSE, SESSION, 5)
    return agentx.parse_response(header, payload)


def test_it_opens_and_registers_each_root_in_turn() -> None:
    subagent = fresh()
    said = [subagent.connected(at(0))]
    while said[-1]:
        assert subagent.notify(()) == b""  # not before it is open
        said.append(subagent.received(answered(said[-1]), at(0)))
    kinds = [header.type for octets in said for header, _ in pdus(octets)]
    assert kinds == [Type.OPEN, Type.REGISTER, Type.REGISTER]
    assert subagent.state is State.OPEN
    assert not subagent.refused


def test_a_part_that_is_somebody_elses_is_told_of_and_the_rest_is_served() -> None:
    subagent = fresh()
    octets = subagent.received(answered(subagent.connected(at(0))), at(0))
    octets = subagent.received(answered(octets, Failure.DUPLICATE_REGISTRATION), at(0))
    assert subagent.received(answered(octets), at(0)) == b""
    assert subagent.state is State.OPEN
    assert subagent.refused == [(ROOTS[0], Failure.DUPLICATE_REGISTRATION)]


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (agentx.encode_close(SESSION, 9), "ended the session"),
        (b"GET / HTTP/1.1\r\nHost: example\r\n", "no AgentX"),
    ],
    ids=["close", "garbage"],
)
def test_the_session_ends(octets: bytes, why: str) -> None:
    with pytest.raises(Ended, match=why):
        opened().received(octets, at(1))


def test_a_master_that_does_not_let_us_in() -> None:
    subagent = fresh()
    octets = subagent.connected(at(0))
    with pytest.raises(Ended, match="refuses"):
        subagent.received(answered(octets, Failure.OPEN_FAILED), at(0))


def test_a_silent_master_is_asked_and_then_given_up() -> None:
    subagent = opened()
    due = subagent.next_deadline()
    assert due == PING_S
    ((header, _),) = pdus(subagent.handle_timer(at(due)))
    assert header.type == Type.PING
    assert subagent.handle_timer(at(due + 1)) == b""
    due = subagent.next_deadline()
    assert due == PING_S + ANSWER_S
    with pytest.raises(Ended, match="does not answer"):
        subagent.handle_timer(at(due))


def test_a_master_that_answers_is_asked_again() -> None:
    subagent = opened()
    ping = subagent.handle_timer(at(PING_S))
    assert subagent.received(answered(ping), at(PING_S + 1)) == b""
    assert subagent.next_deadline() == PING_S + 1 + PING_S


def test_get_next_and_bulk() -> None:
    subagent = opened()
    start, end = ROOTS[0], (2,)
    one = Range(start, False, end)
    assert asked(subagent, Type.GET_NEXT, Request((one,))).varbinds[0].data == 1
    got = asked(subagent, Type.GET, Request((Range((*ROOTS[0], 3, 0), False, ()),)))
    assert got.varbinds[0].data == 3
    last = Range((*ROOTS[0], 998, 0), False, end)
    bulk = asked(subagent, Type.GET_BULK, Request((one, last), 1, 5))
    assert [(bind.kind, bind.data) for bind in bulk.varbinds] == [
        (Kind.INTEGER, 1),
        (Kind.INTEGER, 999),
        (Kind.INTEGER, 1000),
        (Kind.END_OF_MIB_VIEW, None),
    ]


def test_a_bulk_of_everything_is_cut() -> None:
    """An answer may be shorter than what was asked for, and must not stop the daemon."""
    request = Request(tuple(Range(ROOTS[0], False, ()) for _ in range(3)), 0, 65535)
    assert len(asked(opened(), Type.GET_BULK, request).varbinds) <= MOST_VARBINDS


def test_nothing_can_be_set() -> None:
    subagent = opened()
    varbinds = (agentx.VarBind((*ROOTS[0], 3, 0), Kind.INTEGER, 4),)
    pdu = bytearray(agentx.encode_notify(SESSION, varbinds, 5))
    pdu[1] = Type.TEST_SET
    ((header, payload),) = pdus(subagent.received(bytes(pdu), at(1)))
    assert agentx.parse_response(header, payload).error == Failure.NOT_WRITABLE
    pdu[1] = Type.CLEANUP_SET
    assert subagent.received(bytes(pdu), at(1)) == b""


def test_octets_arrive_as_they_like() -> None:
    subagent = opened()
    name: Name = (*ROOTS[0], 3, 0)
    pdu = agentx.encode_request(Type.GET, SESSION, 5, Request((Range(name, False, ()),)))
    said = b"".join(subagent.received(pdu[n : n + 1], at(1)) for n in range(len(pdu)))
    assert len(pdus(said)) == 1
    assert len(pdus(subagent.received(pdu * 3, at(1)))) == 3


def test_packets_have_their_turn_while_a_master_asks_much() -> None:
    subagent = opened()
    request = Request((Range(ROOTS[0], False, ()),))
    pdu = agentx.encode_request(Type.GET_NEXT, SESSION, 5, request)
    said = [subagent.received(pdu * (2 * ROUND + 1), at(1))]
    while subagent.next_deadline() == 1:  # at once
        said.append(subagent.handle_timer(at(1)))
    assert [len(pdus(octets)) for octets in said] == [ROUND, ROUND, 1]


# ---------------------------------------------------------------------- notifications


def alarm(reason: Security) -> Alarm:
    return Alarm(reason, Endpoint(0xC0000201, 434), "ann@example.net", 0xFFFF_FFFF)


def test_violations_are_notified_of_at_a_pace_that_no_stranger_sets() -> None:
    notices = Notices()
    told = [
        notices.violation(alarm(Security.MOBILE_AUTHENTICATOR), at(100 + n / 100))
        for n in range(int(3.5 * VIOLATIONS_S * 100))
    ]
    assert sum(map(bool, told)) == 4
    first = told[0]
    assert first[0].data == objects.MIP_AUTH_FAILURE
    assert first[1].data == b"\xc0\0\x02\x01"
    assert [bind.data for bind in first[2:]] == [-1, 0, 0, Reason.BAD_AUTHENTICATOR]
    assert not notices.violation(alarm(Security.UNEXPECTED_REPLY), at(1000))


def test_a_full_home_agent_says_so_once() -> None:
    notices = Notices()
    told = [bool(notices.bindings(n, 100)) for n in (99, 100, 101, 99, 100, 94, 100)]
    assert told == [False, True, False, False, False, False, True]


def test_the_last_minute() -> None:
    minute = Minute()
    for second in range(0, 61, 5):
        minute.note(second * 10, second)
    assert (minute.last, minute.most) == (600, 600)
    for second in range(65, 200, 5):
        minute.note(650, second)
    assert (minute.last, minute.most) == (0, 600)


def test_figures_that_are_not_known_are_not_there() -> None:
    counters = dict.fromkeys(objects.HA_REGISTRATION_SCALARS, 0)
    served = member.Served(5, 9, counters, 0, 0, 0, None, None, None, 0x80, "1")
    view = View((member.leaves(lambda: served, Minute()),))
    cpu = view.get((*objects.CPM_CPU_TOTAL_5SEC_REV, 1), at(1))
    assert cpu.kind is Kind.NO_SUCH_INSTANCE
    bindings = view.get((*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0), at(1))
    assert bindings.data == 5
