"""Authenticators against published vectors, and against Python's own hmac on everything else."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.wire import (
    Algorithm,
    Authentication,
    ExtensionType,
    GeneralizedAuthentication,
    Key,
    RegistrationRequest,
    Unencodable,
    authenticate,
    authenticate_chap,
    chap_challenge,
    parse,
    peek_reply,
    peek_request,
    peek_spi,
    verify,
    verify_chap,
)
from hacc_agent.wire.registry import CHAP_SPI
from tests.hacc_agent.wire.strategies import AUTHENTICATIONS, long_word, requests

HEAD = bytes.fromhex("0102012cc0a8640ac0a80102c0a80301ce22a5d5f4c99770")
SECRET = bytes.fromhex("1234567890abcdef1234567890abcdef")
kinds = st.sampled_from((*AUTHENTICATIONS, ExtensionType.GENERALIZED_AUTHENTICATION))
keys = st.builds(Key, st.sampled_from(Algorithm), st.binary(max_size=100))

RFC_2202 = {  # section 2: key, data, digest
    "1": (b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
    "2": (b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
    "3": (b"\xaa" * 16, b"\xdd" * 50, "56be34521d144c88dbb8c733f0e8b3f6"),
    "4": (bytes(range(1, 26)), b"\xcd" * 50, "697eaf0aca3a3aea3a75164746ffaa79"),
    "5": (b"\x0c" * 16, b"Test With Truncation", "56461ef2342edc00f9bab995690efd4c"),
    "6": (
        b"\xaa" * 80,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
    ),
    "7": (
        b"\xaa" * 80,
        b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
        "6f630fad67cda0ee1fb1f562db3aa53e",
    ),
}


@pytest.mark.parametrize("case", RFC_2202)
def test_hmac_md5_rfc_2202(case: str) -> None:
    secret, data, digest = RFC_2202[case]
    assert Key(Algorithm.HMAC_MD5, secret).authenticator(data).hex() == digest


def test_prefix_suffix_of_a_known_request() -> None:
    """RFC 2002, 3.5.1; the digest was computed by another implementation."""
    key = Key(Algorithm.MD5_PREFIX_SUFFIX, SECRET)
    octets = authenticate(HEAD, ExtensionType.MOBILE_HOME_AUTHENTICATION, 0x100, key)
    assert octets == HEAD + bytes.fromhex("201400000100e61d7ac113cbabd6ebbc368c06f85db2")


def test_prefix_suffix_over_the_input_of_another_agents_own_test() -> None:
    """Solaris' mipagent tests its authenticator with this request, up to the SPI."""
    covered = bytes.fromhex("0100002881927acc81927abf8192c90900000000e4a85fcb201400000001")
    key = Key(Algorithm.MD5_PREFIX_SUFFIX, b"\x11" * 16)
    assert key.authenticator(covered).hex() == "cb3fd7040b4ce8823a3d20175e44544f"


@given(st.binary(max_size=200), st.binary(max_size=400))
def test_precomputed_states_change_no_digest(secret: bytes, data: bytes) -> None:
    once = Key(Algorithm.HMAC_MD5, secret)
    twice = Key(Algorithm.MD5_PREFIX_SUFFIX, secret)
    for _ in range(2):  # a state that was used is as good as new
        assert once.authenticator(data) == hmac.digest(secret, data, "md5")
        assert twice.authenticator(data) == hashlib.md5(secret + data + secret).digest()


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 128])
def test_keys_around_the_block_of_md5(length: int) -> None:
    """RFC 2104, 2: a key longer than 64 octets is hashed first, one of 64 is not."""
    secret = bytes(range(length))
    key = Key(Algorithm.HMAC_MD5, secret)
    assert key.authenticator(HEAD) == hmac.digest(secret, HEAD, "md5")


@given(requests(), kinds, long_word, keys, st.binary(max_size=30), st.binary(max_size=30))
def test_what_is_authenticated_verifies_wherever_it_lies(
    message: RegistrationRequest,
    kind: ExtensionType,
    spi: int,
    key: Key,
    before: bytes,
    after: bytes,
) -> None:
    octets = message.to_bytes()
    proved = authenticate(octets, kind, spi, key)
    assert proved.startswith(octets)
    last = parse(proved).extensions[-1]  # type: ignore[union-attr]  # a request has extensions
    assert isinstance(last, (Authentication, GeneralizedAuthentication))
    assert (last.kind, last.spi) == (kind, spi)
    frame = memoryview(before + proved + after)
    start = len(before)
    at = start + len(octets)
    assert peek_spi(frame, at) == spi
    assert verify(frame, at, key, start)


@given(requests(), kinds, keys, st.data())
def test_no_octet_may_change_after_that(
    message: RegistrationRequest, kind: ExtensionType, key: Key, data: st.DataObject
) -> None:
    octets = message.to_bytes()
    proved = bytearray(authenticate(octets, kind, 256, key))
    bit = data.draw(st.integers(0, len(proved) * 8 - 1))
    at = len(octets)
    proved[bit // 8] ^= 1 << bit % 8
    assert not verify(bytes(proved), at, key)


@given(keys, keys)
def test_another_key_does_not_do(one: Key, other: Key) -> None:
    proved = authenticate(HEAD, ExtensionType.MOBILE_HOME_AUTHENTICATION, 256, one)
    # HMAC pads a key with zeros: with and without them it is one key, which RFC 2104 knows.
    same = one.algorithm is other.algorithm and (
        one.secret == other.secret
        or (
            one.algorithm is Algorithm.HMAC_MD5
            and one.secret.ljust(64, b"\0") == other.secret.ljust(64, b"\0")
        )
    )
    assert verify(proved, len(HEAD), other) == same


@given(requests(), st.binary(max_size=60), st.integers(0, 40))
def test_an_authenticator_that_is_cut_or_has_another_length_never_verifies(
    message: RegistrationRequest, secret: bytes, length: int
) -> None:
    if length == 16:
        return
    key = Key(Algorithm.HMAC_MD5, secret)
    octets = message.to_bytes()
    header = bytes((32, 4 + length, 0, 0, 1, 0))
    digest = (key.authenticator(octets + header) * 3)[:length]
    assert not verify(octets + header + digest, len(octets), key)
    proved = authenticate(octets, ExtensionType.MOBILE_HOME_AUTHENTICATION, 256, key)
    for cut in range(len(octets) + 2, len(proved)):
        assert not verify(proved[:cut], len(octets), key)


def by_the_letter(secret: bytes, covered: bytes, challenge: bytes) -> bytes:
    """RFC 4721, 8, as one formula: what chap_authenticator takes apart for RADIUS."""
    inner = hashlib.md5(covered).digest()
    return hashlib.md5(challenge[:1] + secret + inner + challenge[-237:]).digest()


challenges = st.binary(min_size=1, max_size=32) | st.binary(min_size=236, max_size=255)


@given(requests(), st.binary(max_size=40), challenges)
def test_chap_is_what_rfc_4721_says(
    message: RegistrationRequest, secret: bytes, challenge: bytes
) -> None:
    octets = message.to_bytes()
    proved = authenticate_chap(octets, secret, challenge)
    at = len(octets)
    assert peek_spi(proved, at) == CHAP_SPI
    assert proved[at + 8 :] == by_the_letter(secret, proved[: at + 8], challenge)
    assert verify_chap(proved, at, secret, challenge)
    assert not verify_chap(proved, at, secret + b"x", challenge)
    assert not verify_chap(proved, at, secret, challenge + b"x")


@pytest.mark.parametrize("length", [1, 4, 237, 238, 255])
def test_a_radius_attribute_holds_the_chap_challenge(length: int) -> None:
    identifier, value = chap_challenge(HEAD, bytes(range(length)))
    assert len(identifier) == 1  # CHAP-Password begins with it
    assert len(value) == min(16 + length, 253)  # RFC 2865: the longest attribute value


def test_chap_needs_a_challenge() -> None:
    with pytest.raises(Unencodable):
        chap_challenge(HEAD, b"")


@pytest.mark.parametrize("spi", [-1, 2**32])
def test_an_spi_has_32_bits(spi: int) -> None:
    key = Key(Algorithm.HMAC_MD5, SECRET)
    with pytest.raises(Unencodable):
        authenticate(HEAD, ExtensionType.MOBILE_HOME_AUTHENTICATION, spi, key)


def test_a_key_tells_nobody_its_secret() -> None:
    shown = repr(Key(Algorithm.HMAC_MD5, b"hunter2hunter2"))
    assert shown == "Key(algorithm=<Algorithm.HMAC_MD5: 'hmac-md5'>)"


# The reference set's keys, by the SPI that it uses them with.
REFERENCE_KEYS = {0x100: SECRET, 0x200: bytes.fromhex("00112233445566778899aabbccddeeff")}


def test_every_authenticator_of_the_reference_vectors_holds(reference: Path) -> None:
    vectors = json.loads((reference / "vectors" / "mobile_ip.json").read_text())
    verified = 0
    for vector in vectors:
        octets = bytes.fromhex(vector["udp_payload_hex"])
        message = parse(octets)
        assert message.to_bytes() == octets, vector["name"]
        if message.kind in (1, 3):
            peek = peek_request if message.kind == 1 else peek_reply
            _, _, found = peek(octets, 0, len(octets))
        else:
            found = [at for at in [len(octets) - 22] if octets[at] == 34]
        for at in found:
            key = Key(Algorithm.HMAC_MD5, REFERENCE_KEYS[peek_spi(octets, at)])
            assert verify(octets, at, key), vector["name"]
            verified += 1
    assert verified == 10  # eight messages of mobile nodes, two of Foreign Agents
