"""HMAC-MD5 of octets where they stand (RFC 1321, RFC 2104), compiled.

An association's key is digested once: MD5's state behind the inner key and behind the outer one,
eight words. An authenticator of a message that is a line of text long is then three blocks.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .compile import kernel, part
from .numbers import i8, octets_at, u4, u8

BLOCK: Final = 64  # octets
_CONSTANTS: Final = np.array([int(abs(math.sin(n + 1)) * 2**32) for n in range(64)], np.uint32)
_BEGIN: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_INNER, _OUTER = 0x36, 0x5C

Digest = tuple[int, int, int, int]
"""Four words, the state of MD5."""


@part
def _step(mixed: int, a: int, b: int, word: int, constant: int, shift: int) -> int:
    total = u4(u8(a) + u8(mixed) + u8(word) + u8(constant))
    turned = u4(u8(total) << u8(shift)) | u4(u8(total) >> u8(32 - shift))
    return u4(u8(b) + u8(turned))


@kernel
def _mix(state: Digest, block: NDArray[Any]) -> Digest:
    """The state behind a block of 16 words."""
    k = _CONSTANTS
    a, b, c, d = state
    for n in range(0, 16, 4):
        a = _step(b & c | ~b & d, a, b, block[n], k[n], 7)
        d = _step(a & b | ~a & c, d, a, block[n + 1], k[n + 1], 12)
        c = _step(d & a | ~d & b, c, d, block[n + 2], k[n + 2], 17)
        b = _step(c & d | ~c & a, b, c, block[n + 3], k[n + 3], 22)
    for n in range(16, 32, 4):
        a = _step(d & b | ~d & c, a, b, block[5 * n + 1 & 15], k[n], 5)
        d = _step(c & a | ~c & b, d, a, block[5 * n + 6 & 15], k[n + 1], 9)
        c = _step(b & d | ~b & a, c, d, block[5 * n + 11 & 15], k[n + 2], 14)
        b = _step(a & c | ~a & d, b, c, block[5 * n & 15], k[n + 3], 20)
    for n in range(32, 48, 4):
        a = _step(b ^ c ^ d, a, b, block[3 * n + 5 & 15], k[n], 4)
        d = _step(a ^ b ^ c, d, a, block[3 * n + 8 & 15], k[n + 1], 11)
        c = _step(d ^ a ^ b, c, d, block[3 * n + 11 & 15], k[n + 2], 16)
        b = _step(c ^ d ^ a, b, c, block[3 * n + 14 & 15], k[n + 3], 23)
    for n in range(48, 64, 4):
        a = _step(c ^ (b | ~d), a, b, block[7 * n & 15], k[n], 6)
        d = _step(b ^ (a | ~c), d, a, block[7 * n + 7 & 15], k[n + 1], 10)
        c = _step(a ^ (d | ~b), c, d, block[7 * n + 14 & 15], k[n + 2], 15)
        b = _step(d ^ (c | ~a), b, c, block[7 * n + 5 & 15], k[n + 3], 21)
    return (
        u4(u8(state[0]) + u8(a)),
        u4(u8(state[1]) + u8(b)),
        u4(u8(state[2]) + u8(c)),
        u4(u8(state[3]) + u8(d)),
    )


@kernel
def hmac(
    states: NDArray[Any], of: int, octets: NDArray[Any], at: int, length: int, block: NDArray[Any]
) -> Digest:
    """The authenticator of octets[at : at + length] under the key whose states are states[of].

    `block`: u4[16], to work in.
    """
    digest = (states[of, 0], states[of, 1], states[of, 2], states[of, 3])
    end = at + length
    while True:
        for n in range(8):
            _put(block, n, octets_at(octets, at + 8 * n, end))
        left = end - at
        if 0 <= left < BLOCK:  # the octet behind the last one is in this block
            block[left // 4] |= u4(0x80 << 8 * (left % 4))
        if left < BLOCK - 8:
            _put(block, 7, u8(8 * (BLOCK + length)))
        digest = _mix(digest, block)
        if left < BLOCK - 8:
            break
        at += BLOCK
    for n in range(4):
        block[n] = digest[n]
    block[4] = 0x80
    block[5:] = 0
    block[14] = 8 * (BLOCK + 16)
    outer = (states[of, 4], states[of, 5], states[of, 6], states[of, 7])
    return _mix(outer, block)


@kernel
def digest_key(states: NDArray[Any], of: int, key: NDArray[Any], block: NDArray[Any]) -> None:
    """states[of] from a key of a block's length: u1[64]."""
    for which in range(2):
        pad = u8(_OUTER if which else _INNER) * u8(0x0101010101010101)
        for n in range(8):
            _put(block, n, octets_at(key, 8 * n, BLOCK) ^ pad)
        begin = (u4(_BEGIN[0]), u4(_BEGIN[1]), u4(_BEGIN[2]), u4(_BEGIN[3]))
        digest = _mix(begin, block)
        for n in range(4):
            states[of, 4 * which + n] = digest[n]


@part
def is_written(digest: Digest, octets: NDArray[Any], at: int) -> bool:
    """Whether it stands there. Looks at all of it, whatever the first octets are."""
    first, second = octets_at(octets, at, at + 8), octets_at(octets, at + 8, at + 16)
    low = u8(digest[0]) | u8(digest[1]) << u8(32)
    high = u8(digest[2]) | u8(digest[3]) << u8(32)
    return (first ^ low | second ^ high) == u8(0)


@part
def write(digest: Digest, octets: NDArray[Any], at: int) -> None:
    for n in range(4):
        for octet in range(4):
            octets[at + 4 * n + octet] = i8(digest[n]) >> 8 * octet & 0xFF


@part
def _put(block: NDArray[Any], n: int, word: int) -> None:
    """Two words."""
    block[2 * n] = u4(word)
    block[2 * n + 1] = u4(word >> u8(32))
