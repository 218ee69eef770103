"""bpf(2): programs and maps of the kernel, by system calls alone.

Descriptors are closed by who asked for them. What is pinned under a bpffs outlives us: a daemon
that starts again finds its maps and links there, and no packet is lost in between.
"""

from __future__ import annotations

import ctypes
import enum
import mmap
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# bpf(2) has no function in the C library. Numbers: asm/unistd.h.
_NUMBER: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_ATTRIBUTES: Final = 128  # octets of union bpf_attr that we ever fill

# enum bpf_cmd of linux/bpf.h
_MAP_CREATE: Final = 0
_MAP_LOOKUP: Final = 1
_MAP_UPDATE: Final = 2
_MAP_DELETE: Final = 3
_MAP_NEXT_KEY: Final = 4
_PROG_LOAD: Final = 5
_OBJ_PIN: Final = 6
_OBJ_GET: Final = 7
_PROG_TEST_RUN: Final = 10
_LINK_CREATE: Final = 28
_LINK_UPDATE: Final = 29

_CREATE: Final = Struct("=IIIIIII16s")
_ELEMENT: Final = Struct("=IxxxxQQQ")
_LOAD: Final = Struct("=IIQQIIQII16sII")
_PATH: Final = Struct("=QII")
_TEST: Final = Struct("=IIIIQQII")
_LINK: Final = Struct("=IIII")

_LOG: Final = 1 << 20  # octets for what the verifier says
_MMAPABLE: Final = 1 << 10  # BPF_F_MMAPABLE
_IN_DRIVER: Final = 1 << 2  # XDP_FLAGS_DRV_MODE: linux/if_link.h
_NO_PREALLOC: Final = 1 << 0  # BPF_F_NO_PREALLOC

_libc: Final = ctypes.CDLL(None, use_errno=True)


class KernelRefused(Exception):
    """What the kernel does not let us do, and why: its words, or the verifier's last lines."""


class MapKind(enum.IntEnum):
    HASH = 1
    ARRAY = 2
    PER_CPU_ARRAY = 6
    LRU_HASH = 9
    PREFIXES = 11  # BPF_MAP_TYPE_LPM_TRIE: the longest prefix counts


class ProgramKind(enum.IntEnum):
    SCHED_CLS = 3
    XDP = 6


class Attach(enum.IntEnum):
    XDP = 37
    TCX_INGRESS = 46
    TCX_EGRESS = 47


_FLAGS: Final = {
    MapKind.ARRAY: _MMAPABLE,
    MapKind.HASH: _NO_PREALLOC,
    MapKind.PREFIXES: _NO_PREALLOC,  # a trie has no other kind
}


def processors() -> int:
    """That the kernel may ever have: a per-CPU map holds one value for each."""
    text = Path("/sys/devices/system/cpu/possible").read_text(encoding="ascii").strip()
    return int(text.rpartition("-")[2]) + 1


def _bpf(command: int, attributes: bytes) -> tuple[int, bytes]:
    """What the kernel returns, and the attributes as it leaves them. Raises `OSError`."""
    number = _NUMBER.get(platform.machine())
    if number is None:
        raise KernelRefused(f"bpf(2) has no known number on {platform.machine()}")
    octets = ctypes.create_string_buffer(attributes, max(len(attributes), _ATTRIBUTES))
    found: int = _libc.syscall(number, command, octets, len(octets))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found, octets.raw


def _address(buffer: Any) -> int:
    return ctypes.addressof(buffer)


@dataclass(slots=True, eq=False)
class Map:
    """A map of the kernel. Keys and values are octets; those of an array are its own memory."""

    descriptor: int
    kind: MapKind
    key_octets: int
    value_octets: int
    entries: int

    @classmethod
    def create(
        cls, kind: MapKind, key_octets: int, value_octets: int, entries: int, name: str
    ) -> Map:
        """Raises `KernelRefused`. An array of one value may be mapped: `view`."""
        flags = _FLAGS.get(kind, 0)
        attributes = _CREATE.pack(
            kind, key_octets, value_octets, entries, flags, 0, 0, name.encode()[:15]
        )
        try:
            descriptor, _ = _bpf(_MAP_CREATE, attributes)
        except OSError as error:
            raise KernelRefused(f"map {name} of {entries:,} entries: {error.strerror}") from None
        return cls(descriptor, kind, key_octets, value_octets, entries)

    @classmethod
    def pinned(
        cls, path: Path, kind: MapKind, key_octets: int, value_octets: int, entries: int
    ) -> Map:
        """The one that is pinned there. Raises `OSError`."""
        text = ctypes.create_string_buffer(os.fsencode(path))
        descriptor, _ = _bpf(_OBJ_GET, _PATH.pack(_address(text), 0, 0))
        return cls(descriptor, kind, key_octets, value_octets, entries)

    def view(self) -> NDArray[Any]:
        """An array's values as lines of octets, each 8 octets or a multiple: stores are seen."""
        stride = -(-self.value_octets // 8) * 8
        size = -(-stride * self.entries // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = mmap.mmap(self.descriptor, size)
        return np.frombuffer(memory, np.uint8)[: stride * self.entries].reshape(-1, stride)

    def get(self, key: bytes) -> bytes | None:
        """The value, or one after the other of each processor; None without one."""
        of = processors() if self.kind is MapKind.PER_CPU_ARRAY else 1
        size = -(-self.value_octets // 8) * 8 * of if of > 1 else self.value_octets
        wanted = ctypes.create_string_buffer(key, self.key_octets)
        found = ctypes.create_string_buffer(size)
        try:
            _bpf(
                _MAP_LOOKUP,
                _ELEMENT.pack(self.descriptor, _address(wanted), _address(found), 0),
            )
        except FileNotFoundError:
            return None
        return found.raw

    def put(self, key: bytes, value: bytes) -> None:
        """Raises `OSError`: E2BIG when a hash is full."""
        wanted = ctypes.create_string_buffer(key, self.key_octets)
        given = ctypes.create_string_buffer(value, self.value_octets)
        _bpf(_MAP_UPDATE, _ELEMENT.pack(self.descriptor, _address(wanted), _address(given), 0))

    def remove(self, key: bytes) -> bool:
        """Whether it was there."""
        wanted = ctypes.create_string_buffer(key, self.key_octets)
        try:
            _bpf(_MAP_DELETE, _ELEMENT.pack(self.descriptor, _address(wanted), 0, 0))
        except FileNotFoundError:
            return False
        return True

    def stored(self) -> list[bytes]:
        """The keys of a hash that nobody else changes meanwhile."""
        found: list[bytes] = []
        following = ctypes.create_string_buffer(self.key_octets)
        while True:
            last = ctypes.create_string_buffer(found[-1], self.key_octets) if found else None
            where = _address(last) if last is not None else 0
            try:
                _bpf(
                    _MAP_NEXT_KEY,
                    _ELEMENT.pack(self.descriptor, where, _address(following), 0),
                )
            except FileNotFoundError:
                return found
            found.append(following.raw)

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program made of a packet."""

    verdict: int
    packet: bytes
    nanoseconds: int  # on average


@dataclass(slots=True, eq=False)
class Program:
    """A program that the verifier has accepted."""

    descriptor: int

    @classmethod
    def load(cls, kind: ProgramKind, attach: Attach, octets: bytes, name: str) -> Program:
        """Raises `KernelRefused` with the verifier's last lines."""
        code = ctypes.create_string_buffer(octets, len(octets))
        licence = ctypes.create_string_buffer(b"GPL")  # what the kernel asks of its helpers' users
        log = ctypes.create_string_buffer(_LOG)

        def load(level: int, room: int, where: int) -> int:
            descriptor, _ = _bpf(
                _PROG_LOAD,
                _LOAD.pack(
                    kind, len(octets) // 8, _address(code), _address(licence), level, room, where,
                    0, 0, name.encode()[:15], 0, attach,
                ),
            )  # fmt: skip
            return descriptor

        try:
            return cls(load(0, 0, 0))
        except OSError as error:
            try:  # again, to hear why
                return cls(load(1, len(log), _address(log)))
            except OSError:
                said = log.value.decode(errors="replace").strip().splitlines()[-6:]
                words = "; ".join([error.strerror or "", *said])
            raise KernelRefused(f"program {name}: {words}") from None

    def run(self, packet: bytes, times: int = 1) -> Ran:
        """On a packet that came from nowhere (BPF_PROG_TEST_RUN). Raises `OSError`."""
        given = ctypes.create_string_buffer(packet, len(packet))
        left = ctypes.create_string_buffer(len(packet) + 512)
        attributes = _TEST.pack(
            self.descriptor, 0, len(packet), len(left), _address(given), _address(left), times, 0
        )
        _, octets = _bpf(_PROG_TEST_RUN, attributes)
        _, verdict, _, size, _, _, _, took = _TEST.unpack_from(octets)
        return Ran(verdict, left.raw[:size], took)

    def attach(self, interface: int, where: Attach) -> int:
        """A link, which lasts as long as its descriptor or its pin. Raises `OSError`.

        XDP is the driver's own or none: what the kernel does for other drivers comes later than tcx
        and costs more.
        """
        flags = _IN_DRIVER if where is Attach.XDP else 0
        link, _ = _bpf(_LINK_CREATE, _LINK.pack(self.descriptor, interface, where, flags))
        return link

    def replace(self, link: int) -> None:
        """This one takes the place of the link's program; no packet passes between the two."""
        _bpf(_LINK_UPDATE, _LINK.pack(link, self.descriptor, 0, 0))

    def close(self) -> None:
        os.close(self.descriptor)


def pinned(path: Path) -> int:
    """The descriptor of what is pinned there. Raises `OSError`."""
    text = ctypes.create_string_buffer(os.fsencode(path))
    descriptor, _ = _bpf(_OBJ_GET, _PATH.pack(_address(text), 0, 0))
    return descriptor


def pin(descriptor: int, path: Path) -> None:
    """Under a bpffs. Raises `OSError`."""
    text = ctypes.create_string_buffer(os.fsencode(path))
    _bpf(_OBJ_PIN, _PATH.pack(_address(text), descriptor, 0))
