"""Which members are well: what is heard of each of them, and what follows from it.

    signal                  comes from                    what it is worth
    heartbeat               member link                   the process lives; its load
    link closed             TCP of the member link        the process ended, or dropped us
    answer to a request     relay                         it serves
    authentic request       relay: a request whose        it does not serve, if none of several
    without an answer       authenticator we verified     is answered; it fails, if one in twenty
    figures by SNMP         poller                        its load; snmpd lives, no more than that
    no answer to SNMP       poller                        nothing by itself
    trap                    SNMP                          a hint, and of IOS that it has restarted

**Unknown is not down.** A member is down when a row of `RULES` says so, and no row needs SNMP
alone: snmpd dies without the Home Agent, and the Home Agent without snmpd. Requests that anybody
could have forged do not count as unanswered, since a Home Agent drops them silently (RFC 5944,
3.8.2.1): else a stranger could have members declared dead.

Who hears nobody looks at himself first: when all members fall silent at once it is we who are cut
off, and when nobody has looked for a while (a suspended machine) all silences begin anew.

A member that comes and goes is held down longer each time, by a penalty that decays (RFC 2439, with
the figures that routers use), unless nobody else serves: a member that may go again is better than
none. An operator's order stands above all figures, but not above death.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..config import AgentConfig, MemberKind
from ..config import Health as Limits
from .effects import Moment


class State(enum.StrEnum):
    UNKNOWN = "unknown"  # nothing was heard of it since we started: it serves as if it were up
    UP = "up"
    FAILING = "failing"  # it lives, but has no processor or memory left: drained
    DOWN = "down"  # its slots are others'
    HELD = "held"  # back, but it came and went too often
    DRAINING = "draining"  # by order: it gives up its slots in portions
    MAINTENANCE = "maintenance"  # by order: it has given up everything


TAKES_NEW: Final = frozenset({State.UNKNOWN, State.UP})
"""States in which a member gets mobile nodes that nobody serves yet."""

SERVES: Final = frozenset({State.UNKNOWN, State.UP, State.FAILING, State.DRAINING})
"""States in which it keeps the mobile nodes that it has."""


class Order(enum.StrEnum):
    """What an operator wants of a member."""

    DRAIN = "drain"  # no new mobile nodes, and those that it has move in portions
    FAIL_OVER = "failover"  # all that it has moves now, whatever state it is in
    UNDRAIN = "undrain"  # as if nothing had been ordered


class Source(enum.StrEnum):
    LINK = "member link"
    SNMP = "SNMP"


@dataclass(frozen=True, slots=True)
class Figures:
    """The load of a member. None: unknown."""

    member: int  # its place in the configuration
    source: Source
    at: float  # s of the steady clock: when they were true
    bindings: int | None = None
    cpu_percent: float | None = None  # of the router, 0 to 100
    memory_free_percent: float | None = None  # with buffers and caches that can be dropped
    registrations_per_s: float | None = None
    hsrp_state: int | None = None  # cHsrpGrpStandbyState; of a pair behind a standby address


class TrapKind(enum.StrEnum):
    """Notifications that mean something here; others are counted by who receives them."""

    LINK_DOWN = "linkDown"
    LINK_UP = "linkUp"
    HSRP_STATE = "cHsrpStateChange"
    AUTHENTICATION_FAILURE = "authenticationFailure"
    BINDINGS_LIMIT = "cmiHaMaxBindingsNotif"
    COLD_START = "coldStart"


@dataclass(frozen=True, slots=True)
class Trap:
    member: int
    kind: TrapKind
    detail: str
    at: float  # s of the steady clock
    router: str = ""  # of a pair: which of them has sent it


@dataclass(frozen=True, slots=True)
class Change:
    """A member is in another state now. Told to operators as it stands."""

    member: int
    before: State
    after: State
    reason: str
    at: float  # s of the steady clock


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of a member: for selection, `status` and `why`."""

    state: State
    reason: str
    since: float  # s of the steady clock
    figures: Figures | None  # the newest value of each figure
    heartbeat: float | None  # s of the steady clock, of the last one
    unanswered: int  # authentic requests since it answered last, in UNANSWERED_S
    penalty: float


# ---------------------------------------------------------------------- figures of judgement

UNANSWERED_S: Final = 20.0
"""s that an unanswered request counts. A request is given up after six (`cluster/timers`)."""

MANY: Final = 8
"""Unanswered authentic requests, without an answer between them, that need no other witness."""

FEW: Final = 2
"""Unanswered authentic requests that count beside another signal."""

POLLS: Final = 3
"""Polls without an answer after which SNMP is silent, as of three lost datagrams."""

TRAP_S: Final = 30.0
"""s that a trap counts as a witness."""

RETURN_S: Final = 2.0
"""s that a member which was down has to be heard without a break before it is up: a daemon that
dies at start is restarted by systemd after a tenth of that."""

FAILING_S: Final = 10.0
"""s that a figure has to be beyond its threshold: two polls by default. A peak is no failure."""

RECOVERED_S: Final = 30.0
"""s that all figures have to be well within their thresholds again."""

LOST: Final = 5
"""Authentic requests without an answer, in FAILING_S, that are no accident."""

LOST_SHARE: Final = 0.05
"""Part of its requests that a member leaves without an answer and is failing: one in twenty."""

MARGIN: Final = 10.0
"""Per cent of CPU below, and MARGIN_MEMORY of memory above the threshold: well within."""

MARGIN_MEMORY: Final = 2.0

FLAP: Final = 1000.0
"""Penalty of going down. This and the next four are the defaults of BGP's damping in routers."""

SUPPRESS: Final = 2000.0
"""Penalty above which a member that is back is held."""

REUSE: Final = 750.0
"""Penalty below which it is let in again."""

HALF_LIFE_S: Final = 900.0
MOST_PENALTY: Final = 12_000.0
"""That of REUSE after an hour at most: 750 * 2 ** (3600 / 900)."""

ISOLATED_S: Final = 5.0
"""s for which it is believed that silence of all members is our own fault."""


@dataclass(slots=True)
class _Member:
    """What was heard of one."""

    linux: bool
    state: State
    reason: str
    since: float
    order: Order | None = None
    emptied: bool = False
    figures: Figures | None = None
    beat: float | None = None  # last heartbeat
    linked: float | None = None  # since when heartbeats come without a break
    closed: float | None = None  # when the link was lost, and not made again
    answered: float | None = None
    unanswered: int = 0
    unanswered_at: float = 0.0  # of the first of them
    lost: int = 0  # as unanswered, since `counted`, whatever was answered between them
    counted: float | None = None  # since when; None: nothing is lost
    lost_per_s: float = 0.0  # in the FAILING_S before
    reported: float | None = None  # last answer to SNMP
    polls_lost: int = 0
    trap: Trap | None = None
    restarted: bool = False
    beyond: float | None = None  # since when a figure is beyond its threshold
    within: float | None = None  # since when all are well within
    penalty: float = 0.0
    penalty_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Says of a member that it is down: the first one that holds gives the reason."""

    reason: str
    holds: Callable[[Health, _Member, float], bool]


class Health:
    """Of all members, by their place in the configuration. Pure: what is heard comes with its time.

    Whatever is told is only noted; `handle_timer` judges, at `next_deadline` at the latest.
    """

    def __init__(self, config: AgentConfig, now: Moment) -> None:
        self._config = config.health
        self.beat_s = config.health.heartbeat_ms / 1000
        self.silence_s = self.beat_s * config.health.misses
        self._names = [member.name for member in config.members]
        self._members = [
            _Member(member.kind is MemberKind.LINUX, State.UNKNOWN, "not heard yet", now.steady)
            for member in config.members
        ]
        self._looked = now.steady
        self._due: float | None = None

    # ------------------------------------------------------------------ what is heard

    def heard(self, member: int, figures: Figures | None, now: Moment) -> None:
        """A heartbeat; it may carry figures."""
        known = self._members[member]
        if known.linked is None or known.beat is None or now.steady - known.beat > self.silence_s:
            known.linked = now.steady
        known.beat, known.closed = now.steady, None
        if figures is not None:
            self._note(known, figures)
        self._wake(now.steady if known.state is State.UNKNOWN else now.steady + self.beat_s)

    def lost(self, member: int, now: Moment) -> None:
        """The member link was closed by its end, or broke."""
        known = self._members[member]
        known.closed, known.linked = now.steady, None
        self._wake(now.steady + self.beat_s)

    def reported(self, member: int, figures: Figures, now: Moment) -> None:
        """An answer to SNMP."""
        known = self._members[member]
        if known.polls_lost >= POLLS or known.reported is None:
            known.within = None
        known.reported, known.polls_lost = now.steady, 0
        self._note(known, figures)
        self._wake(now.steady)

    def unreported(self, member: int, now: Moment) -> None:
        """A poll that nobody answered."""
        self._members[member].polls_lost += 1
        self._wake(now.steady)

    def trapped(self, trap: Trap, now: Moment) -> None:
        known = self._members[trap.member]
        known.trap = trap
        # A router of a pair that restarts takes nothing with it: the other one has its bindings.
        if trap.kind is TrapKind.COLD_START and not trap.router:
            known.restarted = True
        self._wake(now.steady)

    def answered(self, member: int, now: Moment) -> None:
        """It replied to a request. Needs not be told of more often than once in a heartbeat."""
        known = self._members[member]
        known.answered, known.unanswered = now.steady, 0

    def unanswered(self, member: int, count: int, now: Moment) -> None:
        """Authentic requests that it let time out."""
        known = self._members[member]
        if not known.unanswered or now.steady - known.unanswered_at > UNANSWERED_S:
            known.unanswered, known.unanswered_at = 0, now.steady
        known.unanswered += count
        known.lost += count
        if known.counted is None:
            known.counted = now.steady
        self._wake(now.steady)

    def order(self, member: int, order: Order, now: Moment) -> None:
        known = self._members[member]
        known.order = None if order is Order.UNDRAIN else order
        known.emptied = False
        if order is Order.UNDRAIN:
            known.penalty = 0.0  # who lets it in again has looked at it
        self._wake(now.steady)

    def emptied(self, member: int, now: Moment) -> None:
        """It serves nothing any more."""
        known = self._members[member]
        if known.order is not None and not known.emptied:
            known.emptied = True
            self._wake(now.steady)

    # ------------------------------------------------------------------ what follows

    def state(self, member: int) -> State:
        return self._members[member].state

    def standing(self, member: int, now: Moment) -> Standing:
        known = self._members[member]
        return Standing(
            known.state,
            known.reason,
            known.since,
            known.figures,
            known.beat,
            self._unanswered(known, now.steady),
            _penalty(known, now.steady),
        )

    def next_deadline(self) -> float | None:
        """s of the steady clock."""
        return self._due

    def handle_timer(self, now: Moment) -> list[Change]:
        """Who is in another state now, and why."""
        steady = now.steady
        if steady - self._looked > self.silence_s + self.beat_s:
            self._slept(steady)
        self._looked = steady
        isolated = self._isolated(steady)
        changes = []
        for member, known in enumerate(self._members):
            state, reason = self._judge(known, steady, isolated)
            known.restarted = False
            if state is known.state:
                continue
            if state is State.DOWN:
                known.penalty = min(MOST_PENALTY, _penalty(known, steady) + FLAP)
                known.penalty_at = steady
                known.figures = known.trap = known.counted = None
                known.lost, known.lost_per_s = 0, 0.0
            changes.append(Change(member, known.state, state, reason, steady))
            known.state, known.reason, known.since = state, reason, steady
        self._due = steady + self.beat_s
        return changes

    # ------------------------------------------------------------------ judgement

    def _judge(self, known: _Member, now: float, isolated: bool) -> tuple[State, str]:
        dead = next((rule.reason for rule in RULES if rule.holds(self, known, now)), None)
        if dead is not None:
            if isolated and known.state in SERVES:
                return known.state, known.reason
            return State.DOWN, dead
        if known.state in (State.DOWN, State.HELD):
            if not self._back(known, now):
                return State.DOWN, known.reason
            tired = _penalty(known, now) > (SUPPRESS if known.state is State.DOWN else REUSE)
            if tired and any(each.state in SERVES for each in self._members):
                return State.HELD, "back, but it came and went too often"
        if known.order is not None:
            if known.emptied or known.order is Order.FAIL_OVER:
                return State.MAINTENANCE, f"by order: {known.order}"
            return State.DRAINING, f"by order: {known.order}"
        failing = self._failing(known, now)
        if failing:
            return State.FAILING, failing
        if known.beat is None and known.reported is None and known.answered is None:
            return State.UNKNOWN, "not heard yet"
        if known.state is State.UP:
            return State.UP, known.reason
        return State.UP, "heard"

    def _back(self, known: _Member, now: float) -> bool:
        """Whether one that was down is there again, by the best witness that there ever was."""
        if known.beat is not None:
            return known.linked is not None and now - known.linked >= RETURN_S
        if known.reported is not None:
            return known.reported > known.since and not known.polls_lost
        return now - known.since >= UNANSWERED_S  # nobody can tell: it is tried again

    def _failing(self, known: _Member, now: float) -> str:
        """Why it is, with hysteresis in both directions; empty: it is not."""
        self._count(known, now)
        beyond, within = _beyond(self._config, known.figures)
        lost = _lost_share(known)
        if lost >= LOST_SHARE:
            beyond = beyond or f"{100 * lost:.0f} % of its requests have no answer"
        within = within and lost <= LOST_SHARE / 2
        known.beyond = (known.beyond or now) if beyond else None
        known.within = (known.within or now) if within else None
        if known.state is State.FAILING:
            recovered = known.within is not None and now - known.within >= RECOVERED_S
            return "" if recovered else known.reason
        if known.beyond is not None and now - known.beyond >= FAILING_S:
            return beyond
        return ""

    def _count(self, known: _Member, now: float) -> None:
        if known.counted is not None and now - known.counted >= FAILING_S:
            known.lost_per_s = known.lost / (now - known.counted)
            known.counted = now if known.lost else None
            known.lost = 0

    def _unanswered(self, known: _Member, now: float) -> int:
        return known.unanswered if now - known.unanswered_at <= UNANSWERED_S else 0

    def _isolated(self, now: float) -> bool:
        """Whether nobody of several is heard, and it did not begin long ago."""
        beats = [known.beat for known in self._members if known.beat and known.state in SERVES]
        if len(beats) < 2:
            return False
        silence = now - max(beats)
        return 2 * self.beat_s <= silence < ISOLATED_S

    def _slept(self, now: float) -> None:
        """We did not look for so long that what was sent to us waits unread."""
        for known in self._members:
            if known.beat is not None and known.closed is None:
                known.beat = now
            if known.closed is not None:
                known.closed = max(known.closed, now - self.beat_s / 2)

    def _note(self, known: _Member, figures: Figures) -> None:
        """The newest value of each figure: SNMP may know one that a heartbeat does not tell."""
        before = known.figures
        if before is not None:
            figures = Figures(
                figures.member,
                figures.source,
                figures.at,
                *(
                    getattr(before, name) if (value := getattr(figures, name)) is None else value
                    for name in _FIGURES
                ),
            )
        known.figures = figures

    def _wake(self, at: float) -> None:
        if self._due is None or at < self._due:
            self._due = at


_FIGURES: Final = (
    *("bindings", "cpu_percent", "memory_free_percent"),
    *("registrations_per_s", "hsrp_state"),
)


def _late(health: Health, known: _Member, now: float) -> bool:
    last = max(known.beat or 0.0, known.answered or 0.0)
    return known.beat is not None and now - last >= health.silence_s


def _closed(health: Health, known: _Member, now: float) -> bool:
    if known.closed is None or now - known.closed < health.beat_s:
        return False
    return known.answered is None or known.answered <= known.closed


def _silent(health: Health, known: _Member, now: float) -> bool:
    return health._unanswered(known, now) >= MANY


def _no_snmp_and_unanswered(health: Health, known: _Member, now: float) -> bool:
    return known.polls_lost >= POLLS and health._unanswered(known, now) >= FEW


def _trap_and_unanswered(health: Health, known: _Member, now: float) -> bool:
    trap = known.trap
    told = trap is not None and trap.kind is TrapKind.LINK_DOWN and now - trap.at <= TRAP_S
    return told and (health._unanswered(known, now) >= FEW or known.polls_lost >= POLLS)


def _restarted(health: Health, known: _Member, now: float) -> bool:  # noqa: ARG001  as the others
    return known.restarted and not known.linux  # ours has a journal


RULES: Final = (
    Rule("it closed the member link", _closed),
    Rule("no heartbeat, and no answer to requests", _late),
    Rule("it has restarted: its bindings are gone", _restarted),
    Rule(f"{MANY} authentic requests without an answer", _silent),
    Rule("no answer to SNMP, nor to authentic requests", _no_snmp_and_unanswered),
    Rule("it lost a link, and answers no requests or no SNMP", _trap_and_unanswered),
)
"""What says that a member is down. An IOS member has no member link: the last four are its."""


def _penalty(known: _Member, now: float) -> float:
    """What is left of it."""
    return float(known.penalty * 0.5 ** ((now - known.penalty_at) / HALF_LIFE_S))


def _lost_share(known: _Member) -> float:
    """Of its requests; all of them, if nobody tells how many it has."""
    if known.lost_per_s * FAILING_S < LOST:
        return 0.0
    figures = known.figures
    rate = figures.registrations_per_s if figures is not None else None
    return known.lost_per_s / max(known.lost_per_s, rate or 0.0)


def _beyond(limits: Limits, figures: Figures | None) -> tuple[str, bool]:
    """Which figure is beyond its threshold, and whether all known ones are well within."""
    if figures is None:
        return "", True
    cpu, free = figures.cpu_percent, figures.memory_free_percent
    within = (cpu is None or cpu <= limits.failing_cpu - MARGIN) and (
        free is None or free >= limits.failing_memory_free + MARGIN_MEMORY
    )
    if cpu is not None and cpu >= limits.failing_cpu:
        return f"{cpu:.0f} % of its processor is in use", within
    if free is not None and free <= limits.failing_memory_free:
        return f"{free:.1f} % of its memory is free", within
    return "", within
