"""What `render` hands to `diff`: text with its origin, its owner, and its secrets still sealed.

A secret never stands in a text of this program. It stands as a *token*, `<secret REF>` or
`<secret REF|FORM>`, which is also what people see in a plan, a log or a report:

    REF   the intent's words, env:NAME, file:PATH, vault:PATH#KEY, sops:FILE#KEY or
          keyring:SERVICE/NAME; or running:N, the secret in line N (from 1) of the running text
          that a plan was made from
    FORM  how the platform writes it: `text` (the default) as it is; `hex` as hexadecimal digits
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from .errors import Place

SECRET = re.compile(r"<secret (?P<ref>[a-z]+:[^<>|\s]+)(?:\|(?P<form>[a-z]+))?>")


class Platform(enum.StrEnum):
    """What kind of router it is; names a folder in templates/ and a table in platforms/."""

    IOS = "ios"
    LINUX = "linux"


class Owner(enum.Enum):
    """How much of a file is ours."""

    LINES = "lines"  # only what the `owns` patterns name; everything else is never touched
    WHOLE = "whole"  # the file is ours, from the first line to the last


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a rendered text, and why it is there."""

    text: str  # indented as the platform shows it; secrets as tokens
    template: Place  # the template's line
    intent: tuple[Place, ...]  # the intent's lines whose values stand in it, nearest first


@dataclass(frozen=True, slots=True)
class File:
    """One configuration text of a router.

    `path` is absolute on Linux. On IOS there is one file, `running-config`.

    `owns` are ownership patterns, one per element, levels joined by ` / `, words apart by one
    space: `*` is any one word, within a word any characters of it; a final `**` is any rest, of
    at least no words. So what bears a name of ours is ours even when no intent speaks of it any
    more (`ip prefix-list hacc-* **`). A pattern owns the lines that it matches, and a section that
    it matches is owned with all its lines only if a pattern says so (`router mobile` owns that
    line; `interface Gi0/1 / standby **` owns the standby lines of one interface and not the
    interface).
    """

    path: str
    mode: int
    owner: Owner
    owns: tuple[str, ...]
    lines: tuple[Line, ...]
    absent: bool = False  # it must not be there, if it is ours: its first line says whose it is

    @property
    def text(self) -> str:
        return "".join(f"{line.text}\n" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Rendered:
    """All that one router should hold, in the order in which it must be brought into force."""

    host: str
    platform: Platform
    files: tuple[File, ...]

    @property
    def present(self) -> tuple[File, ...]:
        """The files that the router should have."""
        return tuple(file for file in self.files if not file.absent)
