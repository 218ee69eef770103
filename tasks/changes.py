"""What the diff engine answers: lines for people, commands for a router, and their undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import Place
from .platforms import Impact


@dataclass(frozen=True, slots=True)
class Command:
    """One line to type, in the mode that `context` enters from global configuration."""

    context: tuple[str, ...]
    text: str  # secrets as tokens; a banner spans lines
    impact: Impact
    why: str  # what is interrupted, in words; empty when nothing is
    template: Place | None  # where the line was rendered; None for what is only removed
    intent: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a difference for people. A space marks the section that it stands in."""

    sign: Literal["+", "-", " "]
    depth: int
    text: str  # secrets as tokens
    template: Place | None = None
    intent: tuple[Place, ...] = ()
    number: int = 0  # of a line that goes: where it stands in what the router holds, from 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is otherwise than intended; in a file of mere lines, one run of lines."""

    lines: tuple[DiffLine, ...]  # the sections that it stands in, what goes, what comes
    remedy: tuple[Command, ...] = ()  # what mends it, it alone; IOS

    @property
    def section(self) -> tuple[str, ...]:
        """The headers above it, outermost first."""
        return tuple(line.text for line in self.lines if line.sign == " ")

    @property
    def held(self) -> tuple[DiffLine, ...]:
        return tuple(line for line in self.lines if line.sign == "-")

    @property
    def wanted(self) -> tuple[DiffLine, ...]:
        return tuple(line for line in self.lines if line.sign == "+")


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything between a running configuration and the intended one. Empty: nothing to do."""

    lines: tuple[DiffLine, ...]
    commands: tuple[Command, ...] = ()  # IOS; a Linux file is replaced as a whole
    undo: tuple[Command, ...] = ()

    @property
    def impact(self) -> Impact:
        """The worst of what the commands interrupt."""
        return max((command.impact for command in self.commands), default=Impact.NONE)
