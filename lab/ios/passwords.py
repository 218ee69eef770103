"""The password formats of IOS: type 5 (MD5-crypt) and type 7 (an obfuscation, not a cipher)."""

from __future__ import annotations

import hashlib
import zlib
from functools import lru_cache

# The published key of type 7, which every "decryptor" of the last 30 years carries.
_TYPE7 = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _digits(value: int, count: int) -> str:
    text = ""
    for _ in range(count):
        text += _ALPHABET[value & 63]
        value >>= 6
    return text


@lru_cache(maxsize=1024)
def type5(password: str, salt: str) -> str:
    """MD5-crypt, as FreeBSD made it and IOS uses it: 1,000 rounds, about a millisecond."""
    secret, grain = password.encode(), salt.encode()
    inner = hashlib.md5(secret + grain + secret, usedforsecurity=False).digest()
    mixed = secret + b"$1$" + grain
    mixed += (inner * (len(secret) // 16 + 1))[: len(secret)]
    bits = len(secret)
    while bits:
        mixed += b"\0" if bits & 1 else secret[:1]
        bits >>= 1
    digest = hashlib.md5(mixed, usedforsecurity=False).digest()
    for turn in range(1000):
        data = secret if turn & 1 else digest
        data += (grain if turn % 3 else b"") + (secret if turn % 7 else b"")
        data += digest if turn & 1 else secret
        digest = hashlib.md5(data, usedforsecurity=False).digest()
    groups = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))
    text = "".join(
        _digits(digest[high] << 16 | digest[middle] << 8 | digest[low], 4)
        for high, middle, low in groups
    )
    return f"$1${salt}${text}{_digits(digest[11], 2)}"


def hashed(password: str, device: str) -> str:
    """The type 5 form of a new secret. The salt follows from its input: no randomness here."""
    return type5(password, _digits(zlib.crc32(f"{device} {password}".encode()), 4))


def encode7(password: str) -> str:
    """Type 7 with the offset that the password itself implies (IOS draws it by lot)."""
    offset = zlib.crc32(password.encode()) % 16
    body = "".join(
        f"{byte ^ _TYPE7[(offset + at) % len(_TYPE7)]:02X}"
        for at, byte in enumerate(password.encode())
    )
    return f"{offset:02d}{body}"


def decode7(text: str) -> str | None:
    """The password in a type 7 text; None when it is not one."""
    if len(text) < 4 or len(text) % 2 or not text[:2].isdigit():
        return None
    try:
        data = bytes.fromhex(text[2:])
        offset = int(text[:2])
        plain = bytes(byte ^ _TYPE7[(offset + at) % len(_TYPE7)] for at, byte in enumerate(data))
        return plain.decode()
    except ValueError:
        return None


def matches(given: str, stored: str) -> bool:
    """Whether a password is the one that the configuration holds: `5 HASH`, `7 TEXT`, or plain.

    Types 8 and 9 are kept as they are and match nothing: this router cannot compute them.
    """
    kind, _, value = stored.partition(" ")
    if kind == "5":
        salt = value.split("$")[2] if value.count("$") >= 3 else ""
        return type5(given, salt) == value
    if kind == "7":
        return decode7(value) == given
    return given == stored.removeprefix("0 ") and kind not in ("8", "9")
