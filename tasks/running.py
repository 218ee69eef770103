"""What a router holds now, as one value: fetched by `push.fetch`, or read from a saved snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .diff import normalised
from .rendered import Platform


@dataclass(frozen=True, slots=True)
class RunningFile:
    """One configuration text as it stands on the router.

    `text` is the file's own bytes as text, None where there is no such file. On IOS the path is
    `running-config`, and the text is `show running-config` with the SNMPv3 users, which it hides,
    appended in the form that `platforms.ios` describes.
    `live` is what the daemon really runs, where it can be asked (FRR), else None.
    """

    path: str
    text: str | None
    mode: int
    live: str | None = None

    @property
    def in_force(self) -> str:
        """What counts: what the daemon runs, where it can be asked; else what the file says."""
        return (self.text or "") if self.live is None else self.live


@dataclass(frozen=True, slots=True)
class Running:
    """One router at one moment."""

    host: str
    platform: Platform
    files: tuple[RunningFile, ...]
    active: tuple[str, ...]  # names of the standby groups in which this router is active now
    revert_timer: bool  # IOS: `configure terminal revert timer` will work (archive is configured)
    free_flash: int | None = None  # IOS: octets free in flash:

    def file(self, path: str) -> RunningFile | None:
        return next((file for file in self.files if file.path == path), None)

    @property
    def digest(self) -> str:
        """SHA-256 over what a plan depends on: contents and modes, without volatile lines."""
        sha = hashlib.sha256()
        for file in sorted(self.files, key=lambda file: file.path):
            for part in (file.path, f"{file.mode:o}", file.text, file.live):
                text = "" if part is None else normalised(part, self.platform)
                sha.update(f"{part is None:d}{len(text)}:{text}".encode())
        return sha.hexdigest()
