"""One standby group: its state, its timers, its neighbours. It walks the table of `table.py`.

What the RFC leaves open, and how it is here:

- *Who the active router is.* Whoever says so in a Hello, unless a better one that still lives does.
  A Coup names the next one, so that the Resign with which the old one answers it (action H of event
  j) is not taken for a vacancy by a third router.
- *A timer that expires where the table has no cell* stays expired, and counts as soon as a state
  is reached that has one. Without that, a router whose Active timer ends in Speak would wait in
  Standby for ever.
- *The higher address decides a tie* between those that claim the same, but nobody preempts for it
  (as IOS): equal priorities mean that no role moves without need.
- *Times of another router* are kept within what version 1 can say. Version 1 cannot say less than
  a second: a hold time that is configured in milliseconds is then our own for all.
- *A first Hello* is sent at once on entering Speak, and each one up to a tenth of the hello time
  early (5.4: the timer MUST be jittered), never late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Final, NamedTuple, Protocol

from ...hsrp.config import Effect as Fall
from ...hsrp.config import Group as Settings
from ...wire import hsrp
from ...wire.hsrp import GroupMessage, Operation, State
from .effects import Changed, Effect, GratuitousArp, Own, Place, Release, Send, Suspicion
from .table import Action, Event, cell

HELLO_MS: Final = 3000  # RFC 2281, 5.1
HOLD_MS: Final = 10_000
LONGEST_HOLD_MS: Final = 255_000  # that version 1 can say
JITTER: Final = 0.1  # of the hello time
ARP_REPEATS: Final = 2
"""More gratuitous ARPs after the first, one a hello time: one that is lost must not matter."""

_SPEAKING: Final = frozenset((State.SPEAK, State.STANDBY, State.ACTIVE))


class Rank(NamedTuple):
    """Who wins: the higher priority, then the higher address (RFC 2281, 5.1)."""

    priority: int
    address: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another router of the group, as it was last heard."""

    rank: Rank
    until: float  # s: how long what it said holds

    @property
    def address(self) -> IPv4Address:
        return IPv4Address(self.rank.address)


class Port(NamedTuple):
    """An interface that is up."""

    address: IPv4Interface
    mac: int


class Complain(Protocol):
    """Who is told of what is not right."""

    def __call__(self, reason: Suspicion, detail: str = "") -> None: ...


class Group:
    """A standby group of an interface."""

    def __init__(self, settings: Settings, jitter: Callable[[], float], now: float) -> None:
        """`jitter` draws from [0, 1)."""
        self.settings = settings
        self.place = Place(settings.interface, settings.version, settings.group)
        self.state = State.INITIAL
        self.since = now  # s: of the last change of state
        self.changes = 0
        self.active: Neighbour | None = None
        self.standby: Neighbour | None = None
        self.in_step = False  # what a preemption waits for (`preempt_sync_s`) is as it should be
        self._born = now
        self._jitter = jitter
        self._port: Port | None = None
        self._down: frozenset[str] = frozenset()
        self._learned: tuple[int, int] | None = None
        self._learned_address: IPv4Address | None = None
        self._timers: dict[Event, float] = {}
        self._outranked_since: float | None = None  # since when the active one is worse than we
        self._coup_again = now
        self._arps_left = 0
        self._effects: list[Effect] = []

    # ------------------------------------------------------------------ what it is

    @property
    def address(self) -> IPv4Address | None:
        """The virtual address, as far as it is known."""
        return self.settings.address or self._learned_address

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        found = self.address
        return (found, *self.settings.secondaries) if found is not None else ()

    @property
    def own_address(self) -> IPv4Address | None:
        """Of its interface; None while that is down."""
        return self._port.address.ip if self._port is not None else None

    @property
    def priority(self) -> int:
        """What it says: as configured, less what objects that are down take away."""
        lost = [
            track.decrement
            for track in self.settings.tracks
            if track.object in self._down and track.effect is not Fall.SHUTDOWN
        ]
        return max(0, self.settings.priority - sum(lost))

    @property
    def halted(self) -> bool:
        """Whether an object that is down forbids any part in the group."""
        return any(
            track.object in self._down and track.effect is Fall.SHUTDOWN
            for track in self.settings.tracks
        )

    @property
    def hello_ms(self) -> int:
        if self.settings.hello_ms is not None:
            return self.settings.hello_ms
        return self._learned[0] if self._learned is not None else HELLO_MS

    @property
    def hold_ms(self) -> int:
        if self.settings.hold_ms is not None:
            return self.settings.hold_ms
        return self._learned[1] if self._learned is not None else HOLD_MS

    @property
    def next_hello(self) -> float | None:
        return self._timers.get(Event.E)

    @property
    def _rank(self) -> Rank:
        assert self._port is not None
        return Rank(self.priority, int(self._port.address.ip))

    # ------------------------------------------------------------------ what happens to it

    def set_port(self, port: Port | None, now: float) -> list[Effect]:
        """The interface has come up with this address, or has gone down."""
        if port != self._port and self._port is not None and self.state is not State.INITIAL:
            self._event(Event.B, now)
        self._port = port
        self._start_if_possible(now)
        return self._done()

    def set_down(self, down: frozenset[str], now: float) -> list[Effect]:
        """These tracked objects are down, the others up."""
        self._down = down
        if self.halted and self.state is not State.INITIAL:
            self._event(Event.B, now, "a tracked object is down")
        self._start_if_possible(now)
        self._hand_over_if_better(now)
        return self._done()

    def change(self, settings: Settings, now: float) -> list[Effect]:
        """Other settings for the same place."""
        before, self.settings = self.settings, settings
        owned = (before.address, before.secondaries, before.follows, before.announces)
        if owned != (settings.address, settings.secondaries, settings.follows, settings.announces):
            if self.state is not State.INITIAL:
                self._event(Event.B, now, "another address is configured")
            self._learned_address = None
        return self._done() + self.set_down(self._down, now)

    def stop(self, now: float) -> list[Effect]:
        if self.state is not State.INITIAL:
            self._event(Event.B, now, "the speaker stops")
        return self._done()

    def hand_over(self, now: float) -> list[Effect]:
        """Let the standby router have it; nothing happens where there is none."""
        if self.state is State.ACTIVE and self.standby is not None and self.standby.until > now:
            self._event(Event.J, now, "the operator's wish")
        return self._done()

    def receive(
        self, message: GroupMessage, source: IPv4Address, now: float, complain: Complain
    ) -> list[Effect]:
        """A message that its authentication proves, from another router."""
        if self.state is State.INITIAL:
            return []
        if message.priority == self.settings.priority:
            complain(Suspicion.DUPLICATE_PRIORITY, f"priority {message.priority}")
        if int(message.address) and self.address not in (None, message.address):
            complain(Suspicion.DIFFERENT_ADDRESS, str(message.address))
        rank = Rank(message.priority, int(source))
        match message.operation:
            case Operation.HELLO:
                self._hello(message, rank, now, complain)
            case Operation.COUP:
                self._coup(rank, now, complain)
            case Operation.RESIGN:
                if self.active is not None and self.active.rank.address == rank.address:
                    self.active = None
                    self._event(Event.I, now)
            case Operation.ADVERTISE:
                pass
        return self._done()

    def next_deadline(self) -> float | None:
        return min((at for event, at in self._timers.items() if self._hears(event)), default=None)

    def handle_timer(self, now: float) -> list[Effect]:
        # In the order of their times, and the Standby timer before the Active one: who is first
        # standby can then be active in the same moment.
        order = {Event.D: 0, Event.C: 1, Event.E: 2}
        while due := [
            (at, order[event], event)
            for event, at in self._timers.items()
            if at <= now and self._hears(event)
        ]:
            _, _, event = min(due)
            del self._timers[event]
            if event is Event.C:
                self.active = None
            self._event(event, now)
            if event is Event.E and self._arps_left and self.state is State.ACTIVE:
                self._arps_left -= 1
                self._effects.append(GratuitousArp(self.place, self.addresses))
        return self._done()

    # ------------------------------------------------------------------ messages

    def _hello(self, message: GroupMessage, rank: Rank, now: float, complain: Complain) -> None:
        heard = Neighbour(rank, now + self._hold_of(message) / 1000)
        higher = rank > self._rank
        if message.state is not State.ACTIVE and self._is(self.active, rank):
            self.active = None  # it says that it no longer is; the Active timer runs on
        if message.state is not State.STANDBY and self._is(self.standby, rank):
            self.standby = None
        match message.state:
            case State.ACTIVE:
                self._hello_of_active(message, heard, higher, now, complain)
            case State.STANDBY:
                self.standby = heard
                event = Event.K if higher else Event.L
                self._event(event, now, heard=message)
                self._hand_over_if_better(now)
            case State.SPEAK if higher:
                self._event(Event.F, now)
            case _:
                pass

    def _hello_of_active(
        self, message: GroupMessage, heard: Neighbour, higher: bool, now: float, complain: Complain
    ) -> None:
        known = self.active
        if self._is_better(known, heard.rank, now) and not self._is(known, heard.rank):
            return  # the better one will tell it
        if self.state is State.ACTIVE and not higher:
            if now < self._coup_again:
                complain(Suspicion.COUP_STORM, "contradicts us")
                return
            self._coup_again = now + self.hello_ms / 2000
        if self.state is not State.ACTIVE or higher:
            self.active = heard
        if heard.rank.priority < self.priority:
            self._outranked_since = now if self._outranked_since is None else self._outranked_since
        else:
            self._outranked_since = None
        self._event(Event.G if higher else Event.H, now, heard=message)

    def _coup(self, rank: Rank, now: float, complain: Complain) -> None:
        if self.state is State.ACTIVE:
            if rank > self._rank:
                self._event(Event.J, now)
            else:
                complain(Suspicion.COUP_STORM, "of no higher priority")
                return
        elif now < self._coup_again:
            complain(Suspicion.COUP_STORM, "nobody is active here")
            return
        if self.active is None or rank > self.active.rank:
            self._coup_again = now + self.hello_ms / 2000
            self.active = Neighbour(rank, now + self.hold_ms / 1000)

    # ------------------------------------------------------------------ the table

    def _event(
        self, event: Event, now: float, why: str = "", heard: GroupMessage | None = None
    ) -> None:
        found = cell(
            self.state,
            event,
            knows_address=self.address is not None,
            preempts=event is Event.H and self._may_preempt(now),
        )
        if found is None:
            return
        before, after = self.state, found.state or self.state
        if Action.G in found.actions:
            self._send(Operation.COUP)
        if Action.E in found.actions and heard is not None:
            self._learn(heard)
        self._enter(before, after, why or event.value, now)
        for action in found.actions:
            self._do(action, event, heard, now)

    def _enter(self, before: State, after: State, why: str, now: float) -> None:
        if before is after:
            return
        if before is State.ACTIVE:
            self._effects.append(Release(self.place))
        if after is State.ACTIVE:
            self._effects.append(Own(self.place, self.addresses))
            self.active, self._outranked_since = None, None
            self._arps_left = ARP_REPEATS
        if after is State.STANDBY or after is State.INITIAL:
            self.standby = None
        if after is State.INITIAL:
            self.active, self._outranked_since = None, None
        if after not in _SPEAKING:
            self._timers.pop(Event.E, None)
        elif before not in _SPEAKING or before is State.ACTIVE:
            self._timers[Event.E] = now
        self.state, self.since = after, now
        self.changes += 1
        self._effects.append(Changed(self.place, before, after, why))

    def _do(self, action: Action, event: Event, heard: GroupMessage | None, now: float) -> None:
        match action:
            case Action.A:
                hold = self._hold_of(heard) if event in (Event.G, Event.H) else self.hold_ms
                self._timers[Event.C] = now + hold / 1000
            case Action.B:
                hold = self._hold_of(heard) if event in (Event.K, Event.L) else self.hold_ms
                self._timers[Event.D] = now + hold / 1000
            case Action.C:
                self._timers.pop(Event.C, None)
            case Action.D:
                self._timers.pop(Event.D, None)
            case Action.F:
                self._send(Operation.HELLO)
                early = JITTER * self._jitter()
                self._timers[Event.E] = now + self.hello_ms * (1 - early) / 1000
            case Action.H:
                self._send(Operation.RESIGN)
            case Action.I:
                self._effects.append(GratuitousArp(self.place, self.addresses))
            case Action.E | Action.G:
                pass  # done before the state changed

    def _hears(self, event: Event) -> bool:
        return cell(self.state, event, knows_address=True, preempts=False) is not None

    def _start_if_possible(self, now: float) -> None:
        if self.state is State.INITIAL and self._port is not None and not self.halted:
            self._event(Event.A, now)

    def _may_preempt(self, now: float) -> bool:
        """Whether all delays are over. They count while the active router is worse than we are."""
        read = self.settings
        if not read.preempt or self._outranked_since is None:
            return False
        waited = now - self._outranked_since
        return (
            waited >= read.preempt_minimum_s
            and now - self._born >= read.preempt_reload_s
            and (self.in_step or waited >= read.preempt_sync_s)
        )

    def _hand_over_if_better(self, now: float) -> None:
        """An object that is down asks for it, and there is somebody better to do it."""
        asked = any(
            track.object in self._down and track.effect is Fall.HAND_OVER
            for track in self.settings.tracks
        )
        if asked and self.state is State.ACTIVE and self._is_better(self.standby, self._rank, now):
            self._event(Event.J, now, "a tracked object is down")

    # ------------------------------------------------------------------ fields

    def _learn(self, heard: GroupMessage) -> None:
        if 0 < heard.hello_ms < heard.hold_ms:
            self._learned = heard.hello_ms, min(heard.hold_ms, LONGEST_HOLD_MS)
        if self.settings.address is None and int(heard.address):
            self._learned_address = heard.address

    def _hold_of(self, heard: GroupMessage | None) -> int:
        """How long what was heard holds, ms."""
        own = self.settings.hold_ms
        if heard is None or not heard.hold_ms:
            return self.hold_ms
        if self.place.version == 1 and own is not None and own % 1000:
            return own
        return min(heard.hold_ms, LONGEST_HOLD_MS)

    def _send(self, operation: Operation) -> None:
        assert self._port is not None
        message = GroupMessage(
            operation, self.state, self.priority, self.place.group, self.hello_ms, self.hold_ms,
            self.address or IPv4Address(0),
        )  # fmt: skip
        payload = encode(self.settings, message, self._port)
        self._effects.append(Send(self.place, payload, self.state is State.ACTIVE))

    @staticmethod
    def _is_better(neighbour: Neighbour | None, rank: Rank, now: float) -> bool:
        """Whether it lives, and wins over this rank."""
        return neighbour is not None and neighbour.until > now and neighbour.rank > rank

    @staticmethod
    def _is(neighbour: Neighbour | None, rank: Rank) -> bool:
        return neighbour is not None and neighbour.rank.address == rank.address

    def _done(self) -> list[Effect]:
        done, self._effects = self._effects, []
        return done


def encode(settings: Settings, message: GroupMessage, port: Port) -> bytes:
    """The octets of a message, with what proves it."""
    proof = hsrp.Md5(port.address.ip, settings.md5_key_id)
    text = settings.text.encode() if settings.text is not None else hsrp.DEFAULT_TEXT
    if settings.version == 1:
        if settings.md5 is None:
            return hsrp.Version1(message, text).to_bytes()
        bare = bytes(hsrp.TEXT_OCTETS)
        return hsrp.sign(hsrp.Version1(message, bare, more=(proof,)), settings.md5.encode())
    state = hsrp.GroupState(message, port.mac)
    if settings.md5 is None:
        return hsrp.Version2((state, hsrp.Text(text))).to_bytes()
    return hsrp.sign(hsrp.Version2((state, proof)), settings.md5.encode())


def proves(settings: Settings, packet: hsrp.Packet, payload: bytes, source: IPv4Address) -> bool:
    """Whether a packet comes from who knows the group's text or key."""
    if isinstance(packet, hsrp.Advertisement):
        return False
    if settings.md5 is None:
        text = settings.text.encode() if settings.text is not None else hsrp.DEFAULT_TEXT
        return packet.md5 is None and packet.text == text.ljust(hsrp.TEXT_OCTETS, b"\0")
    found = packet.md5
    return (
        found is not None
        and found.source == source
        and found.key_id == settings.md5_key_id
        and hsrp.verify(payload, settings.md5.encode())
    )
