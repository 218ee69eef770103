"""References to secrets, and the one place where they are opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretRef:
    """`env:NAME`, `file:PATH`, `vault:PATH#KEY`, `sops:FILE#KEY` or `keyring:SERVICE/NAME`."""

    ref: str

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
