"""Does a router hold what was rendered for it: one finding for each setting that is otherwise.

The comparison is the plan's (`diff`): owned lines only, volatile lines and secrets that are merely
written otherwise are no difference. So a fleet without a finding here has an empty plan, and each
finding's remedy is what the plan would type for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..diff import Command, Difference, differences
from ..edits import NotOwned
from ..errors import Problem
from ..findings import Area, DeviceLine, Finding, Severity
from ..model import DeviceModel
from ..plan import MANAGED
from ..rendered import File, Owner, Platform, Rendered
from ..running import Running, RunningFile
from ..secrets import resolve
from .spoken import without_place


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: a way in which a configuration can be otherwise."""

    severity: Severity
    sentence: str


RULES: Mapping[str, Kind] = {
    "config.missing": Kind(Severity.MAJOR, "A line of ours is not there."),
    "config.differs": Kind(Severity.MAJOR, "A setting of ours has another value."),
    "config.extra": Kind(
        Severity.MAJOR, "A line that only we may have there, and the intent does not want it."
    ),
    "config.unsaved": Kind(
        Severity.MAJOR, "What runs is right, and the file that the next start reads is not."
    ),
    "config.foreign": Kind(
        Severity.MAJOR, "A line that is not ours stands where one of ours should."
    ),
    "config.file": Kind(
        Severity.MAJOR, "A file of ours is not there, or one is left that should be gone."
    ),
    "config.mode": Kind(Severity.MAJOR, "A file of ours may be read or written by others."),
}

_SHOWN = 3  # lines of one finding that its message tells; the device line and the plan tell all


def judge(
    device: DeviceModel, rendered: Rendered, running: Running, opened: Mapping[str, str]
) -> Iterator[Finding]:
    """What differs, in the order of the router's files."""
    for file in rendered.files:
        yield from _file(device, file, running.file(file.path), opened)


def _file(
    device: DeviceModel, file: File, held: RunningFile | None, opened: Mapping[str, str]
) -> Iterator[Finding]:
    text = held.text if held else None
    if file.absent:
        if (text or "").startswith(MANAGED):
            yield _whole(device, file, "is there, and should be gone", 1)
        return
    if held is None or (text is None and not held.in_force):
        yield _whole(device, file, "is not there")
        return
    try:
        found = differences(held.in_force, file, device.platform, opened)
    except NotOwned as refused:
        for problem in refused.problems:
            yield _foreign(device, file, problem)
        return
    # What a daemon tells of itself has lines of its own, and others than its file.
    where = file.path if held.live is None else f"{file.path} as it runs"
    for one in found:
        yield _difference(device, file, one, where)
    if device.platform is Platform.LINUX:
        if not found:
            yield from _on_disk(device, file, text, opened)
        if text is not None and held.mode != file.mode:
            yield _whole(
                device, file, f"has mode {held.mode:04o}, not {file.mode:04o}", rule="config.mode"
            )


def _on_disk(
    device: DeviceModel, file: File, text: str | None, opened: Mapping[str, str]
) -> Iterator[Finding]:
    """What a daemon runs as intended may not be what it will start with."""
    if text is None:
        yield _whole(device, file, "is not there: what runs now is not saved")
    elif file.owner is Owner.LINES:
        for one in differences(text, file, device.platform, opened):
            yield _difference(device, file, one, file.path, rule="config.unsaved")
    elif text != resolve(file.text, opened):
        yield _whole(device, file, "has another end than ours: its last line is not closed")


def _whole(
    device: DeviceModel, file: File, what: str, line: int = 0, rule: str = "config.file"
) -> Finding:
    first = next((one.intent[0] for one in file.lines if one.intent), device.place)
    return Finding(
        rule,
        Area.CONFIGURATION,
        RULES[rule].severity,
        device.cluster,
        device.host,
        file.path,
        f"{file.path} {what}",
        first,
        DeviceLine(file.path, line, ""),
        _remedy(device, ()),
    )


def _foreign(device: DeviceModel, file: File, problem: Problem) -> Finding:
    """Somebody else's line, which `hacc plan` refuses to overwrite."""
    ours = next(
        (
            line
            for line in file.lines
            if line.template == problem.place and repr(line.text.strip()) in problem.message
        ),
        None,
    )
    finding = _whole(device, file, "", problem.also[0].line, rule="config.foreign")
    return replace(
        finding,
        subject=f"{file.path}: {ours.text.strip() if ours else problem.subject}",
        message=problem.message,
        intent=ours.intent[0] if ours and ours.intent else device.place,
        remedy=f"{problem.hint}; or take the other's line out on the router",
    )


def _difference(
    device: DeviceModel, file: File, one: Difference, path: str, rule: str = ""
) -> Finding:
    """`path` is where the router's line stands."""
    held, wanted = one.held, one.wanted
    rule = rule or (
        "config.differs" if held and wanted else "config.missing" if wanted else "config.extra"
    )
    about = next((line.text for line in (*wanted, *held) if line.text.strip()), "an empty line")
    section = [text.strip() for text in one.section]
    of_file = "" if device.platform is Platform.IOS else f"{file.path}: "
    subject = of_file + " / ".join([*section, about.strip()])
    place = next((line.intent[0] for line in wanted if line.intent), None)
    evidence = (
        DeviceLine(path, held[0].number, held[0].text.strip())
        if held
        else DeviceLine(path, 0, " / ".join(section))
    )
    return Finding(
        rule,
        Area.CONFIGURATION,
        RULES[rule].severity,
        device.cluster,
        device.host,
        without_place(subject),
        _message(one, rule),
        place,
        evidence,
        _remedy(device, one.remedy),
    )


def _message(one: Difference, rule: str) -> str:
    held, wanted = (_told(line.text for line in side) for side in (one.held, one.wanted))
    if rule == "config.unsaved":
        return f"the file does not hold what runs: {wanted or f'it has {held}'}"
    if one.held and one.wanted:
        return f"{held} instead of {wanted}"
    return f"{wanted} is missing" if one.wanted else f"{held} should not be there"


def _told(texts: Iterable[str]) -> str:
    lines = [text.strip() for text in texts]
    if not lines:
        return ""
    said = ", ".join(f"`{line.splitlines()[0] if line else ''}`" for line in lines[:_SHOWN])
    return said if len(lines) <= _SHOWN else f"{said} and {len(lines) - _SHOWN} more lines"


def _remedy(device: DeviceModel, commands: Iterable[Command]) -> str:
    """`hacc apply`, and on IOS what it types for this."""
    lines: list[str] = []
    context: tuple[str, ...] = ()
    for command in commands:
        if command.context != context:
            context = command.context
            lines += [f"{' ' * depth}{section}" for depth, section in enumerate(context)]
        lines.append(f"{' ' * len(context)}{command.text}")
    apply = f"hacc apply -c {device.cluster}"
    return "\n".join([f"{apply}, which types:", *lines]) if lines else apply
