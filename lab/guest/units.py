"""Unit files, read as systemd.unit(5), systemd.service(5) and systemd.syntax(7) say.

A virtual router starts its daemons from the *stock* unit files of the distribution, with drop-ins
and with what the orchestrator has put into /etc/systemd/system. So a unit that works here is the
unit that works on a real router; what the lab does not act upon is listed by `Unit.ignored()` and
shown by `systemctl status`, never silently taken for done.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

# systemd.unit(5), "Unit File Search Path", as far as it concerns system units that people write.
SEARCH_PATH = (
    Path("/etc/systemd/system"),
    Path("/run/systemd/system"),
    Path("/usr/local/lib/systemd/system"),
    Path("/lib/systemd/system"),
)

# Options that the lab acts upon. Everything else in [Service] is reported as ignored.
_WORDS = """
    Type ExecStart ExecStartPre ExecStartPost ExecReload ExecStop ExecStopPost
    PIDFile RemainAfterExit Restart RestartSec RestartPreventExitStatus SuccessExitStatus
    StartLimitBurst StartLimitInterval StartLimitIntervalSec
    TimeoutSec TimeoutStartSec TimeoutStopSec KillMode KillSignal NotifyAccess WatchdogSec
    User Group SupplementaryGroups WorkingDirectory UMask Nice LimitNOFILE
    Environment EnvironmentFile AmbientCapabilities
    RuntimeDirectory RuntimeDirectoryMode StateDirectory StateDirectoryMode
    LogsDirectory LogsDirectoryMode CacheDirectory CacheDirectoryMode
    ConfigurationDirectory ConfigurationDirectoryMode
    StandardInput StandardOutput StandardError SyslogIdentifier
"""
HONOURED = frozenset(_WORDS.split())

_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(?:service|timer|target|socket)")
_TRUE = frozenset({"1", "yes", "true", "on"})


WANTS = Path("/etc/systemd/system")  # where `enable` makes its links


class UnitError(Exception):
    """A unit that does not exist, or whose file says nothing that could be started."""


class Command(NamedTuple):
    """One Exec line: `-` in front of it (errors do not count) is `may_fail`."""

    argv: tuple[str, ...]
    may_fail: bool


class Unit(NamedTuple):
    """A unit as its files say it, drop-ins merged. Values keep the order of their lines."""

    name: str
    path: Path
    drop_ins: tuple[Path, ...]
    options: Mapping[tuple[str, str], tuple[str, ...]]

    def all(self, option: str, section: str = "Service") -> tuple[str, ...]:
        return self.options.get((section, option), ())

    def get(self, option: str, default: str = "", section: str = "Service") -> str:
        values = self.all(option, section)
        return values[-1] if values else default

    def flag(self, option: str, section: str = "Service") -> bool:
        return self.get(option, "no", section).lower() in _TRUE

    def words(self, option: str, section: str = "Service") -> tuple[str, ...]:
        """Every word of a list option, over all its lines."""
        return tuple(word for line in self.all(option, section) for word in shlex.split(line))

    def seconds(self, option: str, default: float) -> float:
        """A time span, in seconds; `infinity` is a year, which no lab outlives."""
        value = self.get(option)
        return time_span(value) if value else default

    def commands(self, option: str) -> tuple[Command, ...]:
        return tuple(parse_command(line) for line in self.all(option))

    @property
    def type(self) -> str:
        """Type=, with the default that systemd.service(5) gives it."""
        return self.get("Type", "simple" if self.all("ExecStart") else "oneshot")

    @property
    def wanted_by(self) -> tuple[str, ...]:
        return self.words("WantedBy", "Install")

    def ignored(self) -> tuple[str, ...]:
        """The [Service] options of this unit that a real router would act upon and the lab not."""
        return tuple(sorted({o for s, o in self.options if s == "Service" and o not in HONOURED}))


def full_name(name: str) -> str:
    """`frr` is `frr.service`, as on systemctl's command line."""
    name = name.removesuffix("/").rsplit("/", 1)[-1]
    if not _UNIT_NAME.fullmatch(name):
        name = f"{name}.service"
    if not _UNIT_NAME.fullmatch(name):
        raise UnitError(f"Invalid unit name: {name!r}")
    return name


def parse(text: str) -> list[tuple[str, str, str]]:
    """(section, option, value) for each assignment of a unit file, in order."""
    found: list[tuple[str, str, str]] = []
    section = ""
    for line in re.sub(r"\\\n[ \t]*", " ", text).splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            option, value = line.split("=", 1)
            found.append((section, option.strip(), value.strip()))
    return found


def merge(
    name: str, files: Iterable[tuple[Path, str]], path: Path, drop_ins: tuple[Path, ...]
) -> Unit:
    """One unit from its file and its drop-ins; an empty assignment clears what stood before."""
    options: dict[tuple[str, str], tuple[str, ...]] = {}
    for _, text in files:
        for section, option, value in parse(text):
            key = (section, option)
            options[key] = (*options.get(key, ()), _specifiers(value, name)) if value else ()
    return Unit(name, path, drop_ins, options)


def load(name: str, search_path: tuple[Path, ...] = SEARCH_PATH) -> Unit:
    """Find and read a unit. An alias (a symbolic link) answers under the name it points to."""
    name = full_name(name)
    template = re.sub(r"@[^@]+(\.\w+)$", r"@\1", name)
    for directory in search_path:
        for candidate in dict.fromkeys((name, template)):
            path = directory / candidate
            if not path.is_file():
                if path.is_symlink() and str(path.readlink()) == "/dev/null":
                    raise UnitError(f"Unit {name} is masked.")
                continue
            if path.is_symlink() and candidate == name:
                target = path.readlink().name
                if target != name and "@" not in target:
                    return load(target, search_path)
            return _read(name, path, search_path)
    raise UnitError(f"Unit {name} not found.")


def _read(name: str, path: Path, search_path: tuple[Path, ...]) -> Unit:
    by_name: dict[str, Path] = {}
    for directory in reversed(search_path):
        by_name |= {p.name: p for p in (directory / f"{name}.d").glob("*.conf")}
    drop_ins = tuple(by_name[key] for key in sorted(by_name))
    files = [(p, p.read_text(encoding="utf-8", errors="replace")) for p in (path, *drop_ins)]
    return merge(name, files, path, drop_ins)


def parse_command(line: str) -> Command:
    """Split an Exec line: the prefixes of systemd.service(5), then words with quotes."""
    argv = shlex.split(line)
    program = argv[0].lstrip("-@:+!") if argv else ""
    if not program:
        raise UnitError(f"no command in {line!r}")
    prefix = argv[0][: len(argv[0]) - len(program)]
    if "@" in prefix:  # the second word is argv[0] of the process; no daemon of ours looks at it
        argv = [argv[0], *argv[2:]]
    return Command((program, *argv[1:]), "-" in prefix)


def expand(argv: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """`$NAME` alone becomes as many words as it holds, `${NAME}` is replaced in place."""
    words: list[str] = []
    for word in argv:
        if re.fullmatch(r"\$[A-Za-z_]\w*", word):
            words += environment.get(word[1:], "").split()
            continue
        word = re.sub(r"\$\{([A-Za-z_]\w*)\}", lambda m: environment.get(m[1], ""), word)
        words.append(word.replace("$$", "$"))
    return words


def parse_environment(lines: Iterable[str]) -> dict[str, str]:
    """Assignments of Environment= lines, or the lines of an EnvironmentFile=."""
    found: dict[str, str] = {}
    for line in lines:
        if line.lstrip()[:1] in ("#", ";"):
            continue
        for word in shlex.split(line):
            name, equals, value = word.partition("=")
            if equals:
                found[name] = value
    return found


_UNITS_OF_TIME = {
    "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "us": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip


def time_span(text: str) -> float:
    """Seconds of a span of systemd.time(7): `90`, `1min 30s`, `500ms`, `infinity`."""
    if text.strip() == "infinity":
        return 365 * 86400.0
    if not re.fullmatch(r"(\s*\d+(\.\d+)?\s*[a-z]*)+\s*", text):
        raise UnitError(f"Failed to parse time span: {text!r}")
    total = 0.0
    for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text):
        if unit not in _UNITS_OF_TIME:
            raise UnitError(f"Failed to parse time span: {text!r}")
        total += float(number) * _UNITS_OF_TIME[unit]
    return total


def _specifiers(value: str, name: str) -> str:
    """The specifiers of systemd.unit(5) that units of ours and of Debian use."""
    stem = name.rsplit(".", 1)[0]
    prefix, _, instance = stem.partition("@")
    table = {"n": name, "N": stem, "p": prefix, "i": instance, "t": "/run", "S": "/var/lib",
             "L": "/var/log", "C": "/var/cache", "E": "/etc", "%": "%"}  # fmt: skip
    return re.sub(r"%([nNpitSLCE%])", lambda m: table[m[1]], value)
