"""A virtual router's own view of the machine, made by its PID 1 before it is the init.

System calls, not programs: what thirty starts of mount(8), mkdir(1) and their like do in 60 ms is
done here in one. Flags and structures are those of <linux/mount.h>, <linux/prctl.h> and <net/if.h>.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 1 << 14, 1 << 18
PR_CAPBSET_DROP = 24
# A router that sets the clock or loads a module does it to the whole machine (capability.h).
CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYS_TIME = 16, 22, 25
FORBIDDEN = (CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYS_TIME)
CAPABILITY_VERSION_3 = 0x20080522
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

# What these hold belongs to the machine, not to a network namespace.
READ_ONLY = ("/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs")
SYSRQ = "/proc/sysrq-trigger"
FOLDERS = ("/run/sshd", "/run/lock", "/run/systemd", "/run/keepalived", "/run/frr")

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    words = (source.encode(), target.encode(), kind.encode() or None)
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None), target)


def _bind(source: str, target: str) -> None:
    _mount(source, target, flags=MS_BIND)


def _make_read_only(target: str) -> None:
    """A mount, whatever may be written through others."""
    _mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)


def _layers(disk: Path, layers: Mapping[str, str]) -> None:
    """The router's disk over the machine's own folders."""
    for layer, target in layers.items():
        upper = f"upperdir={disk}/{layer},workdir={disk}/{layer}.work"
        _mount("overlay", target, "overlay", options=f"lowerdir={target},{upper}")


def _private(disk: Path, folders: Mapping[str, str], needed: Sequence[str]) -> None:
    """Empty folders of its own, but for what Python needs there; `folders` maps them to modes."""
    new = disk / "new"
    new.mkdir(exist_ok=True)
    for target, mode in folders.items():
        _mount("tmpfs", str(new), "tmpfs", options=f"mode={mode},size=64m")
        for path in (Path(one) for one in needed):
            if path.is_relative_to(target):
                kept = new / path.relative_to(target)
                kept.mkdir(parents=True, exist_ok=True)
                _bind(str(path), str(kept))
        _mount(str(new), target, flags=MS_MOVE)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def _give_up(capabilities: Iterable[int]) -> None:
    """Capabilities of this process, and of whatever it starts: capget(2), capset(2), prctl(2)."""
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION_3, 0), 8)
    held = ctypes.create_string_buffer(24)  # effective, permitted, inheritable; then the high words
    _checked(_libc.capget(header, held), "capget")
    words = [*struct.unpack("6I", held.raw)]
    for number in capabilities:
        _checked(_libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "capability bounding set")
        words[:3] = [word & ~(1 << number) for word in words[:3]]
    _checked(_libc.capset(header, struct.pack("6I", *words)), "capset")


def mount_proc() -> None:
    """Of the PID namespace that this is the first process of; no mount leaves the router's own."""
    _mount("", "/", flags=MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def boot(
    name: str,
    disk: str,
    layers: Mapping[str, str],
    folders: Mapping[str, str],
    needed: Sequence[str],
) -> None:
    """Everything else that is the router's own, in namespaces and with a /proc of its own."""
    os.umask(0o022)
    socket.sethostname(name)
    _mount("sysfs", "/sys", "sysfs", MS_RDONLY)
    for folder in READ_ONLY:
        _bind(folder, folder)
        _make_read_only(folder)
    if os.path.exists(SYSRQ):
        _bind("/dev/null", SYSRQ)
    _layers(Path(disk), layers)
    _private(Path(disk), folders, needed)
    _make_read_only("/")
    for path in FOLDERS:
        os.mkdir(path, 0o755)
    os.mkdir("/run/root", 0o700)
    frr = pwd.getpwnam("frr")
    os.chown("/run/frr", frr.pw_uid, frr.pw_gid)
    _raise_loopback()
    _give_up(FORBIDDEN)
