"""References to secrets, and how a secret is written into a text and taken out again.

`opening` finds the clear values; from there on they live in one mapping, reference to clear text,
called `opened` everywhere. `resolve` puts them into a text at the last moment before it is sent,
`redact` takes them out of anything that comes back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .errors import HaccError, Place, Problem
from .rendered import SECRET

SCHEMES = "env:NAME, file:PATH, vault:PATH#KEY, sops:FILE#KEY or keyring:SERVICE/NAME"
# No blank, `<`, `>` or `|` may stand in one: it must survive inside a token (see `rendered`).
_FORM = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*"
    r"|file:[^<>|\s]+"
    r"|(?:vault|sops):[^<>|\s#]+#[^<>|\s#]+"
    r"|keyring:[^<>|\s/]+/[^<>|\s]+"
)
_HEX_KEY = re.compile(r"[0-9a-fA-F]{32}")
_HEX_OCTETS = re.compile(r"0x(?P<digits>(?:[0-9a-fA-F]{2})+)")
KEY_OCTETS = 16  # of a mobility key: MD5's, and what RFC 5944 section 5.1 makes the default
# A clear value shorter than this is taken out of a text only as a word of its own: a community
# `ro` would otherwise seal half of `router`.
_WORDLIKE = 6


class SecretError(HaccError):
    """A secret cannot be opened, or cannot be written in the form that is asked for."""


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """`env:NAME`, `file:PATH`, `vault:PATH#KEY`, `sops:FILE#KEY` or `keyring:SERVICE/NAME`."""

    ref: str

    @classmethod
    def parse(cls, text: object) -> SecretRef | None:
        """The reference that a text is, or None: it may then be a secret, so don't show it."""
        return cls(text) if isinstance(text, str) and _FORM.fullmatch(text) else None

    @property
    def token(self) -> str:
        """The sealed form that stands in every text (see `rendered`)."""
        return f"<secret {self.ref}>"

    @property
    def hex_token(self) -> str:
        """The same, to be written as hexadecimal digits where it is opened."""
        return f"<secret {self.ref}|hex>"

    @property
    def digest_token(self) -> str:
        """The SHA-256 of it, in hexadecimal digits: where who holds it must not know it."""
        return f"<secret {self.ref}|digest>"

    def __str__(self) -> str:
        return self.token


def octets(clear: str) -> bytes | None:
    """The octets of a mobility key, or None where its text is not one.

    32 hexadecimal digits are 16 octets, as routers and the RFC's examples write keys; `0x` and an
    even number of digits are that many octets; otherwise a text of exactly 16 ASCII characters is
    its own octets. Anything else is refused rather than padded: two ends that pad differently
    fail silently (a wrong authenticator is denied, or dropped).
    """
    if _HEX_KEY.fullmatch(clear):
        return bytes.fromhex(clear)
    if digits := _HEX_OCTETS.fullmatch(clear):
        return bytes.fromhex(digits["digits"])
    if clear.isascii() and len(clear) == KEY_OCTETS:
        return clear.encode("ascii")
    return None


def written(clear: str, form: str) -> str | None:
    """A clear value in a token's form: `text`, `hex` or `digest`; None where it has none."""
    if form == "text":
        return clear
    if form == "digest":
        return hashlib.sha256(clear.encode()).hexdigest()
    key = octets(clear) if form == "hex" else None
    return None if key is None else key.hex()


def resolve(text: str, opened: Mapping[str, str]) -> str:
    """The text with every token replaced by its secret. `opened` maps references to clear values.

    Raises `SecretError` for what is not opened: a token must never reach a router.
    """
    problems = []

    def clear(token: re.Match[str]) -> str:
        ref, form = token["ref"], token["form"] or "text"
        value = written(opened[ref], form) if ref in opened else None
        if value is None:
            message = f"cannot be written as {form}" if ref in opened else "was not opened"
            problems.append(Problem(None, ref, message, allowed=KEY_WORDS if form == "hex" else ""))
            return token[0]
        return value

    result = SECRET.sub(clear, text) if "<secret " in text else text
    if problems:
        raise SecretError(dict.fromkeys(problems))
    return result


KEY_WORDS = "32 hexadecimal digits, 0x and an even number of digits, or 16 ASCII characters"


def redact(text: str, opened: Mapping[str, str]) -> str:
    """The text with every clear value sealed that slipped into it, in any of its forms."""
    sealed: dict[str, str] = {}
    for ref, value in opened.items():
        known = SecretRef(ref)
        forms = {"text": known.token, "hex": known.hex_token, "digest": known.digest_token}
        for form, token in forms.items():
            if shown := written(value, form):
                sealed.setdefault(shown, token)
                if form == "hex":
                    sealed.setdefault(shown.upper(), token)
    if not any(value in text for value in sealed):
        return text
    # One pass, longest first, and tokens first of all: nothing is sealed inside a seal.
    choices = "|".join(_occurrence(value) for value in sorted(sealed, key=len, reverse=True))
    pattern = re.compile(f"{SECRET.pattern}|(?P<clear>{choices})")
    return pattern.sub(lambda found: sealed[found[0]] if found["clear"] else found[0], text)


def _occurrence(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= _WORDLIKE else rf"(?<![\w-]){escaped}(?![\w-])"


def missing(
    uses: Mapping[SecretRef, Place], reasons: Mapping[SecretRef, tuple[str, str]]
) -> Iterator[Problem]:
    """Why each secret cannot be opened (message, hint), told at the place where it is used."""
    for ref in sorted(reasons):
        message, hint = reasons[ref]
        yield Problem(uses.get(ref), ref.ref, message, hint=hint)
