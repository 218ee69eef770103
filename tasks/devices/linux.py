"""A Linux router: files, one script that brings them into force, and a dead-man timer.

Everything that must hold when our session is gone is done by the router itself, by `apply.sh`,
which travels with each run and stays with what it replaced. One exec carries a whole change: a
tar archive on its standard input (`bringing`), so that no shell ever reads the contents. The script
refuses a router that is not what the plan was made from, and proves that the files are in their
places: what it sees at the moment of the change, nobody can see better from here.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import paramiko

from ..diff import reveal
from ..plan import FileChange
from ..rendered import Platform
from ..running import Running
from ..secrets import redact, resolve
from .bringing import RUNS, bundle
from .errors import ApplyFailed, DeviceError, Moved, NotReverted, Refused, SessionLost
from .fetched import parse_fetched
from .router import Connect, Job

FETCH: Final = Path(__file__).with_name("fetch.sh")

FETCH_TIMEOUT_S: Final = 30.0
# An apply may wait for another's lock (5 s), restart FRR (15 s) and go the whole way back.
APPLY_TIMEOUT_S: Final = 120.0

# Exit codes of apply.sh; anything else above 0: the way back failed.
REFUSED, RESTORED, MOVED = 10, 11, 13

_DONE: Final = b"hacc-has-done-it\n"  # between what a verb says and what follows it


class LinuxRouter:
    """See `router.Router`."""

    def __init__(self, host: str, connect: Connect) -> None:
        self._host = host
        self._connect = connect
        self._connection: Any = None

    def run(self, command: str) -> str:
        return self._exec(_shell(command), b"", APPLY_TIMEOUT_S)[1].decode("utf-8", "replace")

    def fetch(self, paths: Sequence[str]) -> Running:
        return self._held(paths, *self._exec(_fetching(paths), b"", FETCH_TIMEOUT_S))

    def _held(self, paths: Sequence[str], code: int, output: bytes) -> Running:
        if code != 0:
            raise DeviceError(self._host, f"cannot read its files: {_said(output)}")
        return parse_fetched(self._host, paths, output)

    def back_up(self, job: Job) -> None:
        """Nothing: `apply.sh` looks and keeps the previous files itself, before it touches them."""

    def apply(self, job: Job) -> None:
        contents = [self._open(change, job) for change in job.plan.files]
        try:
            archive = bundle(
                job.run,
                job.plan.files,
                contents,
                job.confirm_within_s,
                before=job.before,
                hand_over={role.address: role.unit for role in job.plan.handover},
            )
        except KeyError as path:
            raise Refused(
                self._host, f"nobody knows how to bring {path} into force; nothing was sent"
            ) from None
        job.journal.record(
            self._host, "send", *(f"{c.path} <- {c.after or '(removed)'}" for c in job.plan.files)
        )
        self._judge(job, *self._send(job.run, archive))

    def _send(self, run: str, archive: bytes, *, urgent: bool = False) -> tuple[int, bytes]:
        directory = f"{RUNS}/{run}"
        command = (
            f"umask 077; mkdir -p {directory}/previous && tar -xpmf - -C {directory} && "
            f"exec /bin/sh {directory}/apply.sh apply {run}"
        )
        return self._exec(command, archive, APPLY_TIMEOUT_S, urgent=urgent)

    def armed(self, job: Job) -> bool:
        """What `apply.sh` says of its run: it is the one who goes back."""
        code, output = self._exec(f"cat {RUNS}/{job.run}/state", b"", FETCH_TIMEOUT_S)
        return code == 0 and output.decode("utf-8", "replace").strip() in ("armed", "applied")

    def confirm(self, job: Job) -> Running:
        """One exec: what stays, and then a look at it."""
        paths = [file.path for file in job.before.files]
        code, output = self._verb(job, "confirm", then=_fetching(paths))
        said, done, held = output.partition(_DONE)
        if not done:
            self._judge(job, code, said)
        return self._held(paths, code, held)

    def revert(self, job: Job) -> None:
        code, output = self._verb(job, "restore", urgent=True)
        if code != 0:
            raise NotReverted(
                self._host,
                f"the previous files could not be brought back: {self._sealed(job, _said(output))}",
                f"look at {RUNS}/{job.run} on the router; the files are in previous/",
            )

    def restore(self, job: Job) -> None:
        """From what the router kept; where it keeps that no more, from the run's backup."""
        self.revert(job)
        now = self.fetch([file.path for file in job.before.files])
        changes, contents = [], []
        for file in job.before.files:
            held = now.file(file.path)
            text = held.text if held else None
            if held is None or (text, held.mode) != (file.text, file.mode):
                digest = None if text is None else hashlib.sha256(text.encode()).hexdigest()
                changes.append(FileChange(file.path, file.mode, "", digest, ()))
                contents.append(None if file.text is None else file.text.encode())
        if not changes:
            return
        run = f"{job.run}-back"
        job.journal.record(self._host, "send", *(f"{c.path} <- backup" for c in changes))
        live = {file.path: file.live for file in job.before.files if file.live}
        archive = bundle(run, changes, contents, job.confirm_within_s, live=live)
        self._judge(job, *self._send(run, archive, urgent=True))
        self._judge(job, *self._verb(job, "confirm", run=run, urgent=True))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, change: FileChange, job: Job) -> bytes | None:
        """The contents with their secrets, in the last moment; None for a file that is removed."""
        if change.after is None:
            return None
        held = job.before.file(change.path)
        own = reveal(held.in_force, Platform.LINUX) if held else {}
        return resolve(change.after, {**job.opened, **own}).encode()

    def _verb(
        self, job: Job, verb: str, *, run: str = "", urgent: bool = False, then: str = ""
    ) -> tuple[int, bytes]:
        """`then` is run, after a line of its own, when the verb has done its part."""
        run = run or job.run
        script = f"{RUNS}/{run}/apply.sh"
        # Without the script nothing was staged, so there is nothing to take back.
        missing = "exit 0" if verb == "restore" else "echo hacc: nothing was staged; exit 10"
        hand = f"/bin/sh {script} {verb} {run}"
        rest = f"{hand} || exit; echo {_DONE.decode()}{then}" if then else f"exec {hand}"
        command = f"[ -f {script} ] || {{ {missing}; }}; {rest}"
        job.journal.record(self._host, "step", verb)
        return self._exec(command, b"", APPLY_TIMEOUT_S, urgent=urgent)

    def _judge(self, job: Job, code: int, output: bytes) -> None:
        if code == 0:
            return
        reason = self._sealed(job, _said(output))
        if code == MOVED:
            raise Moved(self._host, f"{reason}; nothing was touched")
        if code == REFUSED:
            raise Refused(self._host, f"{reason}; nothing was touched")
        if code == RESTORED:
            raise ApplyFailed(self._host, f"{reason}; the previous files are back")
        raise ApplyFailed(self._host, reason)

    def _sealed(self, job: Job, text: str) -> str:
        """A command that fails likes to print the line it failed at, secret and all."""
        for file in job.before.files:
            text = redact(text, reveal(file.text or "", Platform.LINUX))
        return redact(text, job.opened)

    def _exec(
        self, command: str, data: bytes, timeout_s: float, *, urgent: bool = False
    ) -> tuple[int, bytes]:
        """One command on its own channel: exit code and output."""
        if self._connection is None:
            self._connection = self._connect(urgent)
        try:
            transport = self._connection.get_transport()
            with transport.open_session(timeout=timeout_s) as channel:
                channel.set_combine_stderr(True)
                channel.settimeout(timeout_s)
                channel.exec_command(command)
                channel.sendall(data)
                channel.shutdown_write()
                output = b"".join(iter(lambda: channel.recv(65536), b""))
                code: int = channel.recv_exit_status()
        except (OSError, EOFError, AttributeError, paramiko.SSHException) as error:
            self._connection = None
            raise SessionLost(
                self._host, f"the connection was lost: {error or type(error).__name__}"
            ) from error
        if code < 0:  # the channel closed without a status: the server died
            self._connection = None
            raise SessionLost(self._host, "the connection was lost while a command ran")
        return code, output


def _shell(script: str, *words: str) -> str:
    """Run by /bin/sh, whatever root's shell is."""
    return f"exec /bin/sh -c {shlex.quote(script)} {shlex.join(['hacc', *words])}"


def _fetching(paths: Sequence[str]) -> str:
    return _shell(FETCH.read_text(), *paths)


def _said(output: bytes) -> str:
    """The reason that a script gave: its own lines, then the loud ones of what was printed."""
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    ours = [line.removeprefix("hacc: ") for line in lines if line.startswith("hacc: ")]
    theirs = [line.strip() for line in lines if not line.startswith("hacc: ")]
    loud = [line for line in theirs if _LOUD.search(line)]
    return "; ".join((ours + (loud or theirs[-8:]))[:12]) or "no reason was given"


# frr-reload.py logs a hundred lines around the one that tells; vtysh marks refusals with a %; a
# traceback of Python, should our daemon end with one, has its reason after the name of an error.
_LOUD: Final = re.compile(r"error\b|\bfail|^%|\binvalid\b|\bunknown\b", re.IGNORECASE)
