"""All commands of configuration mode: the rows of four tables, and one grammar for each mode."""

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar
from ..modes import MODES
from ..tree import Command
from . import interface, mobile, routing, system

COMMANDS: tuple[Command, ...] = (
    *system.COMMANDS,
    *interface.COMMANDS,
    *routing.COMMANDS,
    *mobile.COMMANDS,
)


def _by_mode(*, negative: bool) -> Mapping[str, Grammar[Command]]:
    return {
        mode: Grammar(
            (row for row in COMMANDS if row.mode == mode and (negative or not row.only_no)),
            negative=negative,
        )
        for mode in MODES
    }


POSITIVE = _by_mode(negative=False)
NEGATIVE = _by_mode(negative=True)
SHOWN_ALWAYS = tuple(row for row in COMMANDS if row.both)
