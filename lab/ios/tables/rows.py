"""A short way to write a table: a block is a mode, a number, and its rows in the order shown."""

from __future__ import annotations

from ..tree import Command, Row, command


def block(mode: str, number: int, *rows: str | Row, level: bool = False) -> tuple[Command, ...]:
    """The commands of a block. `level`: its lines are sorted by their values before their rows."""
    commands = []
    for index, entry in enumerate(rows):
        row = Row(entry) if isinstance(entry, str) else entry
        commands.append(
            command(
                row,
                mode=mode,
                block=number,
                rank=number * 1000 + (0 if level else index),
                place=index if level else 0,
            )
        )
    return tuple(commands)
