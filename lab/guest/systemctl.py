"""`systemctl`, `systemd-run` and `journalctl` of a virtual router: words in, texts and a code out.

The subset that an orchestrator and an operator at 3 a.m. use, with systemd's words, texts and
exit codes. Anything else is refused with a message that names the lab, so that nobody takes a
virtual router for a full Debian. Runs inside PID 1, which reads no module twice; the program that
is typed (`client.pl`) only carries the words there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from .units import WANTS, Unit, UnitError, full_name, load

VERSION: Final = "HACC lab init (stands in for systemd 252 in a virtual router; it is not systemd)"
_JOBS: Final = ("start", "stop", "restart", "try-restart", "reload", "reload-or-restart",
                "try-reload-or-restart", "reset-failed")  # fmt: skip
_ASKED: Final = ("is-active", "is-failed", "show", "is-system-running", "list-units",
                 "daemon-reload", "kill")  # fmt: skip
_SWITCHES: Final = {"-q", "--quiet", "--no-pager", "--no-block", "--system", "--no-legend", "--all",
                    "-a", "-l", "--full", "--plain", "-f", "--force", "--value", "--now",
                    "--no-ask-password", "--wait"}  # fmt: skip


_SHOWN: Final = {
    "Main PID": "MainPID",
    "Status": "StatusText",
    "Processes": "Processes",
    "Not done by the lab": "IgnoredByTheLab",
}


Ask = Callable[[dict[str, Any]], dict[str, Any]]  # one request to PID 1, and its answer


class Finished(Exception):
    """The command is done."""

    def __init__(self, code: int, out: str, err: str) -> None:
        super().__init__(code, out, err)
        self.code, self.out, self.err = code, out, err


def finish(code: int, out: str = "", err: str = "") -> NoReturn:
    raise Finished(code, out, err)


def refuse(text: str) -> NoReturn:
    finish(1, err=f"{text} [{VERSION}]")


def systemctl(ask: Ask, words: list[str]) -> NoReturn:
    switches: set[str] = set()
    values: dict[str, str] = {}
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--version":
            finish(0, VERSION)
        elif word in ("-p", "--property", "-s", "--signal", "-n", "--lines", "--kill-whom", "-t",
                      "--type", "--state"):  # fmt: skip
            values[word.lstrip("-")] = next(rest, "")
        elif found := re.fullmatch(r"--(property|signal|lines|kill-whom|type|state)=(.*)", word):
            values[found[1]] = found[2]
        elif word in _SWITCHES:
            switches.add(word)
        elif word.startswith("-"):
            refuse(f"systemctl: option {word} is not known here")
        else:
            names.append(word)
    properties = (values.get("p") or values.get("property") or "").split(",")
    verb, units = (names[0], names[1:]) if names else ("list-units", [])
    quiet = bool(switches & {"-q", "--quiet"})
    if verb in _JOBS:
        if not units:
            finish(1, err="Too few arguments.")
        finish(*_told(ask({"verb": verb, "units": units})))
    if verb in ("enable", "disable", "reenable", "is-enabled", "mask", "unmask"):
        enablement(ask, verb, units, now="--now" in switches, quiet=quiet)
    if verb in ("status", "cat"):
        (status if verb == "status" else cat)(ask, units)
    if verb not in _ASKED:
        refuse(f"Unknown command verb {verb}.")
    code, out, err = _told(
        ask(
            {
                "verb": verb,
                "units": units,
                "wait": "--wait" in switches,
                "signal": values.get("s") or values.get("signal") or "TERM",
                "whom": values.get("kill-whom", "all"),
            }
        )
    )
    if verb == "show" and properties != [""]:
        lines = [line for line in out.splitlines() if line.partition("=")[0] in (*properties, "")]
        out = "\n".join(line.partition("=")[2] if "--value" in switches else line for line in lines)
    finish(code, "" if quiet else out, err)


def _told(answer: dict[str, Any]) -> tuple[int, str, str]:
    return int(answer["code"]), str(answer["out"]), str(answer["err"])


def enablement(ask: Ask, verb: str, names: list[str], *, now: bool, quiet: bool) -> NoReturn:
    """The symbolic links of [Install]; with --now also the job."""
    code = 0
    out: list[str] = []
    err: list[str] = []
    for name in names:
        try:
            if verb in ("mask", "unmask"):
                _mask(full_name(name), verb == "mask", err)
                continue
            unit = load(name)
        except UnitError as error:
            if verb == "is-enabled" and "masked" in str(error):
                out.append("masked")
            else:
                err.append(f"Failed to {verb} unit: {error}")
            code = 1
            continue
        if verb == "is-enabled":
            state = enabled(unit)
            out.append(state)
            code = code if state in ("enabled", "static", "alias") else 1
        elif verb == "disable":
            for link in _links(unit):
                link.unlink()
                err.append(f"Removed {link}.")
        else:
            if not unit.wanted_by:
                err.append(f"The unit file {unit.name} has no installation config ([Install]).")
            for target in unit.wanted_by:
                link = WANTS / f"{target}.wants" / unit.name
                if not link.is_symlink():
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(unit.path)
                    err.append(f"Created symlink {link} → {unit.path}.")
    if now and verb in ("enable", "disable") and code == 0:
        code, _, error_text = _told(
            ask({"verb": "start" if verb == "enable" else "stop", "units": names})
        )
        err += [error_text] if error_text else []
    finish(code, "" if quiet else "\n".join(out), "" if quiet else "\n".join(err))


def _links(unit: Unit) -> list[Path]:
    return [p for p in WANTS.glob(f"*.wants/{unit.name}") if p.is_symlink()]


def enabled(unit: Unit) -> str:
    """What `systemctl show` calls UnitFileState."""
    if _links(unit):
        return "enabled"
    return "disabled" if unit.wanted_by else "static"


def _mask(name: str, masked: bool, told: list[str]) -> None:
    link = WANTS / name
    if masked:
        if link.exists() and not link.is_symlink():
            raise UnitError(f"File {link} already exists.")
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
        told.append(f"Created symlink {link} → /dev/null.")
    elif link.is_symlink() and str(link.readlink()) == "/dev/null":
        link.unlink()
        told.append(f"Removed {link}.")


def cat(_ask: Ask, names: list[str]) -> NoReturn:
    try:
        units = [load(name) for name in names]
    except UnitError as error:
        finish(1, err=f"No files found: {error}")
    paths = [path for unit in units for path in (unit.path, *unit.drop_ins)]
    finish(0, "\n".join(f"# {path}\n{path.read_text()}" for path in paths))


def status(ask: Ask, names: list[str]) -> NoReturn:
    code = 0
    lines: list[str] = []
    for name in names or []:
        told = ask({"verb": "show", "units": [name]})
        fields = dict(line.split("=", 1) for line in told["out"].splitlines() if "=" in line)
        if fields.get("LoadState") == "not-found":
            finish(4, err=f"Unit {full_name(name)} could not be found.")
        lines.append(f"● {fields['Id']} - {fields.get('Description', fields['Id'])}")
        lines.append(f"     Loaded: loaded ({fields.get('FragmentPath', '')})")
        since, result = fields.get("StateChangeTimestamp", ""), fields.get("Result", "")
        state = f"{fields['ActiveState']} ({fields.get('SubState', '')})"
        lines.append(f"     Active: {state} since {since}, result {result}")
        for label, key in _SHOWN.items():
            if fields.get(key) not in ("", "0", None):
                lines.append(f"   {label}: {fields[key]}")
        lines += [f"     {line}" for line in _log_lines(full_name(name))[-10:]]
        code = code or (0 if fields["ActiveState"] in ("active", "reloading") else 3)
    if not names:
        answer = ask({"verb": "is-system-running", "units": []})
        lines.append(f"● {os.uname().nodename}\n    State: {answer['out']}")
    finish(code, "\n".join(lines))


def _log_lines(name: str) -> list[str]:
    path = Path("/var/log/units") / f"{name}.log"
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def journalctl(_ask: Ask, words: list[str]) -> NoReturn:
    """`journalctl -u UNIT [-n N]`: what the service and PID 1 wrote about it."""
    names: list[str] = []
    count = 1000
    rest = iter(words)
    for word in rest:
        if word in ("-u", "--unit"):
            names.append(full_name(next(rest, "")))
        elif word.startswith("--unit="):
            names.append(full_name(word.split("=", 1)[1]))
        elif word in ("-n", "--lines"):
            count = int(next(rest, "10"))
        elif word not in ("--no-pager", "-b", "-e", "-q", "--no-hostname"):
            refuse(f"journalctl: option {word} is not known here; use journalctl -u UNIT [-n N]")
    if not names:
        refuse("journalctl: the lab keeps a log per unit; use journalctl -u UNIT")
    finish(0, "\n".join(line for name in names for line in _log_lines(name)[-count:]))


def systemd_run(ask: Ask, words: list[str]) -> NoReturn:
    """`systemd-run [--unit=NAME] [--on-active=SPAN] [-p NAME=VALUE] CMD...`"""
    request: dict[str, Any] = {"verb": "run", "properties": []}
    name = f"run-r{os.urandom(8).hex()}"
    while words and words[0].startswith("-"):
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if word == "--":
            break
        if word == "--version":
            finish(0, VERSION)
        if option in ("-p", "-u", "--unit", "--on-active", "--property", "--description",
                      "--timer-property") and not equals:  # fmt: skip
            value = words.pop(0) if words else ""
        if option in ("--unit", "-u"):
            name = value
        elif option == "--on-active":
            request["on_active"] = value
        elif option in ("-p", "--property"):
            request["properties"].append(value)
        elif option not in ("--collect", "-G", "--quiet", "-q", "--no-block", "--description",
                            "--timer-property", "--no-ask-password"):  # fmt: skip
            refuse(f"systemd-run: option {option} is not known here")
    if not words:
        refuse("systemd-run: Command line to execute required.")
    finish(*_told(ask({**request, "units": [name], "argv": words})))


_PROGRAMS: Final = {"systemctl": systemctl, "systemd-run": systemd_run, "journalctl": journalctl}


def run(program: str, words: list[str], ask: Ask) -> Finished:
    """What a command answers; `program` is the name it was called by."""
    try:
        _PROGRAMS[program](ask, words)
    except Finished as finished:
        return finished
    except (UnitError, ValueError) as error:
        return Finished(1, "", str(error))
