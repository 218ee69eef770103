"""The file systems of a router: `flash:` with its limited space, and `nvram:`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime


class FlashFull(Exception):
    """There is no room; the file system is as it was."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file and the Unix time at which it was written."""

    data: bytes
    written: float


@dataclass(frozen=True, slots=True)
class Path:
    """`flash:backup/x.cfg` -> ("flash", "backup/x.cfg")."""

    system: str
    name: str

    def __str__(self) -> str:
        return f"{self.system}:{self.name}"


SYSTEMS = ("flash", "nvram", "system", "bootflash", "disk0")


def parse_path(text: str) -> Path | None:
    """A path, `running-config` and `startup-config` among them; None for an unknown system."""
    low = text.lower()
    if low and "running-config".startswith(low) and low[0] == "r":
        return Path("system", "running-config")
    if low and len(low) > 3 and "startup-config".startswith(low):
        return Path("nvram", "startup-config")
    system, colon, name = text.partition(":")
    if not colon:
        return Path("flash", text.lstrip("/"))
    if system.lower() not in SYSTEMS:
        return None
    system = system.lower()
    return Path("flash" if system in ("bootflash", "disk0") else system, name.lstrip("/"))


class Flash:
    """`flash:`, and `nvram:` beside it. `size` is in bytes; a fault may fill it up."""

    def __init__(self, size: int = 512 * 1024 * 1024) -> None:
        self.size = size
        self.files: dict[str, StoredFile] = {}
        self.writes = 0

    def free(self) -> int:
        return max(0, self.size - sum(len(file.data) for file in self.files.values()))

    def write(self, name: str, data: bytes, now: float) -> None:
        """Store a file, or raise FlashFull and store nothing."""
        old = self.files.get(name)
        if len(data) > self.free() + (len(old.data) if old is not None else 0):
            raise FlashFull(name)
        self.files[name] = StoredFile(data, now)
        self.writes += 1

    def delete(self, name: str) -> None:
        if self.files.pop(name, None) is not None:
            self.writes += 1

    def read(self, name: str) -> bytes | None:
        file = self.files.get(name)
        return None if file is None else file.data

    def md5(self, name: str) -> str | None:
        data = self.read(name)
        return None if data is None else hashlib.md5(data, usedforsecurity=False).hexdigest()

    def listing(self, name: str = "") -> str | None:
        """`dir flash:[NAME]`; None when the file is not there."""
        if name and name not in self.files and not self._below(name):
            return None
        shown = [name] if name in self.files else sorted(self._below(name) or self.files)
        if name and name not in self.files:
            shown = sorted(self._below(name))
        lines = [f"Directory of flash:/{name}", ""]
        for index, known in enumerate(shown, start=1):
            file = self.files[known]
            date = datetime.fromtimestamp(file.written, UTC).strftime("%b %d %Y %H:%M:%S +00:00")
            lines.append(f"{index:5}  -rw-  {len(file.data):10}  {date}  {known}")
        if not shown:
            lines.append("No files in directory")
        lines += ["", f"{self.size} bytes total ({self.free()} bytes free)"]
        return "\n".join(lines)

    def _below(self, folder: str) -> list[str]:
        prefix = folder.rstrip("/") + "/"
        return [known for known in self.files if known.startswith(prefix)]
