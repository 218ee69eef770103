"""A short way to write a table: a block is a mode, a number, and its rows in the order shown."""

from __future__ import annotations

from ..tree import Command, Hook, command


class Row:
    """One row: a syntax, and what is special about it (see tree.Command)."""

    __slots__ = (
        "both",
        "default",
        "enters",
        "flat",
        "key",
        "on",
        "only_no",
        "set",
        "shown",
        "sort",
        "syntax",
        "unset",
    )

    def __init__(
        self,
        syntax: str,
        *,
        key: str = "",
        enters: str = "",
        default: str = "",
        on: bool = False,
        both: bool = False,
        sort: tuple[str, ...] = (),
        set: Hook | None = None,  # noqa: A002 -- the word of the table, and never the builtin here
        unset: Hook | None = None,
        shown: bool = True,
        only_no: bool = False,
        flat: str = "",
    ) -> None:
        self.syntax = syntax
        self.key = key
        self.enters = enters
        self.default = default
        self.on = on
        self.both = both
        self.sort = sort
        self.set = set
        self.unset = unset
        self.shown = shown
        self.only_no = only_no
        self.flat = flat


def block(mode: str, number: int, *rows: str | Row, level: bool = False) -> tuple[Command, ...]:
    """The commands of a block. `level`: its lines are sorted by their values before their rows."""
    commands = []
    for index, entry in enumerate(rows):
        row = Row(entry) if isinstance(entry, str) else entry
        commands.append(
            command(
                row.syntax,
                mode=mode,
                block=number,
                rank=number * 1000 + (0 if level else index),
                place=index if level else 0,
                key=row.key,
                enters=row.enters,
                default=row.default,
                on=row.on,
                both=row.both,
                sort=row.sort,
                set=row.set,
                unset=row.unset,
                shown=row.shown,
                only_no=row.only_no,
                flat=row.flat,
            )
        )
    return tuple(commands)
