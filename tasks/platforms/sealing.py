"""Secrets in the lines of a device: found, compared by meaning, and sealed before anyone sees them.

A router writes one secret in several ways: in clear, as `0 K`, as type 7 (a fixed-key Vigenère
that hides from shoulders only), as hexadecimal digits, or as a one-way hash. Intent writes it as
a token. Comparing texts would report a change on every run (a hash is salted anew, `service
password-encryption` recodes), so lines are compared by a *shape*: the line with each secret
replaced by what it means.

One-way hashes (types 5, 8, 9) and what the device hides (`*`) mean "something": equal to anything
in their place. A new password in intent is therefore not seen where the router keeps a hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..rendered import SECRET
from ..secrets import written as in_form

# The key of type 7, the same in every router: published in 1995 and in every decoder since.
_TYPE_7 = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"

VALUE = r"(?:<secret [^<>]+>|\S+)"  # one secret as a word, sealed or not
TYPED = rf"(?:(?:\d|hex|ascii) )?{VALUE}"  # with the word that says how it is coded
HIDDEN = "*"  # stands for a secret that the router does not reveal
_CODED = re.compile(rf"(?P<coding>\d|hex|ascii) (?P<word>{VALUE})")


# What a secret means: its clear bytes, or None for what nobody can know.
Meaning = bytes | None


@dataclass(frozen=True, slots=True)
class Shape:
    """A line without its secrets' writing. Two lines say the same when their shapes are equal."""

    words: str  # the line with a gap for each secret
    meanings: tuple[Meaning, ...]

    def same(self, other: Shape) -> bool:
        return self.words == other.words and all(
            one is None or two is None or one == two
            for one, two in zip(self.meanings, other.meanings, strict=True)
        )


def decode_type_7(digits: str) -> bytes:
    """The clear text of a type 7 password; the digits themselves when they are no such thing."""
    try:
        start, body = int(digits[:2]), bytes.fromhex(digits[2:])
    except ValueError:
        return digits.encode()
    return bytes(byte ^ _TYPE_7[(start + index) % len(_TYPE_7)] for index, byte in enumerate(body))


def encode_type_7(clear: bytes, start: int) -> str:
    """Type 7 as a router writes it; `start` (0-15) is where in the key it begins."""
    body = bytes(byte ^ _TYPE_7[(start + index) % len(_TYPE_7)] for index, byte in enumerate(clear))
    return f"{start:02d}{body.hex().upper()}"


def open_tokens(text: str, opened: Mapping[str, str]) -> str:
    """The text as it would be sent. Only to be compared, never to be shown."""

    def clear(token: re.Match[str]) -> str:
        value = opened.get(token["ref"])
        return (value and in_form(value, token["form"] or "text")) or token[0]

    return SECRET.sub(clear, text) if "<secret " in text else text


def _meaning(written: str, opened: Mapping[str, str]) -> Meaning:
    """What a secret says, from the words in which a configuration writes it."""
    coding, word = "", written
    if found := _CODED.fullmatch(written):
        coding, word = found["coding"], found["word"]
    clear = open_tokens(word, opened)
    if clear in (HIDDEN, "<removed>"):
        return None
    if coding == "hex":
        try:
            return bytes.fromhex(clear)
        except ValueError:
            return clear.lower().encode()
    if coding == "7":
        return decode_type_7(clear)
    if coding in ("4", "5", "8", "9"):
        return None
    return clear.encode()


@dataclass(frozen=True, slots=True)
class Sealer:
    """The secrets of one platform's lines. Each pattern has groups `s1` (and `s2`), see `TYPED`."""

    hint: re.Pattern[str]  # what every line with a secret has in it somewhere: most lines have not
    patterns: tuple[re.Pattern[str], ...]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the secrets of a line stand, their coding words with them."""
        if not self.hint.search(text):
            return []
        for pattern in self.patterns:
            if found := pattern.search(text):
                return [found.span(group) for group in sorted(found.groupdict()) if found[group]]
        return []

    def shape(self, text: str, opened: Mapping[str, str]) -> Shape:
        """The line's words and its secrets' meanings; tokens outside a known place are opened."""
        if not self.hint.search(text):
            return Shape(open_tokens(text, opened), ())
        words: list[str] = []
        meanings: list[Meaning] = []
        at = 0
        for start, end in self.spans(text):
            words.append(open_tokens(text[at:start], opened))
            meanings.append(_meaning(text[start:end], opened))
            at = end
        words.append(open_tokens(text[at:], opened))
        return Shape("\0".join(words), tuple(meanings))

    def seal(self, text: str, number: int) -> str:
        """The line with what is still clear in it sealed as `<secret running:NUMBER>`."""
        out: list[str] = []
        at = 0
        for place, (start, end) in enumerate(self.spans(text)):
            written = text[start:end]
            out.append(text[at:start])
            out.append(written if "<secret " in written else f"<secret {reference(number, place)}>")
            at = end
        return "".join((*out, text[at:]))

    def reveal(self, lines: Iterable[str]) -> dict[str, str]:
        """The secrets of a running configuration by their sealed names, exactly as written."""
        return {
            reference(number, place): text[start:end]
            for number, text in enumerate((line.strip() for line in lines), 1)
            for place, (start, end) in enumerate(self.spans(text))
        }


def reference(number: int, place: int) -> str:
    """The name of the secret at a place (from 0) of a running line: running:17, running:17.2."""
    return f"running:{number}" if place == 0 else f"running:{number}.{place + 1}"
