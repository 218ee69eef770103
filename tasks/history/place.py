"""Where the history is: what a person may write, and which database that is.

Nothing here imports a database, so that a command that only wants to end well pays for none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import HaccError, Place, Problem
from ..opening import open_all
from ..secrets import SecretRef

VARIABLE: Final = "HACC_HISTORY"
FILE: Final = "history.sqlite"
PENDING: Final = "history.pending"
ALLOWED: Final = "sqlite:FILE, postgresql://[USER@]HOST[:PORT]/DATABASE, or a reference to a secret"
_URL: Final = re.compile(
    r"(?P<scheme>[a-z0-9]+)(?:\+[a-z0-9]+)?://"
    r"(?:(?P<user>[^:@/]*)(?P<password>:[^@/]*)?@)?(?P<rest>\S*)"
)


@dataclass(frozen=True, slots=True)
class Location:
    """A database, and whose runs are meant in it."""

    url: str = field(repr=False)  # SQLAlchemy's; may hold a password
    site: str
    pending: Path  # where records wait that it could not take

    @property
    def sqlite(self) -> Path | None:
        """Its file, if it is one."""
        return Path(self.url.removeprefix(_SQLITE)) if self.url.startswith(_SQLITE) else None

    def __str__(self) -> str:
        """Without a password."""
        found = _URL.fullmatch(self.url)
        if self.sqlite is not None or found is None or not found["password"]:
            return str(self.sqlite or self.url)
        return self.url.replace(f"{found['password']}@", ":***@", 1)


_SQLITE: Final = "sqlite:///"


def locate(
    root: Path, work: Path, written: str = "", *, site: str = "", password: SecretRef | None = None,
    place: Place | None = None,
) -> Location:  # fmt: skip
    """The database that `written` means; without a word, the file beside the inventory.

    `place` is where it was written, for what is wrong with it; an option or a variable has none.
    Raises HaccError: what was written is none, or a secret cannot be opened.
    """
    site = site or work.parent.name
    pending = work / PENDING
    if not written:
        return Location(f"{_SQLITE}{work / FILE}", site, pending)
    uses = {ref: place or Place("", 0) for ref in (SecretRef.parse(written), password) if ref}
    opened = open_all(uses, root, os.environ) if uses else {}
    url = _url(opened.get(written, written), root, place, sealed=written in opened)
    return Location(_with(url, password, opened), site, pending)


def _url(text: str, root: Path, place: Place | None, *, sealed: bool) -> str:
    """As SQLAlchemy wants it: with its driver, and a file's path whole."""
    if text.startswith("sqlite:"):
        file = text.removeprefix("sqlite:")
        file = file.removeprefix("///") if file.startswith("///") else file
        return f"{_SQLITE}{(root / file).resolve()}"
    found = _URL.fullmatch(text)
    if found is None or found["scheme"] not in ("postgresql", "postgres"):
        said = "a secret that is no such URL" if sealed else f"found {_shown(text)!r}"
        raise HaccError(Problem(place, "history", said, allowed=ALLOWED))
    if found["password"] and not sealed:
        raise HaccError(
            Problem(
                place,
                "history",
                "the password would stand there in clear",
                hint='history: {url: ..., password: "env:NAME"}, or libpq\'s own PGPASSFILE',
            )
        )
    return f"postgresql+psycopg://{text.partition('://')[2]}"


def _shown(text: str) -> str:
    """A password stays out of the message about what is wrong with its URL."""
    return re.sub(r"(://[^:@/]*):[^@]*@", r"\1:***@", text)


def _with(url: str, password: SecretRef | None, opened: Mapping[str, str]) -> str:
    if password is None:
        return url
    from urllib.parse import quote

    scheme, _, rest = url.partition("://")
    user, at, server = rest.rpartition("@")
    clear = quote(opened[password.ref], safe="")
    return f"{scheme}://{user}:{clear}@{server}" if at else f"{scheme}://:{clear}@{server}"
