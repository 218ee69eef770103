"""The SCP protocol (`scp -t` and `scp -f` as OpenSSH speaks it), over a router's flash.

Pure: bytes in, bytes out. A sink answers each record with one octet: 0, or 1 and a message.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from .device import Device
from .files import FlashFull, parse_path

OK = b"\0"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an `scp` command asks of the router."""

    sink: bool  # the client sends
    path: str


def parse_command(command: str) -> Asked | None:
    """`scp -t flash:x.cfg`; None for anything else."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if not words or words[0] != "scp" or len(words) < 3:
        return None
    flags = "".join(word[1:] for word in words[1:-1] if word.startswith("-"))
    if "t" not in flags and "f" not in flags:
        return None
    return Asked("t" in flags, words[-1])


class Sink:
    """Receives one file into flash."""

    def __init__(self, device: Device, path: str) -> None:
        self._device = device
        self._path = path
        self._buffer = b""
        self._size = -1  # of the file that is coming; -1 between records
        self._name = ""
        self.done = False

    def start(self) -> bytes:
        return OK

    def receive(self, data: bytes, now: float) -> bytes:
        """Answers to send. `done` is set once the client has nothing more to say."""
        self._buffer += data
        out = b""
        while True:
            if self._size >= 0:
                if len(self._buffer) < self._size + 1:
                    return out
                content = self._buffer[: self._size]
                self._buffer = self._buffer[self._size + 1 :]
                self._size = -1
                out += self._store(content, now)
                continue
            record, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                return out
            self._buffer = rest
            out += self._record(record)

    def _record(self, record: bytes) -> bytes:
        kind, rest = record[:1], record[1:].decode("utf-8", "replace")
        if kind == b"C":
            words = rest.split(" ", 2)
            if len(words) == 3 and words[1].isdigit():
                self._size, self._name = int(words[1]), words[2]
                return OK
        elif kind in (b"T", b"E"):
            return OK
        return b"\1scp: unexpected record\n"

    def _store(self, content: bytes, now: float) -> bytes:
        path = parse_path(self._path)
        if path is None or path.system != "flash":
            return f"\1%Error opening {self._path} (Invalid argument)\n".encode()
        name = path.name or self._name
        try:
            if self._device.faults.full_flash:
                raise FlashFull(name)
            self._device.flash.write(name, content, now)
        except FlashFull:
            return f"\1%Error writing flash:{name} (No space left on device)\n".encode()
        return OK


class Source:
    """Sends one file from flash."""

    def __init__(self, device: Device, path: str) -> None:
        parsed = parse_path(path)
        data = device.archive.read(parsed) if parsed is not None else None
        self._parts: list[bytes] = []
        self.done = data is None
        if data is None:
            self._parts = [f"\1scp: {path}: No such file or directory\n".encode()]
        else:
            raw = data.encode()
            name = path.rpartition("/")[2].rpartition(":")[2]
            self._parts = [f"C0644 {len(raw)} {name}\n".encode(), raw + OK]

    def start(self) -> bytes:
        return self._parts.pop(0) if self.done else b""

    def receive(self, data: bytes, _now: float) -> bytes:
        """Each octet 0 of the client asks for the next part."""
        out = b""
        for _ in data:
            if not self._parts:
                self.done = True
                break
            out += self._parts.pop(0)
        return out
