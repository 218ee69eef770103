"""What the daemon may still do once its sockets are open: as little as its role needs.

A parser of packets from anybody, on a router: it keeps no right that it has no use for, and can
never gain one. Python knows none of these calls, so they are made through the C library.
capabilities(7), prctl(2); the layout is that of linux/capability.h, version 3.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import os
import pwd
from collections.abc import Collection
from struct import Struct
from typing import Final

VERSION_3: Final = 0x2008_0522
_HEADER: Final = Struct("=Ii")  # version, process: 0 is this one
_SETS: Final = Struct("=6I")  # effective, permitted, inheritable of 0-31, then of 32-63

PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_KEEPCAPS: Final = 8
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

USER: Final = "hacc"


class Capability(enum.IntEnum):
    """The ones that we know of a use for."""

    NET_BIND_SERVICE = 10  # port 434
    NET_ADMIN = 12  # large socket buffers; the data plane's routes
    NET_RAW = 13  # frames
    BPF = 39  # the data plane's programs and maps


NEEDED: Final = (
    Capability.NET_BIND_SERVICE,  # a reload may bring a new address
    Capability.NET_RAW,  # or a new interface
    Capability.NET_ADMIN,  # routes of mobile nodes
    Capability.BPF,  # a store into a map is a system call, where it is not memory
)

_libc = ctypes.CDLL(None, use_errno=True)
_prctl = _libc.prctl
_prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


def permitted() -> frozenset[int]:
    """The capabilities that this process has."""
    sets = ctypes.create_string_buffer(_SETS.size)
    _check(_libc.capget(_header(), sets))
    fields = _SETS.unpack(sets.raw)
    both = fields[1] | fields[4] << 32
    return frozenset(number for number in range(64) if both >> number & 1)


def drop(keep: Collection[Capability], user: pwd.struct_passwd | None) -> None:
    """Gives everything up but `keep`, as far as it was there, and becomes `user`, for good."""
    kept = sum(1 << number for number in set(keep) & permitted())
    for number in range(64):
        if not kept >> number & 1 and _prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            with contextlib.suppress(PermissionError):  # without CAP_SETPCAP there is less to lose
                _check(_prctl(PR_CAPBSET_DROP, number, 0, 0, 0))
    if user is not None:
        _check(_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([user.pw_gid])
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    _check(_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    low, high = kept & 0xFFFF_FFFF, kept >> 32
    _check(_libc.capset(_header(), _SETS.pack(low, low, 0, high, high, 0)))
    _check(_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def account() -> pwd.struct_passwd | None:
    """Who to become: our own user when root started us by hand, and such a user exists.

    A service manager starts us as whom it was told to, in folders that it made for that user.
    """
    if os.geteuid() != 0 or "NOTIFY_SOCKET" in os.environ:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(USER)
    return None


def _header() -> bytes:
    return _HEADER.pack(VERSION_3, 0)


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
