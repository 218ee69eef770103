"""One line of configuration on its way into the tree: what a rule sees, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .tree import Command, Line, Section

if TYPE_CHECKING:
    from .device import Device


class Refused(Exception):
    """The router does not take the line; the text is what it prints."""


class Confirm(Exception):
    """The router asks before it obeys; the text is the question, which ends in `[confirm]`."""


class Edit:
    """A line that is understood, in the section in which it was typed. Rules act through it."""

    __slots__ = ("args", "command", "confirmed", "device", "key", "now", "said", "section", "text")

    def __init__(
        self,
        device: Device,
        section: Section,
        command: Command,
        text: str,
        args: Mapping[str, str],
        now: float,
        confirmed: bool,
    ) -> None:
        self.device = device
        self.section = section
        self.command = command
        self.text = text
        self.args = args
        self.key = command.key_of(args)
        self.now = now
        self.confirmed = confirmed
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Print a line that is no refusal."""
        self.said.append(text)

    @property
    def root(self) -> Section:
        return self.device.configuration

    @property
    def old(self) -> Line | None:
        """The line that this one overwrites."""
        return self.section.lines.get(self.key)

    @property
    def owner(self) -> Mapping[str, str]:
        """The values of the line that opened this section: the name of an interface, say."""
        return self.section.owner.args if self.section.owner is not None else {}

    # What a command does when its row names no rule.

    def put(self, text: str = "", key: str = "") -> Line | None:
        """Remember the line, unless it is what the router does anyway."""
        text = text or self.text
        key = key or self.key
        if self.command.on or text == self.command.default:
            self.section.drop(key)
            return None
        return self.section.put(self.command, key, text, self.args)

    def drop(self, key: str = "") -> Line | None:
        """Forget the line, or remember that what is on by default is off."""
        key = key or self.key
        if self.command.on or self.command.both:
            return self.section.put(self.command, key, f"no {self.text}", self.args)
        return self.section.drop(key)
