"""How the files of a Linux router are brought into force, and what travels there to do it.

`BRINGERS` says how each file is brought into force. A file without a row is refused: it would lie
there without effect, and the plan after it would be empty and wrong. `bundle` makes the archive
that `apply.sh` finds in its directory.
"""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..plan import FileChange
from ..running import Running
from .frr import additions

APPLY: Final = Path(__file__).with_name("apply.sh")
RUNS: Final = "/var/lib/hacc/runs"


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
    runs: bool = False  # `keep` saves in {previous}.live what the daemon runs
    bring: str = ""
    back: str = ""  # on the way back, instead of `bring`
    unit: str = ""  # the service whose state before is restored on the way back


# In the order in which files are brought into force: what others stand on comes first.
# sysctl: the way back needs the values that were in force, not those that a file said.
# FRR: `daemons` decides which daemons run, so it needs a restart (which loads frr.conf); for
# frr.conf alone frr-reload.py computes the difference, and adjacencies stay up. It continues after
# an error, hence the syntax check before. Where a change only adds lines (`frr` knows), they are
# typed: one process instead of the nine of frr-reload.py, which follows should that fail.
# The way back is to what FRR ran, which may be more than its file said; it is put in the
# file's place for that time, because frr-reload.py given any other file saves what runs into
# frr.conf.
# The agent: it reads its file again when it is told to, and tells which one is in force; what it
# cannot change while it runs, and a unit that has changed, need a restart, which its journal
# outlives. Its unit is ours, so on the way back it goes, and with it the link
# that `enable` made, which `disable` no longer finds a unit for.
# The HSRP speaker likewise: it reads its file again, and gives its addresses up when it is stopped.
# keepalived and it, last: who takes the virtual Home Agent address must be able to serve it. SIGHUP
# keeps running instances and the state of those that did not change.
_RELOAD: Final = (
    "/usr/lib/frr/frr-reload.py --reload --stdout --bindir /usr/bin --confdir /etc/frr "
    "--rundir /run/frr"
)
_FRR: Final = "systemctl is-active --quiet frr || systemctl start frr && "
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
    "systemctl enable --quiet --now snmpd && systemctl is-active --quiet snmpd; "
    "else systemctl disable --quiet --now snmpd; fi"
)
_WANTED: Final = "/etc/systemd/system/multi-user.target.wants/hacc-agent.service"
_HSRP_WANTED: Final = "/etc/systemd/system/multi-user.target.wants/hacc-hsrp.service"
_API_WANTED: Final = "/etc/systemd/system/multi-user.target.wants/hacc-agent-api.service"
_LINK: Final = (
    "[ ! -e /etc/systemd/system/hacc-agent.service ] || systemctl try-reload-or-restart hacc-agent"
)
_WHY: Final = " || {{ journalctl --no-pager -u hacc-agent -n 5; exit 1; }}"
BRINGERS: Final = (
    Bringer(
        "/etc/sysctl.d/*.conf",
        keep=r"sed -n 's/^[[:space:]]*-\{{0,1\}}\([A-Za-z0-9_.\/-]\{{1,\}}\)[[:space:]]*=.*/\1/p' "
        "{new} | xargs -r sysctl -e >{previous}.values",
        bring="[ ! -e {path} ] || sysctl -q -p {path}",
        back="sysctl -q -e -p {previous}.values",
    ),
    Bringer("/etc/frr/daemons", bring="systemctl restart frr", unit="frr"),
    Bringer(
        "/etc/frr/frr.conf",
        check="vtysh -C -f {new}",
        keep="vtysh -c 'show running-config no-header' >{previous}.live 2>/dev/null || true",
        runs=True,
        bring="[ ! -e {path} ] || {{ " + _FRR + "{{ [ -e {new}.added ] && vtysh -f {new}.added "
        "|| " + _RELOAD + " {path}; }}; }}",
        back="[ ! -s {previous}.live ] || {{ cp {previous}.live {path} && "
        + _FRR
        + _RELOAD
        + " {path}; }}",
        unit="frr",
    ),
    Bringer(
        "/etc/snmp/snmpd.conf",
        bring=_SNMPD,
        unit="snmpd",
    ),
    Bringer("/etc/hacc/*.pem", bring=_LINK),
    Bringer("/etc/hacc/*.key", bring=_LINK),
    Bringer(
        "/etc/systemd/system/hacc-agent.service",
        bring="[ -e {path} ] || {{ systemctl stop hacc-agent; rm -f " + _WANTED + "; }}; "
        "systemctl daemon-reload && {{ [ ! -e {path} ] || systemctl try-restart hacc-agent"
        + _WHY
        + "; }}",
    ),
    Bringer(
        "/etc/hacc/agent.toml",
        check="command -v hacc-agent >/dev/null || {{ echo hacc-agent is not installed on this "
        "router; exit 1; }}; hacc-agent check-config {new}",
        bring="if [ -e {path} ]; then systemctl enable --quiet hacc-agent && "
        "{{ systemctl is-active --quiet hacc-agent && systemctl reload hacc-agent && "
        "hacc-agent status --json | grep -qF $(sha256sum {path} | cut -c -64) || "
        "systemctl restart hacc-agent; }} && "
        "systemctl is-active --quiet hacc-agent"
        + _WHY
        + "; else systemctl stop hacc-agent || true; fi",
        unit="hacc-agent",
    ),
    Bringer(
        "/etc/systemd/system/hacc-hsrp.service",
        bring="[ -e {path} ] || {{ systemctl stop hacc-hsrp; rm -f " + _HSRP_WANTED + "; }}; "
        "systemctl daemon-reload && {{ [ ! -e {path} ] || systemctl try-restart hacc-hsrp; }}",
    ),
    Bringer(
        "/etc/hacc/hsrp.toml",
        check="hacc-agent hsrp check --config {new}",
        bring="if [ -e {path} ]; then systemctl enable --quiet hacc-hsrp && "
        "systemctl reload-or-restart hacc-hsrp && systemctl is-active --quiet hacc-hsrp; "
        "else systemctl stop hacc-hsrp || true; fi",
        unit="hacc-hsrp",
    ),
    Bringer(
        "/etc/systemd/system/hacc-agent-api.service",
        bring="[ -e {path} ] || {{ systemctl stop hacc-agent-api; rm -f " + _API_WANTED + "; }}; "
        "systemctl daemon-reload && "
        "{{ [ ! -e {path} ] || systemctl try-restart hacc-agent-api; }}",
    ),
    Bringer(
        "/etc/hacc/api.toml",
        check="hacc-agent api check --config {new}",
        bring="if [ -e {path} ]; then systemctl enable --quiet hacc-agent-api && "
        "systemctl restart hacc-agent-api && systemctl is-active --quiet hacc-agent-api; "
        "else systemctl stop hacc-agent-api || true; fi",
        unit="hacc-agent-api",
    ),
    Bringer(
        "/etc/keepalived/keepalived.conf",
        check="keepalived -t -f {new}",
        bring=_SERVICE.format(unit="keepalived", verb="reload-or-restart"),
        unit="keepalived",
    ),
)


# A service that is stopped says so (VRRP: an advertisement of priority 0, HSRP: a resign), and who
# is next takes over at once. Started again it is standby, and preempts as its file says. Where
# nobody takes over in five seconds, more than any hold time of ours, the change comes as it is.
_STOP: Final = "systemctl stop {unit}"
_START: Final = "systemctl start {unit}"
_TAKEN: Final = "for try in 1 2 3 4 5; do ping -c 1 -W 1 -q {address} && break; done; true"


def bringer(path: str) -> tuple[int, Bringer] | None:
    """The row for a file, and its place in the order."""
    rows = ((n, row) for n, row in enumerate(BRINGERS) if fnmatchcase(path, row.path))
    return next(rows, None)


def bundle(
    run: str,
    files: Sequence[FileChange],
    contents: Sequence[bytes | None],
    seconds: int,
    *,
    before: Running | None = None,
    hand_over: Mapping[str, str] = MappingProxyType({}),
    live: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """The tar archive of a change: what `apply.sh` finds in its directory.

    Contents of None stand for a file that is removed. `before` is what the router must still hold
    when the archive arrives. `live` is what a daemon is to run where that is not what its file
    says. `hand_over` maps virtual addresses that are active here, and are to be somebody else's
    before anything is touched, to their services. Raises KeyError, with the path, for a file that
    no row of `BRINGERS` matches.
    """
    order = []
    for change, content in zip(files, contents, strict=True):
        found = bringer(change.path)
        if found is None:
            raise KeyError(change.path)
        order.append((found[0], change, content, found[1]))
    order.sort(key=lambda item: (item[0], item[1].path))
    there = f"{RUNS}/{run}"
    texts: dict[str, list[str]] = {name: [] for name in _LISTS}
    bring: list[tuple[bool, str]] = []  # (it stays, command)
    back: list[tuple[bool, str]] = []
    members = {"apply.sh": _Member(APPLY.read_bytes()), "seconds": _Member(b"%d\n" % seconds)}
    for number, (_, change, content, row) in enumerate(order):
        words = {
            "new": f"{there}/new/{number}",
            "previous": f"{there}/previous/{number}",
            "path": shlex.quote(change.path),
        }
        digest = "-"
        if content is not None:  # there is nothing to check about a file that goes
            members[f"new/{number}"] = _Member(content, change.mode)
            digest = _sum(content)
            texts["arrived"].append(f"{digest}  new/{number}")
            texts["placed"].append(f"{digest}  {change.path}")
            texts["check"].append(row.check.format(**words))
        was = change.before_sha256 or "-"
        texts["manifest"].append(f"{number} {change.mode:04o} {digest} {was} {change.path}")
        texts["keep"].append(row.keep.format(**words))
        texts["units"].append(row.unit)
        if row.runs and before and (held := before.file(change.path)):
            runs = held.live or ""
            texts["ran"].append(f"{_sum(runs.encode())}  previous/{number}.live")
            added = additions(runs, content.decode()) if runs and content else None
            if added is not None:
                members[f"new/{number}.added"] = _Member(added.encode())
        if change.path in live:
            members[f"live/{number}.live"] = _Member(live[change.path].encode())
            given = words | {"previous": f"{there}/live/{number}"}
            bring.append((content is not None, row.back.format(**given)))
        else:
            bring.append((content is not None, row.bring.format(**words)))
        back.append((change.before_sha256 is not None, (row.back or row.bring).format(**words)))
    if before:
        _describe(before, texts)
    texts["bring"], texts["return"] = _leaving_first(bring), _leaving_first(back)
    units = sorted({*hand_over.values()})
    texts["units"] += units
    texts["bring"] += [_START.format(unit=unit) for unit in units]
    texts["hand-over"] = [
        *(_STOP.format(unit=unit) for unit in units),
        *(_TAKEN.format(address=address) for address in hand_over),
    ]
    members |= {name: _Member(_lines(lines)) for name, lines in texts.items()}
    return _archive(members)


def _describe(before: Running, texts: Mapping[str, list[str]]) -> None:
    """What the files were when the plan was made."""
    for file in before.files:
        if file.text is None:
            texts["absent"].append(file.path)
        else:
            texts["held"].append(f"{_sum(file.text.encode())}  {file.path}")
            texts["modes"].append(f"{file.mode:o} {file.path}")


_LISTS: Final = ("manifest", "arrived", "placed", "held", "modes", "absent", "ran", "check",
                 "keep", "units")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Member:
    data: bytes
    mode: int = 0o600


def _archive(members: Mapping[str, _Member]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(member.data), member.mode
            tar.addfile(info, io.BytesIO(member.data))
    return archive.getvalue()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _leaving_first(commands: Iterable[tuple[bool, str]]) -> list[str]:
    """What goes, goes before the rest comes: keepalived gives up an address before FRR takes it.

    FRR takes an address that it finds for its own, and would lose it with the one who had it.
    """
    return [command for _, command in sorted(commands, key=lambda item: item[0])]


def _lines(texts: Iterable[str]) -> bytes:
    """One a line, without empty ones, each once."""
    return "".join(f"{text}\n" for text in dict.fromkeys(texts) if text).encode()
