"""References to secrets, and the one place where they are opened."""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEMES = "env:NAME, file:PATH, vault:PATH#KEY, sops:FILE#KEY or keyring:SERVICE/NAME"
# No blank, `<`, `>` or `|` may stand in one: it must survive inside a token (see `rendered`).
_FORM = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*"
    r"|file:[^<>|\s]+"
    r"|(?:vault|sops):[^<>|\s#]+#[^<>|\s#]+"
    r"|keyring:[^<>|\s/]+/[^<>|\s]+"
)


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

    def __str__(self) -> str:
        return self.token
