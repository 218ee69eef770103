"""The fuzzer itself: it runs, it repeats itself by seed, and it does notice a broken promise."""

from __future__ import annotations

import random

import pytest

from hacc_agent.wire import Message, parse
from hacc_agent.wire.registry import ExtensionType
from tests.hacc_agent.wire import fuzz


def test_a_short_run_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = fuzz.corpus(1)
    assert fuzz.by_mutation(inputs, random.Random(1), 5000) == 5000
    assert fuzz.by_hypothesis(1, 50) > 0
    assert capsys.readouterr().err == ""


def test_a_seed_names_its_inputs() -> None:
    once, again = ([*fuzz.corpus(7)] for _ in range(2))
    assert once == again
    for inputs in (once, again):
        fuzz.by_mutation(inputs, random.Random(7), 500)
    assert once == again


def careless(octets: bytes) -> Message:
    """A reader that trusts lengths: what every one of these parsers would be without its checks."""
    if len(octets) > 25 and octets[0] == 1 and octets[24] == ExtensionType.CHALLENGE:
        octets[24 + 2 + octets[25] + 2]
    return parse(octets)


def test_it_notices_an_exception_of_another_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "parse", careless)
    # Not fuzz.corpus: what Hypothesis draws from a seed also depends on which modules are loaded.
    challenged = bytes([1, 0, *bytes(22), ExtensionType.CHALLENGE, 4, *bytes(4)])
    assert parse(challenged).to_bytes() == challenged
    with pytest.raises(IndexError):
        fuzz.by_mutation([challenged], random.Random(1), 50_000)
    assert "fuzz: broken by 01" in capsys.readouterr().err
