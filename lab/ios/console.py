"""A router's console for tests and drills: type lines, read what is printed."""

from __future__ import annotations

from .device import Device
from .session import Session


class Console:
    """A session at privilege 15 that types and reads."""

    def __init__(self, device: Device, now: float = 0.0) -> None:
        self.device = device
        self.now = now
        self.session = Session(device, user="admin", privilege=15, now=now)
        self.session.length = 0  # no paging
        self.prompt = self.session.prompt

    def __call__(self, *lines: str) -> str:
        """Type lines; answers all that was printed, without prompts."""
        said = ""
        for line in lines:
            reply = self.session.feed(line, self.now)
            said += reply.text
            self.prompt = reply.prompt
        return said

    def configure(self, *lines: str) -> str:
        """The lines in configuration mode; answers what they printed."""
        self("configure terminal")
        said = self(*lines)
        self("end")
        return said
