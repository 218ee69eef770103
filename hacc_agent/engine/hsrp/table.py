"""The state machine of a standby group: the table of RFC 2281, 5.7, and the story around it.

Events are letters a to l, actions A to I, in the RFC's order and with its words. A cell that is not
here is empty there: the event changes nothing. Two cells depend on something else, and have an
alternative: `a` on whether the virtual address is known, `h` on whether the router may preempt now.

`group.py` walks the table. Where the table is silent on something that a network shows, it is said
there, beside the line that deals with it.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from ...wire.hsrp import State


class Event(enum.Enum):
    """What happens to a group (RFC 2281, 5.5)."""

    A = "HSRP is configured on an enabled interface"
    B = "HSRP is disabled on the interface, or the interface is"
    C = "the Active timer expires"
    D = "the Standby timer expires"
    E = "the Hello timer expires"
    F = "a Hello of higher priority from a router in Speak state"
    G = "a Hello of higher priority from the active router"
    H = "a Hello of lower priority from the active router"
    I = "a Resign from the active router"  # noqa: E741  # the RFC's letter
    J = "a Coup from a router of higher priority"
    K = "a Hello of higher priority from the standby router"
    L = "a Hello of lower priority from the standby router"


class Action(enum.Enum):
    """What a group does (RFC 2281, 5.6)."""

    A = "start the Active timer"
    B = "start the Standby timer"
    C = "stop the Active timer"
    D = "stop the Standby timer"
    E = "learn parameters"
    F = "send a Hello"
    G = "send a Coup"
    H = "send a Resign"
    I = "send a gratuitous ARP"  # noqa: E741  # the RFC's letter


class Cell(NamedTuple):
    """What an event does in a state; without `state` it stays."""

    actions: tuple[Action, ...]
    state: State | None = None


def _cell(text: str) -> Cell:
    """`AB/4` as the RFC prints it."""
    actions, _, state = text.partition("/")
    return Cell(tuple(Action[letter] for letter in actions), State(int(state)) if state else None)


_ROWS: Final = """
       1     2      3      4      5       6
    a  AB/3  -      -      -      -       -
    b  -     CD/1   CD/1   CD/1   CD/1    CDH/1
    c  -     -      AB/4   -      CDFI/6  -
    d  -     -      B/4    D/5    -       -
    e  -     -      -      F      F       F
    f  -     -      -      B/3    B/3     -
    g  -     EAB/3  EA     EA     EA      AB/4
    h  -     EAB/3  A      A      A       G
    i  -     -      AB/4   A      CFI/6   -
    j  -     -      -      -      -       ABH/4
    k  -     -      B      B/3    B/3     B
    l  -     -      B/4    D/5    -       B
"""

TABLE: Final[dict[tuple[State, Event], Cell]] = {
    (State(number), Event[row.split()[0].upper()]): _cell(text)
    for row in _ROWS.splitlines()[2:]
    for number, text in enumerate(row.split()[1:], start=1)
    if text != "-"
}

WITHOUT_ADDRESS: Final = _cell("AB/2")
"""Event a while the virtual address is not known (note + of the RFC)."""

PREEMPTING: Final = _cell("BGFI/6")
"""Event h in Listen, Speak and Standby when the router may preempt (note * of the RFC)."""

PREEMPTING_STATES: Final = frozenset((State.LISTEN, State.SPEAK, State.STANDBY))


def cell(state: State, event: Event, *, knows_address: bool, preempts: bool) -> Cell | None:
    """What the table says; None: nothing."""
    if event is Event.A and state is State.INITIAL and not knows_address:
        return WITHOUT_ADDRESS
    if event is Event.H and state in PREEMPTING_STATES and preempts:
        return PREEMPTING
    return TABLE.get((state, event))
