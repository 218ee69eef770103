"""Frames: what is written is read, and what is not whole is never read as something else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.log import (
    FORMAT,
    HEADER,
    LONGEST,
    OF_A_NUMBER,
    Damaged,
    Frame,
    FrameKind,
    Newer,
    Position,
    decode,
    encode,
    frames_behind,
    portions,
    stamp_of,
)

numbers = st.integers(0, 2**64 - 1)
positions = st.builds(Position, numbers, numbers)
payloads = st.integers(0, 5).map(lambda n: bytes(range(64)) * n)


@given(
    st.sampled_from(FrameKind).flatmap(
        lambda kind: st.tuples(
            st.just(kind), st.binary(min_size=8, max_size=8) if kind in OF_A_NUMBER else payloads
        )
    ),
    positions,
    st.floats(0, 2**33),
    numbers,
    st.binary(max_size=9),
)
def test_what_is_written_is_read(
    said: tuple[FrameKind, bytes], position: Position, steady: float, durable: int, before: bytes
) -> None:
    kind, payload = said
    octets = encode(kind, position, payload, steady=steady, durable=durable)
    assert stamp_of(octets) == (position, steady)
    found = decode(memoryview(before + octets), len(before))
    assert found == Frame(kind, *position, durable, steady, memoryview(payload), memoryview(octets))
    assert found.octets == len(octets)
    assert found.position == position


@given(payloads, st.data())
def test_a_part_of_a_frame_asks_for_more(payload: bytes, data: st.DataObject) -> None:
    octets = encode(FrameKind.CHANGES, Position(1, 2), payload)
    length = data.draw(st.integers(0, len(octets) - 1))
    assert decode(memoryview(octets[:length])) is None


@given(payloads, st.data())
def test_a_changed_octet_is_never_a_frame(payload: bytes, data: st.DataObject) -> None:
    octets = bytearray(encode(FrameKind.CHANGES, Position(1, 2), payload, steady=3.0))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(Damaged, Newer):
        assert decode(memoryview(octets)) is None  # it claims to be longer


def test_damage_of_the_first_octets_is_seen_before_the_rest_is_there() -> None:
    with pytest.raises(Damaged):
        decode(memoryview(b"HAZ"))


def test_a_length_that_nobody_writes_is_damage_at_once() -> None:
    octets = bytearray(encode(FrameKind.CHANGES, Position(1, 2)))
    octets[12:16] = (LONGEST + 1).to_bytes(4, "little")
    with pytest.raises(Damaged, match=f"{LONGEST} is the longest"):
        decode(memoryview(octets))


@pytest.mark.parametrize(
    ("kind", "length"),
    [(FrameKind.STATE, 65), (FrameKind.CHANGES, 1), (FrameKind.COMPLETE, 9), (FrameKind.DIGEST, 0)],
)
def test_a_payload_of_another_length_than_its_kind_has_is_damage(
    kind: FrameKind, length: int
) -> None:
    with pytest.raises(Damaged, match=f"{length} octets are no"):
        decode(memoryview(encode(kind, Position(1, 2), bytes(length))))


def test_a_newer_format_is_told_from_damage() -> None:
    octets = bytearray(encode(FrameKind.CHANGES, Position(1, 2)))
    octets[8] = FORMAT + 1
    with pytest.raises(Newer) as caught:
        decode(memoryview(octets))
    assert caught.value.version == FORMAT + 1


def test_what_is_too_long_is_not_written() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        encode(FrameKind.CHANGES, Position(1, 2), bytes(LONGEST + 1))


def test_records_are_divided_between_records() -> None:
    records = bytes(range(64)) * (LONGEST // 64 + 5)
    parts = list(portions(records))
    assert [len(part) for part in parts] == [LONGEST, 5 * 64]
    assert b"".join(parts) == records
    assert len(encode(FrameKind.STATE, Position(1, 2), parts[0])) == LONGEST + HEADER.size
    with pytest.raises(ValueError, match="no whole number"):
        next(portions(bytes(65)))


@given(st.lists(payloads, max_size=4), st.lists(st.binary(max_size=40), min_size=5, max_size=5))
def test_frames_behind_damage_are_found(found: list[bytes], between: list[bytes]) -> None:
    octets = b"".join(
        gap.replace(b"HACC", b"") + frame
        for gap, frame in zip(
            between,
            [encode(FrameKind.STATE, Position(1, 1), p) for p in found] + [b""],
            strict=False,
        )
    )
    assert [bytes(each.payload) for each in frames_behind(memoryview(octets), 0)] == found
