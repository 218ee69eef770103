"""Where virtual routers come from: one process that has loaded an init, and forks it for each.

To start Python and load what PID 1 needs takes 40 ms of processor time; a copy of a process that
has done so takes 5. One line of standard input a router: JSON, the fields of `Order`. When there
are no more lines the nursery ends, and leaves its routers as nobody's children.

A router is two processes, as unshare(1) with --fork makes them: PID 1 of its namespaces, and its
parent outside, with which it dies. A member of a lab is known by its environment, which the kernel
shows as it was when the program began; so each writes its own mark over the nursery's.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

from . import init
from .boot import boot, mount_proc

# linux/sched.h: namespaces of mounts, host name, System V IPC, PIDs, network.
NAMESPACES = 0x0002_0000 | 0x0400_0000 | 0x0800_0000 | 0x2000_0000 | 0x4000_0000
PR_SET_PDEATHSIG = 1
ENVIRONMENT_BEGINS, ENVIRONMENT_ENDS = 49, 50  # of /proc/PID/stat, counted from 0: proc(5)

_libc = ctypes.CDLL(None, use_errno=True)


class Order(NamedTuple):
    """What a router is made of."""

    mark: str  # `NAME=value` of its environment: what it is found by
    log: str  # the file that its output goes to
    name: str
    disk: str
    layers: dict[str, str]
    folders: dict[str, str]
    needed: list[str]


def main() -> None:
    """Bear a router for each line."""
    gc.freeze()  # what is shared stays shared
    for line in sys.stdin:
        order = Order(**json.loads(line))
        if os.fork() == 0:
            _begin(order)


def _begin(order: Order) -> NoReturn:
    """The parent of the router: it ends as the router does."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number, opened in enumerate((nothing, log, log)):
        os.dup2(opened, number)
    os.closerange(3, log + 1)
    mark(order.mark)
    if _libc.unshare(NAMESPACES) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")
    router = os.fork()
    if router:
        _, status = os.waitpid(router, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    mount_proc()
    boot(order.name, order.disk, order.layers, order.folders, order.needed)
    init.main()
    raise SystemExit("an init does not end")


def mark(entry: str) -> None:
    """Make this the environment that /proc/self/environ shows, in place of the one there is."""
    words = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    # The words begin with the third field.
    begins, ends = (int(words[number - 2]) for number in (ENVIRONMENT_BEGINS, ENVIRONMENT_ENDS))
    text = os.fsencode(entry)
    if len(text) >= ends - begins:
        raise ValueError(f"no room for {entry} in {ends - begins} octets")
    ctypes.memmove(begins, text.ljust(ends - begins, b"\0"), ends - begins)


if __name__ == "__main__":
    main()
