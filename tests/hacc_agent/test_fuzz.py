"""The fuzzer of all readers: it runs, and it notices a broken promise."""

from __future__ import annotations

import random

import pytest

from hacc_agent.engine.log import Damaged, decode
from tests.hacc_agent import fuzz

INPUTS = 150


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    target = fuzz.TARGETS[name]
    fuzz.run(target, random.Random(1), target.corpus(1), INPUTS)


def test_it_tells_the_octets_that_break_a_promise(capsys: pytest.CaptureFixture[str]) -> None:
    def careless() -> fuzz.Check:
        return lambda octets: print(octets[3])

    target = fuzz.Target(lambda _: [b"abcd"], careless)
    with pytest.raises(IndexError):
        fuzz.run(target, random.Random(1), [b"abcd"], 1000)
    told = capsys.readouterr().err.removeprefix("fuzz: broken by ")
    assert len(bytes.fromhex(told)) < 4


def test_repaired_frames_are_sound_again() -> None:
    """Else what stands behind a checksum would never be reached."""
    damaged = bytearray(fuzz.SOUND)
    damaged[40] ^= 1
    with pytest.raises(Damaged):
        decode(memoryview(damaged))
    again = fuzz.resummed(bytes(damaged))
    assert decode(memoryview(again)) is not None
    assert fuzz.resummed(fuzz.SOUND) == fuzz.SOUND
    assert len(again) == len(fuzz.SOUND)
