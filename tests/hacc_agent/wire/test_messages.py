"""Laws of the codec: whatever parses comes out octet for octet, whatever does not says why.

Golden octets per message and extension are in test_golden.py, a foreign decoder's word in
test_tshark.py; here it is the codec against itself, on everything that can be drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.wire import (
    AgentAdvertisement,
    AgentSolicitation,
    Message,
    PoorlyFormed,
    TunnelData,
    WireError,
    parse,
    parse_discovery,
)
from hacc_agent.wire.advertisement import checksum
from tests.hacc_agent.wire.strategies import (
    advertisements,
    hostile,
    hostile_discovery,
    messages,
    solicitations,
)


def refusal(read: Callable[[bytes], object], octets: bytes) -> WireError | None:
    try:
        read(octets)
    except WireError as wrong:
        return wrong
    return None


@given(messages())
def test_a_message_survives_the_wire(message: Message) -> None:
    assert parse(message.to_bytes()) == message


@given(messages(), st.sampled_from((bytearray, memoryview)))
def test_it_reads_alike_from_any_buffer(
    message: Message, buffer: type[bytearray] | type[memoryview]
) -> None:
    read = parse(buffer(message.to_bytes()))
    assert read == message
    hash(read)  # of octets of its own: a view into a receive buffer would change under it


@given(hostile())
def test_what_parses_goes_out_as_it_came(octets: bytes) -> None:
    try:
        message = parse(octets)
    except WireError:
        return
    assert message.to_bytes() == octets


@given(messages())
def test_cut_anywhere_it_parses_or_is_refused(message: Message) -> None:
    """Cut between two extensions it is a shorter message, cut within one it is none."""
    octets = message.to_bytes()
    if isinstance(message, TunnelData):
        whole = set(range(4, len(octets)))
    else:
        sizes = [len(extension.to_bytes()) for extension in message.extensions]
        at = len(octets) - sum(sizes)
        whole = {at + sum(sizes[:n]) for n in range(len(sizes))}
    for length in range(len(octets)):
        try:
            parse(octets[:length])
        except WireError:
            assert length not in whole
        else:
            assert length in whole


@given(advertisements() | solicitations())
def test_a_discovery_message_survives_the_wire(
    message: AgentAdvertisement | AgentSolicitation,
) -> None:
    octets = message.to_bytes()
    assert checksum(octets) == 0
    assert parse_discovery(octets) == message


@given(hostile_discovery())
def test_what_is_discovered_goes_out_as_it_came(octets: bytes) -> None:
    try:
        message = parse_discovery(octets)
    except WireError:
        return
    if octets[2:4] != b"\xff\xff":  # the other zero of ones' complement: valid, never sent
        assert message.to_bytes() == octets


@given(advertisements() | solicitations(), st.data())
def test_one_wrong_bit_is_noticed(
    message: AgentAdvertisement | AgentSolicitation, data: st.DataObject
) -> None:
    octets = bytearray(message.to_bytes())
    bit = data.draw(st.integers(0, len(octets) * 8 - 1))
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireError):
        parse_discovery(bytes(octets))


@given(hostile())
def test_only_a_poorly_formed_registration_is_answered(octets: bytes) -> None:
    wrong = refusal(parse, octets)
    silence = (None, None)
    answers = {1: (134, 70), 3: (None, 71)} if isinstance(wrong, PoorlyFormed) else {}
    if wrong is not None:
        codes = (wrong.home_agent_code, wrong.foreign_agent_code)
        assert codes == answers.get(octets[0] if octets else 0, silence)


@given(hostile_discovery())
def test_nobody_answers_an_advertisement_with_a_code(octets: bytes) -> None:
    wrong = refusal(parse_discovery, octets)
    if wrong is not None:
        assert (wrong.home_agent_code, wrong.foreign_agent_code) == (None, None)


@given(messages(), st.integers(128, 255), st.binary(max_size=255))
def test_the_skippable_never_stops_a_message(message: Message, kind: int, data: bytes) -> None:
    """Whatever is in it. But 139: RFC 4433 makes its length ambiguous, see test_golden.py."""
    if kind == 139 or isinstance(message, TunnelData):
        return
    octets = message.to_bytes() + bytes((kind, len(data))) + data
    read = parse(octets)
    assert not isinstance(read, TunnelData)
    assert read.extensions[:-1] == message.extensions
    assert read.extensions[-1].kind == kind
