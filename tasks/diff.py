"""What to type into a router so that it holds what was rendered, and how to take it back.

    changes = diff(running, intended, platform, opened)

The engine works on objects, not on text: `tree` reads both sides, `edits` finds what differs,
`order` makes commands of it, `platforms` knows what the commands mean. Two laws hold and are
tested: after the commands the diff is empty, and after the undo the router is as it was. On the
way no address of a surviving HSRP group is withdrawn, nothing refers to what does not exist yet,
and management changes last, the new before the old.

Linux files are replaced as they are: there the diff is for people to read, and `merge` is what is
pushed where only some lines of a file are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .changes import Changes, Command, Difference, DiffLine
from .edits import Comparison, Edit, Reader, fold
from .merging import merged, shown
from .order import ordered
from .ownership import Ownership
from .platforms import Impact, Table, frr, ios
from .rendered import File, Owner, Platform
from .steps import Step
from .tree import parse
from .whole import hunks, whole_lines

__all__ = [
    "Changes",
    "Command",
    "DiffLine",
    "Difference",
    "Impact",
    "diff",
    "differences",
    "merge",
    "normalised",
    "reveal",
    "sealed",
]


def diff(running: str, intended: File, platform: Platform, opened: Mapping[str, str]) -> Changes:
    """The changes that make a router hold what is intended, and those that undo them.

    `opened` maps the references of the secrets in `intended` to their clear values; none of them,
    and none of the router's own secrets, stands in the answer. Raises `NotOwned` when an intended
    line would overwrite a foreign one.
    """
    table = _table(intended, platform)
    if table is None:
        return Changes(whole_lines(running, intended, opened))
    comparison = _compare(running, intended, table, opened)
    edits = comparison.edits
    if not edits:
        return Changes(())
    lines = tuple(shown(edits))
    if platform is not Platform.IOS:
        return Changes(lines)
    sections, back = comparison.sections, [edit.reversed() for edit in edits]
    return Changes(
        lines,
        _commands(ordered(edits, sections, comparison.running)),
        _commands(ordered(back, [each.reversed() for each in sections], comparison.running)),
    )


def differences(
    running: str, intended: File, platform: Platform, opened: Mapping[str, str]
) -> tuple[Difference, ...]:
    """What `diff` finds, one setting at a time: each with its lines and with what mends it alone.

    Together they are the lines of `diff`, whose commands mend all of them, in an order that holds.
    """
    table = _table(intended, platform)
    if table is None:
        return tuple(hunks(running, intended, opened))
    comparison = _compare(running, intended, table, opened)
    return tuple(
        Difference(
            tuple(shown(edits)),
            _commands(ordered(edits, comparison.sections, comparison.running))
            if platform is Platform.IOS
            else (),
        )
        for edits in _settings(comparison.edits)
    )


def _settings(edits: Iterable[Edit]) -> Iterator[Sequence[Edit]]:
    """Edits that are one: lines that go with their group (`no standby 7`), others by themselves."""
    going: dict[tuple[tuple[str, ...], str], list[Edit]] = {}
    for edit in edits:
        if edit.before is None or edit.after is not None or not edit.before.group:
            yield (edit,)
        else:
            going.setdefault((edit.section.place, edit.before.group), []).append(edit)
    yield from going.values()


def merge(running: str, intended: File, platform: Platform, opened: Mapping[str, str]) -> str:
    """The running text with what is owned replaced by what is intended; all else byte for byte."""
    table = _table(intended, platform)
    if table is None:
        return intended.text
    comparison = _compare(running, intended, table, opened)
    return merged(running, comparison.edits, comparison.top)


def reveal(running: str, platform: Platform) -> Mapping[str, str]:
    """The secrets of a running configuration by their sealed references, exactly as written."""
    table = ios.TABLE if platform is Platform.IOS else frr.TABLE
    return table.sealer.reveal(running.splitlines())


def sealed(running: str, platform: Platform) -> str:
    """The text with each secret as the reference that `reveal` gives it; all else byte for byte."""
    table = ios.TABLE if platform is Platform.IOS else frr.TABLE
    out = []
    for number, line in enumerate(running.splitlines(keepends=True), 1):
        text = line.lstrip(" \t")  # as `reveal` reads it: most secrets stand in sections
        out.append(line[: len(line) - len(text)] + table.sealer.seal(text, number))
    return "".join(out)


def normalised(running: str, platform: Platform) -> str:
    """The text without what changes though nobody changed anything: what a digest is made of."""
    table = ios.TABLE if platform is Platform.IOS else frr.TABLE
    volatile = table.grammar.volatile.fullmatch
    kept = (line.rstrip() for line in running.splitlines())
    return "".join(f"{line}\n" for line in kept if line and not volatile(line.strip()))


def _table(file: File, platform: Platform) -> Table | None:
    """The tables that read a file; None for a file that is only lines."""
    if platform is Platform.IOS:
        return ios.TABLE
    return frr.TABLE if file.owner is Owner.LINES else None


def _compare(running: str, intended: File, table: Table, opened: Mapping[str, str]) -> Comparison:
    known = dict(enumerate(intended.lines, 1))
    olds = fold(parse(running.splitlines(), table.grammar), table)
    news = fold(parse([line.text for line in intended.lines], table.grammar), table)
    patterns = None if intended.owner is Owner.WHOLE else intended.owns
    comparison = Comparison(table, Reader(table, opened), Reader(table, opened, known), olds)
    comparison.compare(news, Ownership(patterns).top)
    return comparison


def _commands(made: Sequence[Step]) -> tuple[Command, ...]:
    return tuple(
        Command(
            step.context,
            step.text,
            step.impact,
            step.why,
            step.origin.template if step.origin else None,
            step.origin.intent if step.origin else (),
        )
        for step in made
    )
