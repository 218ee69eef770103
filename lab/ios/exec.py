"""The commands of user and enable mode: one row each, and what they do.

A command answers with what is printed, with a Question, or with a Hangup. What `show` prints is
in show.py; the archive's part in archive.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import show, show_mobile, show_network, show_standby
from .edit import Refused
from .files import FlashFull, Path, parse_path
from .grammar import Grammar
from .reply import Call, Question
from .syntax import implied_of

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True, slots=True)
class Hangup:
    """The line is given up."""


Run = Callable[[Call], "str | Question | Hangup"]


@dataclass(frozen=True, slots=True)
class ExecCommand:
    """One row."""

    syntax: str
    run: Run
    user: bool = False  # also in user mode
    implied: tuple[tuple[int, str, str], ...] = ()


# --- moving about ---


def _enable(call: Call) -> str | Question | Hangup:
    if call.device.enable_matches("") is None:
        return "% No password set"
    if call.session.enabled:
        return ""
    return _ask_enable(call.session, 3)


def _ask_enable(session: Session, left: int) -> Question:
    def then(password: str, _now: float) -> str | Question:
        if session.device.enable_matches(password) and not session.device.faults.wrong_password:
            session.enabled = True
            return ""
        return _ask_enable(session, left - 1) if left > 1 else "% Bad secrets\n"

    return Question("Password: ", then, secret=True)


def _disable(call: Call) -> str | Question | Hangup:
    call.session.enabled = False
    return ""


def _exit(_call: Call) -> str | Question | Hangup:
    return Hangup()


def _nothing(_call: Call) -> str | Question | Hangup:
    return ""


def _length(call: Call) -> str | Question | Hangup:
    call.session.length = int(call.args["lines"])
    return ""


def _width(call: Call) -> str | Question | Hangup:
    call.session.width = int(call.args["columns"])
    return ""


_CONFIGURING = "Enter configuration commands, one per line.  End with CNTL/Z."


def _configure(call: Call) -> str | Question | Hangup:
    call.session.configure()
    return _CONFIGURING


def _configure_revert(call: Call) -> str | Question | Hangup:
    """`configure terminal revert timer N`, `... idle N`."""
    idle = "idle" in call.args
    try:
        name = call.device.archive.arm(
            int(call.args["minutes"]), call.now, call.session.user, idle=idle
        )
    except Refused as refusal:
        return str(refusal)
    call.session.configure()
    return (
        f"Rollback Confirmed Change: Backing up current running config to {name}\n\n{_CONFIGURING}"
    )


# --- confirmed changes ---


def _confirm(call: Call) -> str | Question | Hangup:
    try:
        call.device.archive.confirm()
    except Refused as refusal:
        return str(refusal)
    return ""


def _revert_now(call: Call) -> str | Question | Hangup:
    try:
        return call.device.archive.revert(call.now)
    except Refused as refusal:
        return str(refusal)


def _revert_timer(call: Call) -> str | Question | Hangup:
    try:
        call.device.archive.rearm(int(call.args["minutes"]), call.now, idle="idle" in call.args)
    except Refused as refusal:
        return str(refusal)
    return ""


_SURE = (
    "This will apply all necessary additions and deletions\n"
    "to replace the current running configuration with the\n"
    "contents of the specified configuration file, which is\n"
    "assumed to be a complete configuration, not a partial\n"
    "configuration. Enter Y if you are sure you want to proceed. ? [no]: "
)


def _replace(call: Call) -> str | Question | Hangup:
    archive = call.device.archive
    path = parse_path(call.args["file"])
    text = archive.read(path) if path is not None else None
    if text is None:
        return f"%Error opening {call.args['file']} (No such file or directory)"

    def go(answer: str, when: float) -> str | Question:
        if answer.strip().lower() not in ("y", "yes"):
            return ""
        before = call.device.running_config()
        try:
            backed = ""
            if "minutes" in call.args:
                name = archive.arm(
                    int(call.args["minutes"]), when, call.session.user, idle="idle" in call.args
                )
                backed = f"Rollback Confirmed Change: Backing up current running config to {name}\n"
        except Refused as refusal:
            return str(refusal)
        done = archive.replace(text, when)
        said = backed + done.report(listed="list" in call.args)
        if not done.done and "error" in call.args:
            archive.pending = None
            back = archive.replace(before, when)
            said += "\nRollback Confirmed Change: rolling back\n" + back.report(listed=False)
        return said

    if "force" in call.args:
        return go("y", call.now)
    return Question(_SURE, go)


def _archive_config(call: Call) -> str | Question | Hangup:
    try:
        call.device.archive.take(call.now)
    except Refused as refusal:
        return str(refusal)
    return ""


# --- files ---


def _write_memory(call: Call) -> str | Question | Hangup:
    return call.device.save()


def _write_erase(call: Call) -> str | Question | Hangup:
    def then(key: str, _when: float) -> str:
        if key[:1] in ("", "y", "Y"):
            call.device.store_startup(None)
            return "[OK]\nErase of nvram: complete"
        return ""

    return Question(
        "Erasing the nvram filesystem will remove all configuration files! Continue? [confirm]",
        then,
        key=True,
    )


def _quiet(session: Session) -> bool:
    line = session.device.configuration.get("file prompt")
    return line is not None and line.args["how"] == "quiet"


def _copy(call: Call) -> str | Question | Hangup:
    source, target = parse_path(call.args["source"]), parse_path(call.args["target"])
    if source is None or target is None:
        bad = call.args["source"] if source is None else call.args["target"]
        return f"%Error opening {bad} (Invalid argument)"
    shown = "startup-config" if target.system == "nvram" else target.name

    def ask(answer: str, when: float) -> str | Question:
        named = Path(target.system, answer.strip()) if answer.strip() else target
        if target.system != "flash":
            named = target
        return copy(call.session, source, named, when)

    if _quiet(call.session) or "noprompt" in call.args:
        return copy(call.session, source, target, call.now)
    return Question(f"Destination filename [{shown}]? ", ask)


def copy(session: Session, source: Path, target: Path, now: float) -> str:
    """`copy SOURCE TARGET`, all questions answered."""
    device = session.device
    text = device.archive.read(source)
    if text is None:
        return f"%Error opening {source} (No such file or directory)"
    if source.system == "system":
        text = device.running_config()
    size = len(text.encode())
    if target == Path("system", "running-config"):
        rejected = device.merge(text, now)
        said = "".join(f"{line.line}\n{line.said}\n" for line in rejected)
        return f"{said}{size} bytes copied in 0.060 secs ({size * 16} bytes/sec)"
    if target == Path("nvram", "startup-config"):
        if source.system == "system":
            return device.save()
        device.store_startup(text)
        return "[OK]"
    if target.system != "flash":
        return f"%Error opening {target} (Permission denied)"
    try:
        if device.faults.full_flash:
            raise FlashFull(target.name)
        device.flash.write(target.name, text.encode(), now)
    except FlashFull:
        return f"%Error opening {target} (No space left on device)"
    return f"{size} bytes copied in 0.060 secs ({size * 16} bytes/sec)"


def _dir(call: Call) -> str | Question | Hangup:
    path = parse_path(call.args.get("path", "flash:"))
    if path is None:
        return f"%Error opening {call.args['path']} (Invalid argument)"
    if path.system == "nvram":
        size = len(call.device.startup or "")
        return (
            f"Directory of nvram:/\n\n    1  -rw-  {size:10}                    <no date>  "
            f"startup-config\n\n524288 bytes total ({max(0, 524288 - size)} bytes free)"
        )
    listing = call.device.flash.listing(path.name)
    if listing is None:
        return f"%Error opening flash:/{path.name} (No such file or directory)"
    return listing


def _more(call: Call) -> str | Question | Hangup:
    path = parse_path(call.args["path"])
    text = call.device.archive.read(path) if path is not None else None
    if text is None:
        return f"%Error opening {call.args['path']} (No such file or directory)"
    return text


def _delete(call: Call) -> str | Question | Hangup:
    path = parse_path(call.args["path"])
    if path is None or path.system != "flash" or path.name not in call.device.flash.files:
        return f"%Error deleting {call.args['path']} (No such file or directory)"
    name = path.name

    def then(key: str, _when: float) -> str:
        if key[:1] in ("", "y", "Y"):
            call.device.flash.delete(name)
        return ""

    def named(_answer: str, _when: float) -> str | Question:
        return Question(f"Delete flash:/{name}? [confirm]", then, key=True)

    if "force" in call.args or _quiet(call.session):
        return then("y", call.now)
    return Question(f"Delete filename [{name}]? ", named)


def _verify(call: Call) -> str | Question | Hangup:
    path = parse_path(call.args["path"])
    digest = call.device.flash.md5(path.name) if path is not None else None
    if path is None or digest is None:
        return f"%Error opening {call.args['path']} (No such file or directory)"
    if call.args.get("expected"):
        good = call.args["expected"].lower() == digest
        return f"..Done!\n{'Verified' if good else '%Error verifying'} ({path}) = {digest}"
    return f"..Done!\nverify /md5 ({path}) = {digest}"


# --- the rest ---


def _reload(call: Call) -> str | Question | Hangup:
    def then(key: str, when: float) -> str:
        if key[:1] in ("", "y", "Y"):
            call.device.reload(when)
        return ""

    return Question("Proceed with reload? [confirm]", then, key=True)


def _clear_ospf(call: Call) -> str | Question | Hangup:
    def then(answer: str, _when: float) -> str:
        if answer.strip().lower() in ("y", "yes"):
            device = call.device
            device.router_ids = {
                line.key: router.args["id"]
                for line in device.configuration.lines.values()
                if line.body is not None and (router := line.body.get("router-id")) is not None
            }
        return ""

    return Question("Reset ALL OSPF processes? [no]: ", then)


def _help(_call: Call) -> str | Question | Hangup:
    return "Help may be requested at any point in a command by entering\na question mark '?'."


def _row(syntax: str, run: Run, *, user: bool = False) -> ExecCommand:
    return ExecCommand(syntax, run, user, implied_of(syntax))


SHOW = (
    *show.COMMANDS,
    *show_standby.COMMANDS,
    *show_network.COMMANDS,
    *show_mobile.COMMANDS,
)
_TIMER = "revert (<trigger:=trigger> <error:=error>|timer [<idle:=idle>] <minutes:1-120>)*"

COMMANDS: tuple[ExecCommand, ...] = (
    _row("enable [<level:0-15>]", _enable, user=True),
    _row("disable", _disable, user=True),
    _row("exit", _exit, user=True),
    _row("logout", _exit, user=True),
    _row("quit", _exit, user=True),
    _row("end", _nothing),
    _row("help", _help, user=True),
    _row("terminal length <lines:0-512>", _length, user=True),
    _row("terminal width <columns:0-512>", _width, user=True),
    _row("terminal no monitor", _nothing, user=True),
    _row("terminal monitor", _nothing, user=True),
    _row("terminal history size <lines:0-256>", _nothing, user=True),
    _row("configure terminal", _configure),
    _row("configure terminal revert timer <minutes:1-120>", _configure_revert),
    _row("configure terminal revert timer <idle:=idle> <minutes:1-120>", _configure_revert),
    _row("configure confirm", _confirm),
    _row("configure revert now", _revert_now),
    _row("configure revert timer [<idle:=idle>] <minutes:1-120>", _revert_timer),
    _row(
        "configure replace <file:word> (<list:=list>|<force:=force>|nolock|ignorecase"
        f"|time <minutes:1-120>|{_TIMER})*",
        _replace,
    ),
    _row("archive config", _archive_config),
    _row("write [memory]", _write_memory),
    _row("write terminal", show.running_config),
    _row("write erase", _write_erase),
    _row("erase startup-config", _write_erase),
    _row("copy [<noprompt:=/noprompt>] <source:word> <target:word>", _copy),
    _row("dir [<path:word>]", _dir),
    _row("dir all-filesystems", _dir),
    _row("more <path:word>", _more),
    _row("delete [<force:=/force>] <path:word>", _delete),
    _row("verify /md5 <path:word> [<expected:word>]", _verify),
    _row("reload", _reload),
    _row("clear ip ospf process", _clear_ospf),
    _row("clear ip ospf <process:1-65535> process", _clear_ospf),
    _row("clear ip mobile <what:binding|secure|traffic|host-counters> [<rest:line>]", _nothing),
    _row("clear counters [<name:if>]", _nothing),
    _row("clear logging", _nothing),
    *(_row(syntax, run, user=user) for syntax, run, user in SHOW),
)

EXEC: Grammar[ExecCommand] = Grammar(COMMANDS)
USER_EXEC: Grammar[ExecCommand] = Grammar(row for row in COMMANDS if row.user)
