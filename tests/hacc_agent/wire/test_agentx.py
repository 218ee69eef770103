"""AgentX: octets of the RFC, our own way back, and octets of anybody."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.wire import agentx
from hacc_agent.wire.agentx import AgentXError, Data, Flag, Kind, Name, Range, Type, VarBind

NAMES = st.one_of(
    st.just(()),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20).map(tuple),
    st.lists(st.integers(0, 300), max_size=20).map(lambda rest: (1, 3, 6, 1, *rest)),
)
UNSIGNED = st.integers(0, 2**32 - 1)
DATA: dict[Kind, st.SearchStrategy[Data]] = {
    Kind.INTEGER: st.integers(-(2**31), 2**31 - 1),
    Kind.OCTET_STRING: st.binary(max_size=30),
    Kind.NULL: st.none(),
    Kind.OBJECT_IDENTIFIER: NAMES,
    Kind.IP_ADDRESS: st.binary(min_size=4, max_size=4),
    Kind.COUNTER32: UNSIGNED,
    Kind.GAUGE32: UNSIGNED,
    Kind.TIME_TICKS: UNSIGNED,
    Kind.OPAQUE: st.binary(max_size=30),
    Kind.COUNTER64: st.integers(0, 2**64 - 1),
    Kind.NO_SUCH_OBJECT: st.none(),
    Kind.NO_SUCH_INSTANCE: st.none(),
    Kind.END_OF_MIB_VIEW: st.none(),
}
VARBINDS = st.sampled_from(sorted(DATA)).flatmap(
    lambda kind: st.builds(VarBind, NAMES, st.just(kind), DATA[kind])
)
RANGES = st.builds(Range, NAMES, st.booleans(), NAMES)


def split(pdu: bytes) -> tuple[agentx.Header, bytes]:
    header, payload = agentx.parse_header(pdu), pdu[agentx.HEADER_OCTETS :]
    assert len(payload) == header.length
    return header, payload


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ((1, 3, 6, 1, 2, 1, 1, 1), "03020000 00000001 00000001 00000001"),  # RFC 2741, 5.1
        ((), "00000000"),
        ((1, 3, 6, 1), "04000000 00000001 00000003 00000006 00000001"),
        ((1, 3, 6, 1, 0, 2), "06000000 00000001 00000003 00000006 00000001 00000000 00000002"),
        ((2, 5), "02000000 00000002 00000005"),
    ],
)
def test_names(name: Name, octets: str) -> None:
    assert agentx.encode_name(name) == bytes.fromhex(octets)


def test_a_range_in_the_octets_of_the_rfc() -> None:
    """RFC 2741, 5.2: from 1.3.6.1.2.1.25.2, itself included, to 1.3.6.1.2.1.25.2.1."""
    octets = bytes.fromhex(
        "03020100 00000001 00000019 00000002 04020000 00000001 00000019 00000002 00000001"
    )
    header = agentx.Header(Type.GET_NEXT, Flag.NETWORK_BYTE_ORDER, 1, 2, 3, len(octets))
    (found,) = agentx.parse_request(header, octets).ranges
    assert found == Range((1, 3, 6, 1, 2, 1, 25, 2), True, (1, 3, 6, 1, 2, 1, 25, 2, 1))


@given(UNSIGNED, st.lists(VARBINDS, max_size=8))
def test_what_is_written_is_read(session: int, varbinds: list[VarBind]) -> None:
    header, payload = split(agentx.encode_notify(session, varbinds, 7))
    assert (header.type, header.session, header.packet) == (Type.NOTIFY, session, 7)
    assert agentx.parse_varbinds(header, payload) == tuple(varbinds)
    answer, payload = split(agentx.encode_response(header, varbinds))
    assert (answer.session, answer.packet) == (session, 7)
    assert agentx.parse_response(answer, payload).varbinds == tuple(varbinds)


@given(
    st.sampled_from([Type.GET, Type.GET_NEXT, Type.GET_BULK]),
    st.lists(RANGES, max_size=8),
    st.integers(0, 65535),
    st.integers(0, 65535),
)
def test_requests(kind: Type, ranges: list[Range], once: int, times: int) -> None:
    bulk = (once, times) if kind is Type.GET_BULK else (0, 0)
    request = agentx.Request(tuple(ranges), *bulk)
    header, payload = split(agentx.encode_request(kind, 1, 2, request))
    assert agentx.parse_request(header, payload) == request


@given(st.binary(max_size=200), st.sampled_from(sorted(Type)), st.booleans())
def test_octets_of_anybody_raise_nothing_else(octets: bytes, kind: Type, network: bool) -> None:
    flags = Flag.NETWORK_BYTE_ORDER if network else Flag(0)
    header = agentx.Header(kind, flags, 1, 2, 3, len(octets))
    for parse in (agentx.parse_request, agentx.parse_response, agentx.parse_varbinds):
        try:
            parse(header, octets)
        except AgentXError:
            continue


@given(st.lists(VARBINDS, min_size=1, max_size=4), st.data())
def test_whatever_is_cut_short_is_refused(varbinds: list[VarBind], data: st.DataObject) -> None:
    header, payload = split(agentx.encode_notify(1, varbinds, 7))
    whole = agentx.parse_varbinds(header, payload)
    end = data.draw(st.integers(0, len(payload) - 1))
    with contextlib.suppress(AgentXError):
        found = agentx.parse_varbinds(header, payload[:end])
        assert len(found) < len(whole)
        assert found == whole[: len(found)]


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (bytes(19), "cut short"),
        (b"\x02" + bytes(19), "version"),
        (b"\x01\x05\x10" + bytes(13) + b"\x00\x00\x00\x03", "payload"),
        (b"\x01\x05\x10" + bytes(13) + b"\x7f\x00\x00\x00", "payload"),
    ],
)
def test_headers_that_are_none(octets: bytes, why: str) -> None:
    with pytest.raises(AgentXError, match=why):
        agentx.parse_header(octets)
