"""Peeking sees what parsing sees, in any buffer, at any offset, and touches nothing around it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.wire import (
    LOW_32,
    Authentication,
    ExtensionType,
    GeneralizedAuthentication,
    NetworkAccessIdentifier,
    NotUnderstood,
    PoorlyFormed,
    RegistrationReply,
    RegistrationRequest,
    Truncated,
    WireError,
    parse,
    peek_extensions,
    peek_nai,
    peek_reply,
    peek_request,
    peek_spi,
)
from tests.hacc_agent.wire.strategies import hostile, nais, replies, requests

surroundings = st.binary(max_size=40)


def authentications(
    message: RegistrationRequest | RegistrationReply,
) -> list[Authentication | GeneralizedAuthentication]:
    return [
        extension
        for extension in message.extensions
        if isinstance(extension, (Authentication, GeneralizedAuthentication))
    ]


def check_extensions(
    message: RegistrationRequest | RegistrationReply, frame: memoryview, nai: int, found: list[int]
) -> None:
    """What was found in a frame is what the message has, in order."""
    nais = [e.nai for e in message.extensions if isinstance(e, NetworkAccessIdentifier)]
    assert (nai != 0) == bool(nais)
    if nais:
        assert peek_nai(frame, nai) == nais[0]
    there = authentications(message)
    assert [ExtensionType(frame[at]) for at in found] == [each.kind for each in there]
    assert [peek_spi(frame, at) for at in found] == [each.spi for each in there]


@given(requests(), surroundings.filter(len), surroundings)
def test_a_request_within_a_frame(
    message: RegistrationRequest, before: bytes, after: bytes
) -> None:
    octets = message.to_bytes()
    frame = memoryview(before + octets + after)
    start = len(before)
    fields, nai, found = peek_request(frame, start, start + len(octets))
    assert fields == (
        1,
        message.flags,
        message.lifetime,
        int(message.home_address),
        int(message.home_agent),
        int(message.care_of_address),
        message.identification,
    )
    check_extensions(message, frame, nai, found)


@given(replies(), surroundings.filter(len), surroundings)
def test_a_reply_within_a_frame(message: RegistrationReply, before: bytes, after: bytes) -> None:
    octets = message.to_bytes()
    frame = memoryview(before + octets + after)
    start = len(before)
    fields, nai, found = peek_reply(frame, start, start + len(octets))
    assert fields == (
        3,
        message.code,
        message.lifetime,
        int(message.home_address),
        int(message.home_agent),
        message.identification,
    )
    check_extensions(message, frame, nai, found)


@given(requests(), nais, nais)
def test_of_two_nais_the_first_counts(
    message: RegistrationRequest, first: bytes, second: bytes
) -> None:
    names = [NetworkAccessIdentifier(nai).to_bytes() for nai in (first, second)]
    octets = replace(message, extensions=()).to_bytes() + b"".join(names)
    _, nai, _ = peek_request(octets, 0, len(octets))
    assert peek_nai(octets, nai) == first


@given(requests(), st.data())
def test_the_octets_behind_the_end_say_nothing(
    message: RegistrationRequest, data: st.DataObject
) -> None:
    """Ethernet pads short frames: a header cut off by the end must not be completed from there."""
    octets = message.to_bytes()
    end = data.draw(st.integers(0, len(octets)))

    def outcome(buffer: bytes) -> object:
        try:
            return peek_request(buffer, 0, end)
        except WireError as wrong:
            return type(wrong)

    assert outcome(octets[:end]) == outcome(octets[:end] + bytes(300)) == outcome(octets)


@given(hostile().filter(lambda octets: octets[:1] in (b"\1", b"\3")))
def test_peeking_refuses_what_parsing_discards_and_nothing_else(octets: bytes) -> None:
    peek = peek_request if octets[0] == 1 else peek_reply
    try:
        fields, nai, found = peek(octets, 0, len(octets))
    except WireError as refused:
        with pytest.raises(type(refused)):
            parse(octets)
        return
    try:
        message = parse(octets)
    except (NotUnderstood, PoorlyFormed):
        return  # within an extension that a relay has no use for
    assert isinstance(message, (RegistrationRequest, RegistrationReply))
    assert (message.kind, message.identification) == (fields[0], fields[-1])
    check_extensions(message, memoryview(octets), nai, found)


@given(hostile().filter(lambda octets: octets[:1] in (b"\1", b"\3")))
def test_what_may_be_answered_can_be_peeked_at(octets: bytes) -> None:
    """Nothing is answered before an authenticator was verified: it has to be found first."""
    peek = peek_request if octets[0] == 1 else peek_reply
    try:
        parse(octets)
    except PoorlyFormed:
        peek(octets, 0, len(octets))
    except WireError:
        return


@given(st.binary(), st.integers(0, 50), st.integers(0, 300))
def test_noise_at_any_offset_raises_our_own_errors_only(
    octets: bytes, start: int, end: int
) -> None:
    for peek in (peek_request, peek_reply, peek_extensions):
        try:
            peek(octets, start, end)
        except WireError:
            continue


@given(requests(), replies())
def test_one_is_not_the_other(request: RegistrationRequest, reply: RegistrationReply) -> None:
    for peek, octets in ((peek_reply, request.to_bytes()), (peek_request, reply.to_bytes())):
        with pytest.raises((NotUnderstood, Truncated)):
            peek(octets, 0, len(octets))


@given(requests())
def test_the_low_half_of_the_identification_pairs_reply_and_request(
    message: RegistrationRequest,
) -> None:
    octets = message.to_bytes()
    fields, _, _ = peek_request(octets, 0, len(octets))
    assert (fields[-1] & LOW_32).to_bytes(4, "big") == octets[20:24]
