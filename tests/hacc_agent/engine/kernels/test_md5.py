"""Compiled HMAC-MD5 against the RFC's own cases and OpenSSL's, at every length and place."""

from __future__ import annotations

import hmac as standard
import random

import numpy as np
import pytest

from hacc_agent.engine.kernels import md5

# RFC 2202, 2: key, data, digest.
CASES = [
    (b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
    (b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
    (b"\xaa" * 16, b"\xdd" * 50, "56be34521d144c88dbb8c733f0e8b3f6"),
    (bytes(range(1, 26)), b"\xcd" * 50, "697eaf0aca3a3aea3a75164746ffaa79"),
    (b"\x0c" * 16, b"Test With Truncation", "56461ef2342edc00f9bab995690efd4c"),
]


def authenticator(key: bytes, message: bytes, before: int = 0, behind: int = 0) -> bytes:
    states, block = np.zeros((3, 8), np.uint32), np.zeros(16, np.uint32)
    padded = np.frombuffer(key.ljust(md5.BLOCK, b"\0"), np.uint8).copy()
    md5.digest_key(states, 1, padded, block)
    octets = np.full(before + len(message) + behind, 0xEE, np.uint8)
    octets[before : before + len(message)] = np.frombuffer(message, np.uint8)
    digest = md5.hmac(states, 1, octets, before, len(message), block)
    written = np.zeros(20, np.uint8)
    md5.write(digest, written, 3)
    assert md5.is_written(digest, written, 3)
    for at in range(3, 19):
        written[at] ^= 1
        assert not md5.is_written(digest, written, 3)
        written[at] ^= 1
    return written[3:19].tobytes()


@pytest.mark.parametrize(("key", "data", "digest"), CASES, ids=[f"case {n}" for n in range(1, 6)])
def test_rfc_2202(key: bytes, data: bytes, digest: str) -> None:
    assert authenticator(key, data).hex() == digest


def test_every_length_at_every_place() -> None:
    """A message may stand at the very end of the memory, and other octets behind it count not."""
    chance = random.Random(5)
    for length in range(200):
        key, message = chance.randbytes(chance.randrange(65)), chance.randbytes(length)
        expected = standard.digest(key, message, "md5")
        for behind in (0, 3, 64):
            assert authenticator(key, message, chance.randrange(9), behind) == expected
