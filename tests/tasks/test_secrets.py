"""Secrets in texts: resolved at the last moment, and taken out of whatever comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rendered import SECRET
from tasks.secrets import SecretError, SecretRef, octets, redact, resolve, written

KEY = "000102030405060708090a0b0c0d0e0f"
OPENED = {
    "env:KEY": KEY,
    "env:WORD": "sixteen letters!",
    "env:LONG": "0x" + "ab" * 20,
    "file:keys/mn7": "swordfish",
    "env:RO": "ro",
}


@pytest.mark.parametrize(
    "text",
    [
        "env:NAME",
        "env:_n1",
        "file:keys/mn7",
        "file:/etc/hacc/key",
        "vault:secret/hacc#hsrp",
        "sops:keys.yaml#ha.pair",
        "keyring:hacc/ha-1",
    ],
)
def test_references_survive_inside_a_token(text: str) -> None:
    ref = SecretRef.parse(text)
    assert ref is not None
    for token, form in ((ref.token, None), (ref.hex_token, "hex")):
        found = SECRET.fullmatch(token)
        assert found
        assert (found["ref"], found["form"]) == (text, form)


@pytest.mark.parametrize(
    "text",
    ["", "swordfish", "env:", "env:1A", "env:A B", "file:a b", "file:a>b", "file:a|hex", "vault:a",
     "vault:#k", "sops:f", "keyring:a", "ldap:x", "env:A\n", 17, None],
)  # fmt: skip
def test_what_is_no_reference(text: object) -> None:
    assert SecretRef.parse(text) is None


def test_tokens_are_resolved_in_their_form() -> None:
    text = "a <secret env:KEY> b <secret env:KEY|hex> c <secret env:WORD|hex> <secret env:LONG|hex>"
    assert resolve(text, OPENED) == f"a {KEY} b {KEY} c {b'sixteen letters!'.hex()} {'ab' * 20}"
    assert resolve("nothing here", {}) == "nothing here"


def test_a_token_that_is_not_opened_never_stays_in_a_text() -> None:
    with pytest.raises(SecretError) as refused:
        resolve("<secret env:A> <secret env:B> <secret env:A> <secret env:KEY>", OPENED)
    assert [problem.subject for problem in refused.value.problems] == ["env:A", "env:B"]


def test_a_value_without_the_form_is_refused_and_not_shown() -> None:
    with pytest.raises(SecretError) as refused:
        resolve("<secret file:keys/mn7|hex>", OPENED)
    assert "32 hexadecimal digits" in str(refused.value)
    assert "swordfish" not in str(refused.value)


@given(st.binary(min_size=16, max_size=16))
def test_sixteen_octets_are_written_one_way(key: bytes) -> None:
    for clear in (key.hex(), key.hex().upper(), f"0x{key.hex()}"):
        assert octets(clear) == key
        assert written(clear, "hex") == key.hex()


def test_redact_seals_every_form_and_nothing_twice() -> None:
    text = f"sent {KEY} and {b'sixteen letters!'.hex().upper()}, swordfish; <secret env:RO>"
    assert redact(text, OPENED) == (
        "sent <secret env:KEY> and <secret env:WORD|hex>, <secret file:keys/mn7>; <secret env:RO>"
    )


def test_redact_leaves_words_that_contain_a_short_secret() -> None:
    assert redact("router ro pro", OPENED) == "router <secret env:RO> pro"


# A secret may be any line of text, so also one that looks like a part of a token.
CLEAR = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(st.dictionaries(st.from_regex(r"env:[A-Z]{1,9}", fullmatch=True), CLEAR, max_size=4),
       st.text(max_size=9), st.text(max_size=9))  # fmt: skip
def test_no_clear_value_of_some_length_is_left(
    opened: dict[str, str], before: str, after: str
) -> None:
    """What was resolved and is redacted shows no secret that is not part of a token's own words."""
    for ref, clear in opened.items():
        left = SECRET.sub(
            "", redact(before + resolve(SecretRef(ref).token, opened) + after, opened)
        )
        assert len(clear) < 6 or clear not in left
