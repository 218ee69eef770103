"""A Linux router: files, one script that brings them into force, and a dead-man timer.

Everything that must hold when our session is gone is done by the router itself, by `apply.sh`,
which travels with each run and stays with what it replaced. One exec carries a whole change: a
tar archive on its standard input, so that no shell ever reads the contents.

`BRINGERS` says how each file is brought into force. A file without a row is refused: it would lie
there without effect, and the plan after it would be empty and wrong.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import paramiko

from ..diff import reveal
from ..plan import FileChange
from ..rendered import Platform
from ..running import Running, RunningFile
from ..secrets import redact, resolve
from .errors import ApplyFailed, DeviceError, NotReverted, Refused, SessionLost, Unexpected
from .router import Connect, Job

FETCH: Final = Path(__file__).with_name("fetch.sh")
APPLY: Final = Path(__file__).with_name("apply.sh")
RUNS: Final = "/var/lib/hacc/runs"

FETCH_TIMEOUT_S: Final = 30.0
# An apply may wait for another's lock (5 s), restart FRR (15 s) and go the whole way back.
APPLY_TIMEOUT_S: Final = 120.0

REFUSED, RESTORED = 10, 11  # exit codes of apply.sh; anything else above 0: the way back failed


@dataclass(frozen=True, slots=True)
class Bringer:
    """How a file is brought into force.

    `{new}` is the staged file, `{path}` its place, `{previous}` where what it replaces is kept.
    A command of `check` runs before anything is touched, on the staged file. `bring` runs with the
    new files in place, and, without a `back`, on the way back with the previous ones: it must do
    the right thing for a file that is not there.
    """

    path: str  # a pattern
    check: str = ""
    keep: str = ""  # before anything is touched: saves in {previous} what the file does not hold
    bring: str = ""
    back: str = ""  # on the way back, instead of `bring`
    unit: str = ""  # the service whose state before is restored on the way back


# In the order in which files are brought into force: what others stand on comes first.
# sysctl: the way back needs the values that were in force, not those that a file said.
# FRR: `daemons` decides which daemons run, so it needs a restart (which loads frr.conf); for
# frr.conf alone frr-reload.py computes the difference, and adjacencies stay up. It continues after
# an error, hence the syntax check before. The way back is to what FRR ran, which may be more than
# its file said; it is put in the file's place for that time, because frr-reload.py given any other
# file saves what runs into frr.conf.
# keepalived: SIGHUP keeps running instances and the state of those that did not change.
_RELOAD: Final = (
    "/usr/lib/frr/frr-reload.py --reload --stdout --bindir /usr/bin --confdir /etc/frr "
    "--rundir /run/frr"
)
_FRR: Final = "systemctl is-active --quiet frr || systemctl start frr && " + _RELOAD
_SERVICE: Final = (
    "if [ -e {{path}} ]; then systemctl enable --quiet {unit} && systemctl {verb} {unit} && "
    "systemctl is-active --quiet {unit}; else systemctl disable --quiet --now {unit}; fi"
)
# snmpd: SNMPv3 users live on in its own file, and what it kept there wins over a new key; so ours
# are dropped from it while it is stopped (it writes the file when it stops).
_SNMPD: Final = (
    "if [ -e {path} ]; then systemctl stop snmpd; "
    r"for user in $(sed -n 's/^createUser \([^ ]*\) .*/\1/p' {path}); do "
    r'sed -i "/^usmUser .* \"$user\" \"$user\" /d" /var/lib/snmp/snmpd.conf; done; '
    "systemctl enable --quiet snmpd && systemctl start snmpd && systemctl is-active --quiet snmpd; "
    "else systemctl disable --quiet --now snmpd; fi"
)
BRINGERS: Final = (
    Bringer(
        "/etc/sysctl.d/*.conf",
        keep=r"sed -n 's/^[[:space:]]*-\{{0,1\}}\([A-Za-z0-9_.\/-]\{{1,\}}\)[[:space:]]*=.*/\1/p' "
        "{new} | while read -r key; do sysctl -e $key; done >{previous}.values",
        bring="[ ! -e {path} ] || sysctl -q -p {path}",
        back="sysctl -q -e -p {previous}.values",
    ),
    Bringer("/etc/frr/daemons", bring="systemctl restart frr", unit="frr"),
    Bringer(
        "/etc/frr/frr.conf",
        check="vtysh -C -f {new}",
        keep="vtysh -c 'show running-config' 2>/dev/null | "
        "sed '1,/^Current configuration:/d' >{previous}.live || true",
        bring="[ ! -e {path} ] || {{ " + _FRR + " {path}; }}",
        back="[ ! -s {previous}.live ] || {{ cp {previous}.live {path} && " + _FRR + " {path}; }}",
        unit="frr",
    ),
    Bringer(
        "/etc/snmp/snmpd.conf",
        bring=_SNMPD,
        unit="snmpd",
    ),
    Bringer(
        "/etc/keepalived/keepalived.conf",
        check="keepalived -t -f {new}",
        bring=_SERVICE.format(unit="keepalived", verb="reload-or-restart"),
        unit="keepalived",
    ),
    Bringer("/etc/systemd/system/*.service", bring="systemctl daemon-reload"),
    Bringer(
        "/etc/hacc/*.toml",
        check="! command -v hacc-agent >/dev/null || hacc-agent check-config {new}",
        bring="[ ! -e /etc/systemd/system/hacc-agent.service ] || "
        "systemctl try-reload-or-restart hacc-agent",
    ),
)


def bringer(path: str) -> tuple[int, Bringer] | None:
    """The row for a file, and its place in the order."""
    rows = ((n, row) for n, row in enumerate(BRINGERS) if fnmatchcase(path, row.path))
    return next(rows, None)


def bundle(
    run: str,
    files: Sequence[FileChange],
    contents: Sequence[bytes | None],
    seconds: int,
    live: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """The tar archive of a change: what `apply.sh` finds in its directory.

    Contents of None stand for a file that is removed. `live` is what a daemon is to run where that
    is not what its file says. Raises KeyError, with the path, for a file that no row of `BRINGERS`
    matches.
    """
    order = []
    for change, content in zip(files, contents, strict=True):
        found = bringer(change.path)
        if found is None:
            raise KeyError(change.path)
        order.append((found[0], change, content, found[1]))
    order.sort(key=lambda item: (item[0], item[1].path))
    manifest, check, keep, units = [], [], [], []
    bring: list[tuple[bool, str]] = []  # (it stays, command)
    back: list[tuple[bool, str]] = []
    members: dict[str, bytes] = {"apply.sh": APPLY.read_bytes(), "seconds": b"%d\n" % seconds}
    for number, (_, change, content, row) in enumerate(order):
        before, digest = change.before_sha256 or "-", "-"
        if content is not None:
            members[f"new/{number}"] = content
            digest = hashlib.sha256(content).hexdigest()
        manifest.append(f"{number} {change.mode:04o} {digest} {before} {change.path}")
        words = {
            "new": f"{RUNS}/{run}/new/{number}",
            "previous": f"{RUNS}/{run}/previous/{number}",
            "path": shlex.quote(change.path),
        }
        if content is not None:  # there is nothing to check about a file that goes
            check.append(row.check.format(**words))
        keep.append(row.keep.format(**words))
        if change.path in live:
            members[f"live/{number}.live"] = live[change.path].encode()
            there = words | {"previous": f"{RUNS}/{run}/live/{number}"}
            bring.append((content is not None, row.back.format(**there)))
        else:
            bring.append((content is not None, row.bring.format(**words)))
        back.append((change.before_sha256 is not None, (row.back or row.bring).format(**words)))
        units.append(row.unit)
    members["manifest"] = _lines(manifest)
    members["check"] = _lines(check)
    members["keep"] = _lines(keep)
    members["bring"], members["return"] = (
        _lines(_leaving_first(bring)),
        _lines(_leaving_first(back)),
    )
    members["units"] = _lines(units)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def _leaving_first(commands: Iterable[tuple[bool, str]]) -> list[str]:
    """What goes, goes before the rest comes: keepalived gives up an address before FRR takes it.

    FRR takes an address that it finds for its own, and would lose it with the one who had it.
    """
    return [command for _, command in sorted(commands, key=lambda item: item[0])]


def _lines(texts: Iterable[str]) -> bytes:
    """One a line, without empty ones, each once."""
    return "".join(f"{text}\n" for text in dict.fromkeys(texts) if text).encode()


class LinuxRouter:
    """See `router.Router`."""

    def __init__(self, host: str, connect: Connect) -> None:
        self._host = host
        self._connect = connect
        self._connection: Any = None

    def run(self, command: str) -> str:
        return self._exec(command, b"", APPLY_TIMEOUT_S)[1].decode("utf-8", "replace")

    def fetch(self, paths: Sequence[str]) -> Running:
        command = f"/bin/sh -c {shlex.quote(FETCH.read_text())} hacc {shlex.join(paths)}"
        code, output = self._exec(command, b"", FETCH_TIMEOUT_S)
        if code != 0:
            raise DeviceError(self._host, f"cannot read its files: {_said(output)}")
        return parse_fetched(self._host, output)

    def back_up(self, job: Job) -> None:
        """Nothing: `apply.sh` keeps the previous files itself, before it touches them."""

    def apply(self, job: Job) -> None:
        contents = [self._open(change, job) for change in job.plan.files]
        try:
            archive = bundle(job.run, job.plan.files, contents, job.confirm_within_s)
        except KeyError as path:
            raise Refused(
                self._host, f"nobody knows how to bring {path} into force; nothing was sent"
            ) from None
        job.journal.record(
            self._host, "send", *(f"{c.path} <- {c.after or '(removed)'}" for c in job.plan.files)
        )
        self._judge(job, *self._send(job.run, archive))
        self._prove(job)

    def _send(self, run: str, archive: bytes, *, urgent: bool = False) -> tuple[int, bytes]:
        directory = f"{RUNS}/{run}"
        command = (
            f"umask 077; mkdir -p {directory} && tar -xmf - -C {directory} && "
            f"exec /bin/sh {directory}/apply.sh apply {run}"
        )
        return self._exec(command, archive, APPLY_TIMEOUT_S, urgent=urgent)

    def confirm(self, job: Job) -> None:
        self._judge(job, *self._verb(job, "confirm"))

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
        archive = bundle(run, changes, contents, job.confirm_within_s, live)
        self._judge(job, *self._send(run, archive, urgent=True))
        self._judge(job, *self._verb(job, "confirm", run=run, urgent=True))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _open(self, change: FileChange, job: Job) -> bytes | None:
        """The contents with their secrets, in the last moment; None for a file that is removed."""
        if change.after is None:
            return None
        held = job.before.file(change.path)
        own = reveal(held.in_force, Platform.LINUX) if held else {}
        return resolve(change.after, {**job.opened, **own}).encode()

    def _prove(self, job: Job) -> None:
        """The router holds what was sent."""
        paths = [change.path for change in job.plan.files]
        after = self.fetch(paths)
        for change in job.plan.files:
            held = after.file(change.path)
            text = None if held is None or held.text is None else held.text.encode()
            if text != self._open(change, job):
                raise Unexpected(self._host, f"{change.path} does not hold what was sent")

    def _verb(
        self, job: Job, verb: str, *, run: str = "", urgent: bool = False
    ) -> tuple[int, bytes]:
        run = run or job.run
        script = f"{RUNS}/{run}/apply.sh"
        # Without the script nothing was staged, so there is nothing to take back.
        missing = "exit 0" if verb == "restore" else "echo hacc: nothing was staged; exit 10"
        command = f"[ -f {script} ] || {{ {missing}; }}; exec /bin/sh {script} {verb} {run}"
        job.journal.record(self._host, "step", verb)
        return self._exec(command, b"", APPLY_TIMEOUT_S, urgent=urgent)

    def _judge(self, job: Job, code: int, output: bytes) -> None:
        if code == 0:
            return
        reason = self._sealed(job, _said(output))
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
            transport = self._connection.remote_conn_pre.get_transport()
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


@dataclass(frozen=True, slots=True)
class _Item:
    kind: str
    mode: int
    name: str
    data: bytes


def _items(output: bytes) -> Iterator[_Item]:
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        kind, mode, size, name = output[at:end].decode().split(" ", 3)
        start = end + 1
        yield _Item(kind, int(mode, 8), name, output[start : start + int(size)])
        at = start + int(size) + 1


def parse_fetched(host: str, output: bytes) -> Running:
    """What `fetch.sh` printed, as a value."""
    files: dict[str, RunningFile] = {}
    keepalived, addresses = "", "[]"
    try:
        for item in _items(output):
            text = item.data.decode("utf-8")
            match item.kind:
                case "file":
                    files[item.name] = RunningFile(item.name, text, item.mode)
                case "none":
                    files.setdefault(item.name, RunningFile(item.name, None, 0))
                case "link":
                    raise DeviceError(host, f"{item.name} is a symbolic link to {text}")
                case "live" if item.data:
                    held = files[item.name]
                    files[item.name] = RunningFile(held.path, held.text, held.mode, _live(text))
                case "groups":
                    keepalived = text
                case "addresses":
                    addresses = text
    except UnicodeDecodeError as error:
        raise DeviceError(host, f"a file is not UTF-8 text: {error}") from error
    except (ValueError, KeyError) as error:
        raise DeviceError(host, f"its answer is not understood: {error!r}") from error
    return Running(
        host=host,
        platform=Platform.LINUX,
        files=tuple(files.values()),
        active=active_groups(keepalived, addresses),
        revert_timer=True,
    )


def _live(text: str) -> str:
    """`show running-config` of vtysh without the lines that precede the configuration."""
    lines = text.splitlines()
    heading = ("", "Building configuration...", "Current configuration:", "!")
    while lines and lines[0] in heading:
        lines.pop(0)
    return "".join(f"{line}\n" for line in lines)


_INSTANCE: Final = re.compile(r"^\s*vrrp_instance\s+(\S+)\s*\{", re.MULTILINE)
_BLOCK: Final = re.compile(r"virtual_ipaddress\s*\{([^}]*)\}")
_INTERFACE: Final = re.compile(r"^\s*interface\s+(\S+)", re.MULTILINE)


def active_groups(keepalived: str, addresses: str) -> tuple[str, ...]:
    """Names of the VRRP instances whose virtual addresses are on their interfaces now.

    `keepalived` is its configuration, `addresses` what `ip -j address` prints.
    """
    held: Mapping[str, set[str]] = {
        link["ifname"]: {info.get("local", "") for info in link.get("addr_info", ())}
        for link in (json.loads(addresses) if addresses.strip() else ())
        if "ifname" in link
    }
    active = []
    starts = [*_INSTANCE.finditer(keepalived)]
    ends = [*(start.start() for start in starts[1:]), len(keepalived)][: len(starts)]
    for start, end in zip(starts, ends, strict=True):
        body = keepalived[start.end() : end]
        interface, block = _INTERFACE.search(body), _BLOCK.search(body)
        if not interface or not block:
            continue
        wanted = [line.split() for line in block[1].splitlines() if line.split()]
        for words in wanted[:1]:  # the first is the group's own address
            device = words[words.index("dev") + 1] if "dev" in words[:-1] else interface[1]
            if words[0].partition("/")[0] in held.get(device, ()):
                active.append(start[1])
    return tuple(sorted(active))


def _said(output: bytes) -> str:
    """The reason that a script gave: its own lines, then the loud ones of what was printed."""
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    ours = [line.removeprefix("hacc: ") for line in lines if line.startswith("hacc: ")]
    theirs = [line.strip() for line in lines if not line.startswith("hacc: ")]
    loud = [line for line in theirs if _LOUD.search(line)]
    return "; ".join((ours + (loud or theirs[-8:]))[:12]) or "no reason was given"


# frr-reload.py logs a hundred lines around the one that tells; vtysh marks refusals with a %.
_LOUD: Final = re.compile(r"\berror\b|\bfail|^%|\binvalid\b|\bunknown\b", re.IGNORECASE)
