"""The archive: saved configurations, `configure replace`, and changes that revert by themselves.

`configure terminal revert timer N` and `configure replace F time N` remember the configuration of
that moment and go back to it when N minutes pass without `configure confirm`. The timer belongs
to the router: it survives the session that set it, and not a reload.

Texts marked [R] are reconstructed: no transcript of that refusal was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .cursor import Cursor
from .differences import additions, blocks_of, commands, contextual
from .edit import Refused
from .files import FlashFull, Path, parse_path

if TYPE_CHECKING:
    from .device import Device

PASSES = 5  # after which IOS gives up (napalm#135, napalm#1701 show the text)
NOT_ENABLED = " Archive feature not enabled"
NONE_PENDING = "%No Rollback Confirmed Change pending"


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that waits to be confirmed."""

    text: str  # what to go back to
    name: str  # where that was backed up
    deadline: float
    minutes: int
    idle: bool  # counts from the last line that the router heard
    armed: float
    user: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """What `configure replace` did."""

    passes: int
    commands: tuple[tuple[str, ...], ...]  # of each pass
    errors: tuple[str, ...]  # lines that were refused
    done: bool

    def report(self, *, listed: bool) -> str:
        lines: list[str] = []
        if listed:
            for number, given in enumerate(self.commands, start=1):
                lines += [f"!Pass {number}", "", "!List of Rollback Commands:", *given, "end", ""]
        lines.append("")
        if not self.done:
            lines.append("The rollback configlet from the last pass is listed below:")
            lines += [
                "********",
                "!List of Rollback Commands:",
                *self.commands[-1],
                "end",
                "********",
                "",
                "",
                "Rollback aborted after 5 passes",
            ]
            lines.append("The following commands are failed to apply to the IOS image.")
            lines += ["********", *self.errors, "********"]
            return "\n".join(lines)
        lines += [f"Total number of passes: {self.passes}", "Rollback Done"]
        return "\n".join(lines)


class Archive:
    """The archive of one router."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._saved: list[str] = []  # flash names, oldest first
        self._count = 0
        self.pending: Pending | None = None

    # --- settings ---

    def _setting(self, key: str) -> str:
        line = self._device.configuration.get("archive")
        if line is None or line.body is None:
            return ""
        found = line.body.get(key)
        return found.text.removeprefix(key).strip() if found is not None else ""

    @property
    def path(self) -> str:
        return self._setting("path")

    @property
    def on_write(self) -> bool:
        line = self._device.configuration.get("archive")
        return (
            bool(self.path)
            and line is not None
            and line.body is not None
            and ("write-memory" in line.body.lines)
        )

    # --- saved configurations ---

    def _store(self, now: float) -> str:
        """Back the running configuration up under the archive's path; the oldest one goes."""
        device = self._device
        base = self.path or "flash:"
        target = parse_path(base)
        assert target is not None, base  # `archive_config` and `arm` have looked
        moment = datetime.fromtimestamp(now, UTC).strftime("%b-%d-%H-%M-%S.%f")[:-3]
        name = f"{target.name}-{moment}-{self._count}".lstrip("-")
        if device.faults.full_flash:
            raise FlashFull(name)
        device.flash.write(name, device.running_config().encode(), now)
        self._count += 1
        self._saved.append(name)
        for old in self._saved[: -int(self._setting("maximum") or "10")]:
            device.flash.delete(old)
            self._saved.remove(old)
        return f"flash:{name}"

    def take(self, now: float) -> str:
        """`archive config`."""
        target = parse_path(self.path) if self.path else None
        if target is None or target.system != "flash":
            raise Refused("%Archive path is not configured: set 'path' under 'archive'")  # [R]
        try:
            return self._store(now)
        except FlashFull:
            raise Refused(f"%Error opening {self.path} (No space left on device)") from None

    def show(self) -> str:
        """`show archive`."""
        if not self.path:
            return NOT_ENABLED
        maximum = int(self._setting("maximum") or "10")
        lines = [
            f"The maximum archive configurations allowed is {maximum}.",
            f"There are currently {len(self._saved)} archive configurations saved.",
            f"The next archive file will be named {self.path}-<timestamp>-{self._count}",
            " Archive #  Name",
        ]
        for number in range(1, maximum + 1):
            name = f"flash:{self._saved[number - 1]}" if number <= len(self._saved) else ""
            recent = " <- Most Recent" if name and number == len(self._saved) else ""
            lines.append(f"   {number:<9}{name}{recent}".rstrip())
        return "\n".join(lines)

    # --- comparing ---

    def read(self, path: Path) -> str | None:
        """A configuration by its path; None when there is no such file."""
        device = self._device
        if path == Path("system", "running-config"):
            return device.running_config()
        if path == Path("nvram", "startup-config"):
            return device.startup
        data = device.flash.read(path.name) if path.system == "flash" else None
        return None if data is None else data.decode("utf-8", "replace")

    @staticmethod
    def differences(old: str, new: str) -> str:
        lines = contextual(blocks_of(old), blocks_of(new))
        return "\n".join(["!Contextual Config Diffs:", *(lines or ["!No changes were found"])])

    def incremental(self, new: str) -> str:
        lines = additions(blocks_of(self._device.running_config()), blocks_of(new))
        return "\n".join(["!List of Commands:", *(lines or ["!No changes were found"]), "end"])

    # --- replacing ---

    def replace(self, text: str, now: float) -> Replaced:
        """Make the running configuration this one, in as many passes as it takes, up to five."""
        target = blocks_of(text)
        device = self._device
        given: list[tuple[str, ...]] = []
        errors: list[str] = []
        for number in range(PASSES + 1):
            wanted = commands(blocks_of(device.running_config()), target)
            if not wanted:
                return Replaced(number, tuple(given), tuple(errors), True)
            if number == PASSES:
                break
            given.append(tuple(wanted))
            errors = self._do(wanted, now)
        return Replaced(PASSES, tuple(given), tuple(errors), False)

    def _do(self, lines: list[str], now: float) -> list[str]:
        cursor = Cursor(self._device)
        errors = []
        for entry in lines:
            if not entry.startswith(" "):
                cursor.path = cursor.path[:1]
            for line in entry.split("\n"):  # a banner is one entry
                outcome = cursor.line(line, now, confirmed=True)
                if outcome.unknown is not None or outcome.refused:
                    errors.append(line)
        return errors

    # --- changes that revert by themselves ---

    def arm(self, minutes: int, now: float, user: str, *, idle: bool = False) -> str:
        """Remember this configuration, to come back to it. Answers where it is backed up."""
        if self.pending is not None:
            raise Refused("%Rollback Confirmed Change already pending")  # [R]
        if not self.path:
            raise Refused("%Archive path must be configured for Rollback Confirmed Change")  # [R]
        text = self._device.running_config()
        name = self.take(now)
        self.pending = Pending(text, name, now + 60 * minutes, minutes, idle, now, user)
        return name

    def rearm(self, minutes: int, now: float, *, idle: bool) -> None:
        """`configure revert timer N`."""
        old = self.pending
        if old is None:
            raise Refused(NONE_PENDING)
        self.pending = Pending(old.text, old.name, now + 60 * minutes, minutes, idle, now, old.user)

    def confirm(self) -> None:
        """`configure confirm`."""
        if self.pending is None:
            raise Refused(NONE_PENDING)
        self.pending = None

    def heard(self, now: float) -> None:
        """A session sent a line: an idle timer starts anew."""
        if self.pending is not None and self.pending.idle:
            self.rearm(self.pending.minutes, now, idle=True)

    def revert(self, now: float) -> str:
        """Go back at once."""
        pending = self.pending
        if pending is None:
            raise Refused(NONE_PENDING)
        self.pending = None
        replaced = self.replace(pending.text, now)
        head = f"Rollback Confirmed Change: rolling to:{pending.name}"
        self._device.log.append(f"%ARCHIVE_CONFIG-4-REVERT: {head}")
        return f"{head}\n{replaced.report(listed=False)}"

    def deadline(self) -> float | None:
        return self.pending.deadline if self.pending is not None else None

    def expire(self, now: float) -> None:
        """Revert if it is time to."""
        if self.pending is not None and now >= self.pending.deadline:
            self.revert(now)

    def forget_timer(self) -> None:
        """A reload: the startup configuration is what there is to come back to."""
        self.pending = None

    def show_timer(self) -> str:
        """`show archive config rollback timer`."""
        pending = self.pending
        if pending is None:
            return NONE_PENDING
        moment = datetime.fromtimestamp(pending.armed, UTC).strftime("%H:%M:%S UTC %a %b %-d %Y")
        kind = "idle timer" if pending.idle else "absolute timer"
        return "\n".join(
            [
                f"Time configured(or reconfigured): {moment}",
                f"Timer type: {kind}",
                f"Timer value: {pending.minutes} min",
                f"User: {pending.user}",
            ]
        )
