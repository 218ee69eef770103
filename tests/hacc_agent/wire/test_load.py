"""The extension in which our agents say how they do: octet by octet, and whatever else comes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.wire import (
    AgentAdvertisement,
    AgentLoad,
    AgentRole,
    AgentState,
    NormalVendor,
    Unencodable,
    parse_discovery,
)
from hacc_agent.wire.load import ENTERPRISE, LONGEST_NAME, VENDOR_TYPE, cluster_digest, short_name

LOAD = AgentLoad(bytes(range(8)), "ha1", AgentRole.HOME_AGENT, AgentState.ACTIVE, 500_000, 42)
OCTETS = bytes.fromhex(
    "86 21 0000 00007ed9 0001"  # type 134, length, reserved, enterprise 32473, type 1
    "48414343 01 02 02 2a ff"  # HACC, version 1, a Home Agent, active, 42 % of CPU, memory unknown
    "0001020304050607 0007a120 03 686131"  # the cluster, 500,000 bindings, ha1
)


def test_octets() -> None:
    assert LOAD.extension().to_bytes().hex() == OCTETS.hex()
    message = AgentAdvertisement((), 30, (LOAD.extension(),))
    assert parse_discovery(message.to_bytes()) == message
    assert message.load == LOAD


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    later = dataclasses.replace(LOAD, version=2, more=b"fields of version 2")
    assert AgentLoad.of(later.extension()) == later


names = st.text(
    st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=LONGEST_NAME
).map(short_name)
percents = st.none() | st.integers(0, 100)
loads = st.builds(
    AgentLoad,
    st.binary(min_size=8, max_size=8),
    names,
    st.sampled_from(AgentRole),
    st.sampled_from(AgentState),
    st.integers(0, 2**32 - 1),
    percents,
    percents,
    st.integers(1, 255),
    st.binary(max_size=100),
)


@given(loads)
def test_what_is_said_is_read(load: AgentLoad) -> None:
    assert AgentLoad.of(load.extension()) == load


@given(st.binary(max_size=247), st.booleans())
def test_whatever_else_is_somebody_elses(value: bytes, marked: bool) -> None:
    found = AgentLoad.of(
        NormalVendor(ENTERPRISE, VENDOR_TYPE, (b"HACC" + value)[:247] if marked else value)
    )
    if found is not None:
        assert AgentLoad.of(found.extension()) == found


@given(loads, st.integers(0, 300))
def test_a_part_of_it_is_nothing(load: AgentLoad, length: int) -> None:
    whole = dataclasses.replace(load, more=b"").extension().value
    assert AgentLoad.of(NormalVendor(ENTERPRISE, VENDOR_TYPE, whole[:length])) is None or (
        length >= len(whole)
    )


FOREIGN = {
    "another-vendor": NormalVendor(9, VENDOR_TYPE, LOAD.extension().value),
    "another-type": NormalVendor(ENTERPRISE, 2, LOAD.extension().value),
    "no-mark": NormalVendor(ENTERPRISE, VENDOR_TYPE, b"HAHA" + LOAD.extension().value[4:]),
    "version-0": dataclasses.replace(LOAD, version=0).extension(),
    "escape": dataclasses.replace(LOAD, router="ha\x1b[2J").extension(),
    "blank": dataclasses.replace(LOAD, router="ha 1").extension(),
    "role-9": NormalVendor(ENTERPRISE, VENDOR_TYPE, b"HACC\x01\x09" + LOAD.extension().value[6:]),
    "cpu-101": NormalVendor(
        ENTERPRISE, VENDOR_TYPE, b"HACC\x01\x02\x02\x65" + LOAD.extension().value[8:]
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_not_ours(case: str) -> None:
    assert AgentLoad.of(FOREIGN[case]) is None


UNENCODABLE = {
    "long-name": dataclasses.replace(LOAD, router="x" * 65),
    "digest": dataclasses.replace(LOAD, cluster=b"7"),
    "percent": dataclasses.replace(LOAD, cpu_percent=101),
    "bindings": dataclasses.replace(LOAD, bindings=2**32),
}


@pytest.mark.parametrize("case", UNENCODABLE)
def test_what_does_not_fit(case: str) -> None:
    with pytest.raises(Unencodable):
        UNENCODABLE[case].extension()


def test_names_are_cut_between_characters() -> None:
    assert short_name("é" * 64) == "é" * 32
    assert short_name("a" + "é" * 64) == "a" + "é" * 31
    assert cluster_digest("west") != cluster_digest("east")
