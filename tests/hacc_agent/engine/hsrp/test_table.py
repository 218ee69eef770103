"""Every cell of RFC 2281's table, brought about from outside: what happens is what it prints.

The RFC prints its table in section 5.7; it is copied here as it stands, alternatives and all, and
compared with the published text where that is at hand.
"""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from hacc_agent.engine.hsrp import GratuitousArp, Group, Own, Release, Send, Suspicion
from hacc_agent.engine.hsrp.effects import Effect
from hacc_agent.engine.hsrp.group import Port
from hacc_agent.engine.hsrp.table import PREEMPTING, TABLE, WITHOUT_ADDRESS, Action, Cell, Event
from hacc_agent.hsrp.config import Group as Settings
from hacc_agent.wire import hsrp
from hacc_agent.wire.hsrp import GroupMessage, Operation, State
from tests.hacc_agent.engine.hsrp import document

PRINTED = """
|  a  |  AB/2|3+ |          |          |          |          |          |
|  b  |          |   CD/1   |   CD/1   |   CD/1   |   CD/1   |   CDH/1  |
|  c  |          |          |   AB/4   |          |  CDFI/6  |          |
|  d  |          |          |   B/4    |   D/5    |          |          |
|  e  |          |          |          |    F     |    F     |    F     |
|  f  |          |          |          |   B/3    |   B/3    |          |
|  g  |          |   EAB/3  |    EA    |   EA     |   EA     |   AB/4   |
|  h  |          |   EAB/3  | A|BGFI/6*| A|BGFI/6*| A|BGFI/6*|    G     |
|  i  |          |          |   AB/4   |   A      |  CFI/6   |          |
|  j  |          |          |          |          |          |   ABH/4  |
|  k  |          |          |    B     |   B/3    |  B/3     |    B     |
|  l  |          |          |    B/4   |   D/5    |          |    B     |
"""
STATES = tuple(State(number) for number in range(1, 7))


def cells(printed: str) -> dict[tuple[State, Event], str]:
    found: dict[tuple[State, Event], str] = {}
    for line in printed.split("\n"):
        if not re.match(r"\|  [a-l]  \|", line):
            continue
        fields = line.replace("2|3+", "2,3").replace("A|BGFI/6*", "A,BGFI/6").split("|")[1:-1]
        letter, *columns = (field.strip() for field in fields)
        found |= {
            (state, Event[letter.upper()]): text
            for state, text in zip(STATES, columns, strict=True)
            if text
        }
    return found


RFC = cells(PRINTED)


def parsed(text: str) -> Cell:
    actions, _, number = text.partition("/")
    return Cell(tuple(Action[one] for one in actions), State(int(number)) if number else None)


def test_it_is_the_published_table(reference: Path) -> None:
    assert cells((reference / "rfc" / "rfc2281.txt").read_text()) == RFC


def test_the_code_has_the_printed_cells_and_no_others() -> None:
    wanted = {}
    for key, text in RFC.items():
        first, _, second = text.partition(",")
        if second == "3":  # note +
            assert parsed(first) == WITHOUT_ADDRESS
            first = "AB/3"
        elif second:  # note *
            assert parsed(second) == PREEMPTING
        wanted[key] = parsed(first)
    assert wanted == TABLE


# ------------------------------------------------------------------ from outside

NET = IPv4Interface("192.0.2.10/24")
PORT = Port(NET, 0x02_00_00_00_00_01)
BELOW, ABOVE = IPv4Address("192.0.2.5"), IPv4Address("192.0.2.20")
VIRTUAL = IPv4Address("192.0.2.1")
HELLO, HOLD = 20_000, 100_000
HEARD_HOLD = 90_000  # of messages: other than our own, so that one sees whose it was
SETTINGS = Settings(
    "g", "lan", 2, 7, VIRTUAL, priority=100, hello_ms=HELLO, hold_ms=HOLD
)  # fmt: skip


def silent(reason: Suspicion, detail: str = "") -> None:
    """Nobody is told."""


def message(operation: Operation, state: State, priority: int) -> GroupMessage:
    return GroupMessage(operation, state, priority, 7, HELLO, HEARD_HOLD, VIRTUAL)


class Scene:
    """A group, brought to a state by what may happen to it; then an event."""

    def __init__(self, state: State, settings: Settings) -> None:
        self.group = Group(settings, lambda: 0.0, 0.0)
        self.now = 0.0
        self.effects: list[Effect] = []
        if state is State.INITIAL:
            return
        self.group.set_port(PORT, self.now)
        if state is State.LEARN:
            self.group.change(replace(settings, address=None), self.now)
        elif state is not State.LISTEN:
            self.expire(Event.C)
            if state is not State.SPEAK:
                self.hello(State.STANDBY, lower=True)
                if state is State.ACTIVE:
                    self.expire(Event.C)
        self.effects.clear()
        self.group._arps_left = 0  # the repetitions of the first one have a test of their own
        assert self.group.state is state
        self.now += 1.0

    def expire(self, event: Event) -> None:
        self.group._timers = {event: self.now}  # that one, and not the others beside it
        self.effects += self.group.handle_timer(self.now)

    def hear(self, operation: Operation, state: State, *, lower: bool) -> None:
        priority, source = (90, BELOW) if lower else (110, ABOVE)
        heard = message(operation, state, priority)
        self.effects += self.group.receive(heard, source, self.now, silent)

    def hello(self, state: State, *, lower: bool) -> None:
        self.hear(Operation.HELLO, state, lower=lower)

    def happens(self, event: Event) -> None:
        match event:
            case Event.A:
                self.effects += self.group.set_port(PORT, self.now)
            case Event.B:
                self.effects += self.group.set_port(None, self.now)
            case Event.C | Event.D | Event.E:
                self.expire(event)
            case Event.F:
                self.hello(State.SPEAK, lower=False)
            case Event.G | Event.H:
                self.hello(State.ACTIVE, lower=event is Event.H)
            case Event.I:
                self.hello(State.ACTIVE, lower=False)
                self.effects.clear()
                self.group._timers.clear()
                self.hear(Operation.RESIGN, State.ACTIVE, lower=False)
            case Event.J:
                self.hear(Operation.COUP, State.LISTEN, lower=False)
            case Event.K | Event.L:
                self.hello(State.STANDBY, lower=event is Event.L)


def actions(scene: Scene, event: Event, before: dict[Event, float]) -> set[Action]:
    """What was done: messages by their effects, timers by where they stand now."""
    found = set()
    sent = [one for one in scene.effects if isinstance(one, Send)]
    for one in sent:
        (told,) = hsrp.parse(one.payload).messages
        found.add({0: Action.F, 1: Action.G, 2: Action.H}[told.operation])
    if any(isinstance(one, GratuitousArp) for one in scene.effects):
        found.add(Action.I)
    timers = scene.group._timers
    for timer, start, stop in ((Event.C, Action.A, Action.C), (Event.D, Action.B, Action.D)):
        if timer in timers and timers[timer] != before.get(timer):
            found.add(start)
        elif timer in before and timer not in timers and timer is not event:
            found.add(stop)
    return found


IMPOSSIBLE = {
    (State.INITIAL, Event.B): "it is disabled already",
    (State.LEARN, Event.I): "it leaves Learn as soon as it hears an active router",
    (State.ACTIVE, Event.I): "it is the active router itself",
}


@pytest.mark.parametrize("event", Event, ids=lambda event: event.name.lower())
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name.lower())
@pytest.mark.parametrize("preempts", [False, True], ids=["stays", "preempts"])
def test_cell(state: State, event: Event, preempts: bool) -> None:
    if (state, event) in IMPOSSIBLE:
        assert (state, event) not in RFC, IMPOSSIBLE[state, event]
        return
    scene = Scene(state, replace(SETTINGS, preempt=preempts))
    far = {Event.C: 10_000.0, Event.D: 10_000.0}
    if state is not State.INITIAL:
        scene.group._timers |= far
    before = {} if event is Event.I else dict(scene.group._timers)
    if event in (Event.C, Event.D, Event.E):
        before = {event: scene.now}
    scene.happens(event)
    text = RFC.get((state, event), "")
    first, _, second = text.partition(",")
    if second == "3":
        first = "AB/3"  # the virtual address is configured
    elif second and preempts:
        first = second
    wanted = parsed(first) if first else Cell(())
    assert scene.group.state is (wanted.state or state)
    expected = set(wanted.actions) - {Action.E}
    running = set(before)
    for stop, timer in ((Action.C, Event.C), (Action.D, Event.D)):
        if timer not in running or timer is event:
            expected.discard(stop)  # it had ended: nothing shows
    if (state, event) in {(State.LISTEN, Event.C), (State.LISTEN, Event.D)}:
        expected.add(Action.F)  # who begins to speak does so at once, not a hello time later
    assert actions(scene, event, before) == expected
    owns = [type(one) for one in scene.effects if isinstance(one, (Own, Release))]
    if state is not State.ACTIVE and wanted.state is State.ACTIVE:
        assert owns == [Own]
    elif state is State.ACTIVE and wanted.state not in (None, State.ACTIVE):
        assert owns == [Release]
    else:
        assert owns == []


def test_note_plus_without_a_virtual_address_it_learns_one() -> None:
    group = Group(replace(SETTINGS, address=None), lambda: 0.0, 0.0)
    group.set_port(PORT, 0.0)
    states = [group.state]
    assert group.next_deadline() is None  # nothing ends this but the active router's voice
    group.receive(message(Operation.HELLO, State.ACTIVE, 110), ABOVE, 1.0, silent)
    assert [*states, group.state] == [State.LEARN, State.LISTEN]
    assert group.address == VIRTUAL


@pytest.mark.parametrize("event", [Event.G, Event.K], ids=["active", "standby"])
def test_a_timer_is_set_to_what_the_hello_said(event: Event) -> None:
    scene = Scene(State.LISTEN, SETTINGS)
    scene.happens(event)
    timer = Event.C if event is Event.G else Event.D
    assert scene.group._timers[timer] == scene.now + HEARD_HOLD / 1000


def test_the_page_in_docs_is_drawn_from_the_code() -> None:
    assert document.PATH.read_text() == document.text(), f"python -m {document.__name__}"
