"""An IOS router: a terminal, a revert timer where the platform has one, inverse commands elsewhere.

With `archive` configured, `configure terminal revert timer N` makes the router itself the one who
goes back: at the end of the timer, whether we are there or not. Without it we are the only ones,
so the way back is computed from what the router really holds, not from what we believe we sent.

Sources: Cisco IOS Configuration Management guide, "Configuration Rollback Confirmed Change" and
"Configuration Replace and Configuration Rollback"; the texts of the replies are matched by the
least that distinguishes them.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ..diff import Command, diff, reveal
from ..errors import Place
from ..platforms.ios import TABLE
from ..rendered import File, Line, Owner, Platform
from ..running import Running, RunningFile
from ..secrets import redact, resolve
from .errors import (
    DeviceError,
    LineRejected,
    LoginRefused,
    Moved,
    NoRoom,
    NotReverted,
    Refused,
    SessionLost,
    Unexpected,
    Unreachable,
)
from .router import Connect, Job
from .terminal import Terminal, Typed, blocks, refusal

CONFIG: Final = "running-config"
MAX_REVERT_MINUTES: Final = 120
# After its timer a router needs a moment to go back; NAPALM's users report up to half a minute.
REVERT_MARGIN_S: Final = 60.0
RECONNECT_S: Final = 60.0  # how long a router that dropped our session is waited for
HAND_OVER_S: Final = 10.0  # HSRP's default hold time: by then whoever is to take over has
WAYS_BACK: Final = 4  # attempts to take a change back by commands
KEPT_BACKUPS: Final = 3  # in flash:, besides the one of the run

_FREE: Final = re.compile(r"\((\d+) bytes free\)")
_BACKUP: Final = re.compile(r"\b(hacc-\d{8}T\d{6}Z-[0-9a-f]+\.cfg)\b")
_STANDBY: Final = re.compile(r"^(\S+)\s+(\d+)\s+\d+\s+(?:P\s+)?Active\s", re.MULTILINE)
_NAMED: Final = re.compile(
    r"^interface (?P<interface>\S+)|^\s+standby (?:(?P<group>\d+) )?name (?P<name>\S+)",
    re.MULTILINE,
)
_USER: Final = re.compile(
    r"^User name: (?P<user>\S+).*?^Authentication Protocol: (?P<auth>\S+).*?"
    r"^Privacy Protocol: (?P<priv>\S+).*?^Group-name: (?P<group>\S+)",
    re.MULTILINE | re.DOTALL,
)
_TIMER: Final = re.compile(r"^Timer value: (\d+) min", re.MULTILINE)
_PRIVACY: Final = {"AES128": "aes 128", "AES192": "aes 192", "AES256": "aes 256"}


class IosRouter:
    """See `router.Router`."""

    def __init__(self, host: str, connect: Connect) -> None:
        self._host = host
        self._connect = connect
        self._connection: Any = None
        self._terminal: Terminal | None = None
        self._armed_until: float | None = None  # monotonic: when the router goes back by itself
        self._old_backups: tuple[str, ...] = ()

    def run(self, command: str) -> str:
        [reply] = self._terminal_now().ask(command)
        return reply.text

    # --- what it holds ---------------------------------------------------------------------------

    def fetch(self, paths: Sequence[str] = (CONFIG,)) -> Running:
        del paths  # an IOS router has one text
        running, users, standby, flash = self._terminal_now().ask(
            "show running-config",
            "show snmp user",
            "show standby brief",
            "dir flash: | include bytes free|hacc-",
        )
        if no := refusal(running.text):
            raise DeviceError(self._host, f"show running-config was refused: {no}")
        text = _with_users(running.text, users.text)
        free = _FREE.search(flash.text)
        self._old_backups = tuple(sorted(set(_BACKUP.findall(flash.text))))
        return Running(
            host=self._host,
            platform=Platform.IOS,
            files=(RunningFile(CONFIG, text, 0),),
            active=active_groups(text, standby.text),
            revert_timer=has_archive(text),
            free_flash=int(free[1]) if free else None,
        )

    # --- forward ---------------------------------------------------------------------------------

    def back_up(self, job: Job) -> None:
        if self.fetch().digest != job.before.digest:
            raise Moved(self._host, "its configuration was changed by somebody else just now")
        free = job.before.free_flash
        if free is None:
            return  # no flash: the run's own copy is the backup
        size = len(_text(job.before).encode())
        if free < 2 * size:  # the archive writes a copy of its own when the timer is armed
            raise self._no_room(f"{free} octets are free, {2 * size} are needed")
        name = backup_name(job.run)
        [reply] = self._terminal_now().ask(f"copy running-config {name}")
        if "bytes copied" not in reply.text:
            raise self._no_room(refusal(reply.text) or reply.text.strip() or "no answer")

    def _no_room(self, why: str) -> NoRoom:
        return NoRoom(
            self._host,
            f"no backup could be written to flash: {why}; nothing was sent",
            "remove what is not needed (dir flash:, delete), or save elsewhere",
        )

    def apply(self, job: Job) -> None:
        self._arm(job)
        commands = job.plan.commands
        if job.plan.handover:
            self._hand_over(job)
            commands += tuple(c for role in job.plan.handover for c in role.give_back)
        self._paste(job, commands, reveal(_text(job.before), Platform.IOS))
        after = self.fetch()
        for file in job.intended:
            left = diff(_text(after), file, Platform.IOS, job.opened)
            if left.commands:
                raise Unexpected(
                    self._host,
                    "the router took every line, and does not hold what was intended; missing: "
                    + "; ".join(command.text.strip() for command in left.commands[:3]),
                )

    def _hand_over(self, job: Job) -> None:
        """Let the standby routers have what is active here, and see that they do; then the router
        is in configuration mode again. Where nobody takes over the change comes as it is: it was
        allowed to move the role."""
        self._paste(job, [c for role in job.plan.handover for c in role.lower], {})
        groups = {role.group for role in job.plan.handover}
        terminal = self._terminal_now()
        until = time.monotonic() + HAND_OVER_S
        while time.monotonic() < until:
            [standby] = terminal.ask("show standby brief")
            if not groups & {*active_groups(_text(job.before), standby.text)}:
                break
            time.sleep(0.2)
        job.journal.record(self._host, "send", "configure terminal")
        terminal.ask("configure terminal")

    def _arm(self, job: Job) -> None:
        terminal = self._terminal_now()
        command = "configure terminal"
        if job.before.revert_timer:
            minutes = min(MAX_REVERT_MINUTES, max(1, math.ceil(job.confirm_within_s / 60)))
            command = f"configure terminal revert timer {minutes}"
            self._armed_until = time.monotonic() + 60 * minutes
        job.journal.record(self._host, "send", command)
        [reply] = terminal.ask(command)
        if no := refusal(reply.text):
            self._armed_until = None
            raise Refused(self._host, f"configuration mode was refused: {no}; nothing was sent")

    def _paste(self, job: Job, commands: Sequence[Command], own: Mapping[str, str]) -> None:
        """Send commands from configuration mode and leave it; LineRejected at the first refusal."""
        sealed = [*lines_of(commands)]
        opened = {**job.opened, **own}
        terminal = self._terminal_now()
        sent = 0
        for block in blocks(sealed):
            job.journal.record(self._host, "send", *block)
            for reply in terminal.ask(*(resolve(line, opened) for line in block)):
                if no := refusal(reply.text):
                    raise LineRejected(
                        self._host,
                        f"line {sent + 1} of {len(sealed)}, `{sealed[sent].text.strip()}`, "
                        f"was refused: {redact(no, opened)}",
                    )
                sent += 1
        job.journal.record(self._host, "send", "end")
        terminal.leave_configuration()

    def armed(self, job: Job) -> bool:
        """A router runs one such timer; who has begun a change on it has begun its timer."""
        del job
        [reply] = self._terminal_now(urgent=True).ask("show archive config rollback timer")
        found = _TIMER.search(reply.text)
        # When it began is on the router's clock: at the latest the timer ends a whole one from now.
        self._armed_until = time.monotonic() + 60 * int(found[1]) if found else None
        return found is not None

    def confirm(self, job: Job) -> Running:
        terminal = self._terminal_now()
        if self._armed_until is not None:
            job.journal.record(self._host, "send", "configure confirm")
            [reply] = terminal.ask("configure confirm")
            if no := refusal(reply.text):
                raise DeviceError(self._host, f"the change could not be confirmed: {no}")
            self._armed_until = None
        self._save(job)
        old = [name for name in self._old_backups if name < backup_name(job.run)[len("flash:") :]]
        if surplus := old[: -KEPT_BACKUPS or None] if len(old) > KEPT_BACKUPS else []:
            terminal.ask(*(f"delete /force flash:{name}" for name in surplus))
        return self.fetch([file.path for file in job.before.files])

    def _save(self, job: Job) -> None:
        job.journal.record(self._host, "send", "write memory")
        [reply] = self._terminal_now().ask("write memory")
        if "[OK]" not in reply.text:
            why = refusal(reply.text) or reply.text.strip() or "no [OK]"
            raise DeviceError(self._host, f"the configuration could not be saved: {why}")

    # --- back ------------------------------------------------------------------------------------

    def revert(self, job: Job) -> None:
        self._regain()
        if self._armed_until is not None:
            job.journal.record(self._host, "send", "configure revert now")
            self._terminal_now().transform("configure revert now")
            self._armed_until = None
        self._return_to(job)

    def restore(self, job: Job) -> None:
        self._regain()
        name = backup_name(job.run)
        if job.before.free_flash is not None and self.fetch().digest != job.before.digest:
            command = f"configure replace {name} force"
            job.journal.record(self._host, "send", command)
            self._terminal_now().transform(command)
        self._return_to(job)
        self._save(job)

    def _return_to(self, job: Job) -> None:
        """Make sure that the router holds what it held; by inverse commands where it does not.

        Each attempt starts from what the router holds by then, so an attempt that is cut short
        is not lost. The plan's own inverse is the last resort, for lines that the difference to
        the backup could not take back.
        """
        for attempt in range(WAYS_BACK):
            now = self.fetch()
            if now.digest == job.before.digest:
                return
            try:
                if attempt < WAYS_BACK - 1:
                    commands, own = _difference(job, now)
                else:
                    commands, own = job.plan.undo, reveal(_text(job.before), Platform.IOS)
                job.journal.record(self._host, "send", "configure terminal")
                self._terminal_now().ask("configure terminal")
                self._paste(job, commands, own)
            except LineRejected:
                self._terminal_now().leave_configuration()
            except SessionLost:
                self._drop()
                self._regain()
        if self.fetch().digest != job.before.digest:
            raise NotReverted(
                self._host,
                "the router does not hold what it held before the run",
                f"compare it with {job.backup / 'files' / CONFIG}",
            )

    def _regain(self) -> None:
        """A session at the exec prompt, whatever state the last one was left in."""
        if self._terminal is not None:
            try:
                self._terminal.leave_configuration()
                return
            except SessionLost:
                self._drop()
        # The router may be busy going back; the timer's end is the last moment worth waiting for.
        until = max(time.monotonic() + RECONNECT_S, (self._armed_until or 0) + REVERT_MARGIN_S)
        while True:
            try:
                self._terminal_now(urgent=True)
                return
            except (Unreachable, SessionLost) as error:
                if time.monotonic() > until:
                    raise NotReverted(
                        self._host,
                        "the session was lost and no other could be opened, so nobody can say "
                        f"what the router holds ({error.problems[0].message})",
                        "it was not saved: a reload brings back the startup configuration",
                    ) from error
                time.sleep(1.0)

    # --- the session -----------------------------------------------------------------------------

    def _terminal_now(self, *, urgent: bool = False) -> Terminal:
        if self._terminal is None:
            self._connection = self._connect(urgent)
            try:
                self._terminal = self._log_in()
            except SessionLost:
                self._drop()
                raise
        return self._terminal

    def _log_in(self) -> Terminal:
        terminal = Terminal(self._host, self._connection.remote_conn)
        if not terminal.privileged and not terminal.enable(self._connection.secret):
            self._drop()
            raise LoginRefused(
                self._host,
                "the enable secret was refused",
                "it was tried once; check the reference of `enable` in inventory/",
            )
        return terminal

    def _drop(self) -> None:
        """Forget a session that is of no use any more."""
        self._terminal = None
        if self._connection is not None:
            self._connection.paramiko_cleanup()
            self._connection = None

    def close(self) -> None:
        if self._terminal is not None and self._terminal.configuring:
            with contextlib.suppress(SessionLost):
                self._terminal.leave_configuration()
        self._drop()


def backup_name(run: str) -> str:
    return f"flash:hacc-{run}.cfg"


def _text(running: Running) -> str:
    file = running.file(CONFIG)
    return (file.text if file else None) or ""


def lines_of(commands: Iterable[Command]) -> Iterator[Typed]:
    """Commands as they are typed: sections are entered when needed, and left by `exit`.

    A section is left before a line of another is sent: IOS would take most lines of the global
    mode in a sub-mode too, but not those that mean something else there.
    """
    here: tuple[str, ...] = ()
    for command in commands:
        common = 0
        while common < min(len(here), len(command.context)) and (
            here[common] == command.context[common]
        ):
            common += 1
        yield from [Typed("exit")] * (len(here) - common)
        yield from (Typed(header, header=True) for header in command.context[common:])
        opens = _opens_section(command)
        yield Typed(command.text, header=opens)
        here = (*command.context, command.text) if opens else command.context


def _opens_section(command: Command) -> bool:
    inside = ""
    for text in (*command.context, command.text):
        context = TABLE.contexts.get(inside)
        matched = context.match(text.strip()) if context else None
        if matched is None or not matched.rule.inside:
            return False
        inside = matched.rule.inside
    return True


def _difference(job: Job, now: Running) -> tuple[Sequence[Command], Mapping[str, str]]:
    """What leads from what the router holds now to its backup, and what opens its secrets."""
    file, secrets = as_file(_text(job.before))
    held = _text(now)
    changes = diff(held, file, Platform.IOS, {**job.opened, **secrets})
    return changes.commands, {**secrets, **reveal(held, Platform.IOS)}


def as_file(text: str) -> tuple[File, Mapping[str, str]]:
    """A running configuration as an intended one, its secrets sealed, and what opens them.

    They are named `backup:N`: the names `running:N` are those of what the router holds now.
    """
    origin = Place(CONFIG, 0)
    sealed = [
        TABLE.sealer.seal(line, number).replace("<secret running:", "<secret backup:")
        for number, line in enumerate(text.splitlines(), 1)
    ]
    file = File(
        path=CONFIG,
        mode=0,
        owner=Owner.WHOLE,
        owns=(),
        lines=tuple(Line(line, origin, ()) for line in sealed),
    )
    values = reveal(text, Platform.IOS)
    return file, {ref.replace("running:", "backup:", 1): clear for ref, clear in values.items()}


def has_archive(running: str) -> bool:
    """Is there an archive with a path? Without one, revert timers are refused."""
    section = ""
    for line in running.splitlines():
        if not line.startswith(" "):
            section = line.strip()
        elif section == "archive" and line.strip().startswith("path "):
            return True
    return False


def active_groups(running: str, standby_brief: str) -> tuple[str, ...]:
    """The groups that this router is active in: by name, or INTERFACE/GROUP without one."""
    names: dict[tuple[str, str], str] = {}
    interface = ""
    for line in _NAMED.finditer(running):
        if line["interface"]:
            interface = line["interface"]
        else:
            names[interface, line["group"] or "0"] = line["name"]
    active = []
    for found in _STANDBY.finditer(standby_brief):
        short, group = found[1], found[2]
        letters = short.rstrip("0123456789/.:")
        number = short[len(letters) :]
        name = next(
            (
                name
                for (full, of), name in names.items()
                if of == group
                and full.startswith(letters)
                and full.endswith(number)
                and full.rstrip("0123456789/.:") + number == full
            ),
            f"{short}/{group}",
        )
        active.append(name)
    return tuple(sorted(active))


def _with_users(running: str, users: str) -> str:
    """Append the SNMPv3 users, which the configuration hides, in the form of `platforms.ios`."""
    lines = []
    for found in _USER.finditer(users):
        privacy = _PRIVACY.get(found["priv"].upper(), found["priv"].lower())
        priv = "" if privacy == "none" else f" priv {privacy} *"
        auth = found["auth"].lower()
        secured = "" if auth == "none" else f" auth {auth} *{priv}"
        lines.append(f"snmp-server user {found['user']} {found['group']} v3{secured}\n")
    text = running.strip("\n") + "\n"
    return text + "".join(sorted(lines))
