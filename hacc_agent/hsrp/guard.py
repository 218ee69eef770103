"""The guard: a process that takes the addresses away when the speaker dies, or stands still.

A speaker that is killed cannot give its addresses up, and the kernel goes on answering ARP for them
while another router has taken over: two owners, until somebody notices. So a child of the speaker
waits at the other end of a pipe. The speaker sends an octet a few times in each hold time, which
says whether it owns anything. When the pipe ends, or nothing came for a hold time while something
is owned, the guard takes everything away and sees to it that the speaker does not come back to
life.

The other way round a speaker whose guard dies starts another one at once. Both hold one lock (an
open file that the child inherited), so the next speaker, which a service manager starts, waits
until the guard has done its work. Should both be killed together, the unit's ExecStopPost does it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

OWNS: Final = b"+"
OWNS_NOTHING: Final = b"-"
LEAVES: Final = b"."
"""What a speaker says last when it has given everything up itself."""

NAME: Final = "hacc-hsrp-guard"

SIGNS: Final = 3
"""Octets in a hold time: two may come late."""

PATIENCE_S: Final = 2.0
"""For a guard that takes away what its speaker has left: that takes milliseconds."""

_LOCK: Final = "lock"
_LOOK_S: Final = 0.01


def name_process(name: str) -> None:
    """As `ps` shows it: 15 characters at most."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def lock(folder: Path) -> int:
    """Keeps other speakers out; a guard that is at work is waited for. Raises OSError: EAGAIN
    when another speaker is running.
    """
    path = folder / _LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EAGAIN or time.monotonic() > end:
                os.close(descriptor)
                error.filename = str(path)
                raise
            time.sleep(_LOOK_S)
        else:
            return descriptor


class Guard:
    """The speaker's side: a child, and the pipe to it."""

    def __init__(self, hold_s: float, lock: int, withdraw: Callable[[], None]) -> None:
        """`withdraw` is what the child does, with nothing that it inherits but its code."""
        self._hold_s = hold_s
        self._lock = lock
        self._withdraw = withdraw
        self._pipe = -1
        self.pid = 0
        self.start()

    def start(self) -> None:
        """Another child, after the first or instead of one that died."""
        mine, its = os.pipe2(os.O_CLOEXEC)[::-1]
        sys.stdout.flush()
        speaker = os.getpid()
        pid = os.fork()
        if pid == 0:
            # Nothing of the speaker's may live on in here: not its sockets, nor its ends of pipes.
            code = 1
            with contextlib.suppress(BaseException):
                _close_all_but(its, self._lock)
                name_process(NAME)
                _watch(its, self._hold_s, speaker, self._withdraw)
                code = 0
            os._exit(code)
        os.close(its)
        os.set_blocking(mine, False)
        self.pid, self._pipe = pid, mine

    def say(self, sign: bytes) -> None:
        """A sign of life. A guard that is no longer there, or has more than enough, misses it."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, sign)

    def replace(self, hold_s: float) -> None:
        """By another one: it has ended, or what it has to know has changed."""
        self.say(LEAVES)
        os.close(self._pipe)
        self._hold_s = hold_s
        self._reap()
        self.start()

    def close(self, *, orderly: bool) -> None:
        """The end: orderly, and the guard goes without doing anything; else it does its work."""
        if orderly:
            self.say(LEAVES)
        os.close(self._pipe)
        self._reap()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _close_all_but(*kept: int) -> None:
    """Standard error stays too."""
    at = 3
    for descriptor in sorted(kept):
        os.closerange(at, descriptor)
        at = descriptor + 1
    os.closerange(at, os.sysconf("SC_OPEN_MAX"))


def _watch(pipe: int, hold_s: float, speaker: int, withdraw: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the speaker: it gives up in order
    signal.set_wakeup_fd(-1)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    owns = False
    while True:
        if not poll.poll(hold_s * 1000 if owns else None):
            withdraw()
            with contextlib.suppress(ProcessLookupError):
                os.kill(speaker, signal.SIGKILL)
            return
        said = os.read(pipe, 4096)
        if said.endswith(LEAVES):
            return
        if not said:
            withdraw()
            return
        owns = said.endswith(OWNS)
