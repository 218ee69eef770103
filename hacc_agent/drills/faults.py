"""The kinds of faults that a drill has, in one table.

A fault strikes routers, which are named by what they do (`targets`), and lasts: it is there from
its moment on, and for as long as the step says, or to the end of the drill, when everything is
mended. What happens at a moment and is over then, as a daemon's death that its supervisor repairs
or an order to switch over, takes no `for`; mending it makes sure that nothing of it is left.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


class FaultKind(enum.StrEnum):
    """The words of a timeline."""

    KILL = "kill"
    POWER = "power"
    FREEZE = "freeze"
    LINK = "link"
    ONEWAY = "oneway"
    PARTITION = "partition"
    LOSS = "loss"
    FLAP = "flap"
    SNMP = "snmp"
    OVERLOAD = "overload"
    CLOCK = "clock"
    DRAIN = "drain"
    FAILOVER = "failover"
    SWITCHOVER = "switchover"
    UPGRADE = "upgrade"


class Parameter(enum.StrEnum):
    """What a fault may need besides whom it strikes; keys of a step."""

    DAEMON = "daemon"
    DIRECTION = "direction"
    FROM = "from"
    PERCENT = "percent"
    EVERY = "every"
    AHEAD = "ahead"


class Stage(enum.StrEnum):
    """Where a drill plays."""

    LIVE = "live"  # virtual routers
    SIMULATION = "simulation"  # engines under a virtual clock


class Role(enum.StrEnum):
    """Whom a step names: keys of a step."""

    MEMBER = "member"
    CONTROLLER = "controller"
    ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Nature:
    """A row of the table."""

    what: str
    needs: tuple[Parameter, ...] = ()
    takes: tuple[Parameter, ...] = ()  # or leaves to its usual value
    lasts: bool = True
    strikes: tuple[Role, ...] = (Role.MEMBER, Role.CONTROLLER, Role.ROUTER)
    stages: tuple[Stage, ...] = (Stage.LIVE, Stage.SIMULATION)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.needs + self.takes


_MEMBER: Final = (Role.MEMBER,)
_CONTROLLER: Final = (Role.CONTROLLER,)

FAULTS: Final[Mapping[FaultKind, Nature]] = {
    FaultKind.KILL: Nature(
        "SIGKILL to a daemon, usually hacc-agent; its supervisor starts it again",
        takes=(Parameter.DAEMON,),
        lasts=False,
    ),
    FaultKind.POWER: Nature("the mains are pulled: every process dead, carrier gone"),
    FaultKind.FREEZE: Nature("every process stopped; the kernel goes on answering"),
    FaultKind.LINK: Nature("the cables are pulled: both ends lose carrier"),
    FaultKind.ONEWAY: Nature(
        "frames into (in) or out of (out) a router are lost", needs=(Parameter.DIRECTION,)
    ),
    FaultKind.PARTITION: Nature(
        "two sides no longer hear each other; `from` is the other one", needs=(Parameter.FROM,)
    ),
    FaultKind.LOSS: Nature(
        "a share of the frames is lost, in each direction", needs=(Parameter.PERCENT,)
    ),
    FaultKind.FLAP: Nature(
        "the cables are pulled and plugged in again, over and over", needs=(Parameter.EVERY,)
    ),
    FaultKind.SNMP: Nature(
        "SNMP no longer answers, though the router serves",
        strikes=_MEMBER,
    ),
    FaultKind.OVERLOAD: Nature(
        "a member says that its memory is used up: it is failing, and not down", strikes=_MEMBER
    ),
    FaultKind.CLOCK: Nature(
        "the wall clock is wrong by `ahead`",
        needs=(Parameter.AHEAD,),
        # One machine has one clock, whatever runs on it; tests/hacc_agent/test_clocks.py bends it
        # for single daemons.
        stages=(Stage.SIMULATION,),
    ),
    FaultKind.DRAIN: Nature("an operator drains a member; mending takes it back", strikes=_MEMBER),
    FaultKind.FAILOVER: Nature(
        "an operator fails a member over; mending takes it back", strikes=_MEMBER
    ),
    FaultKind.SWITCHOVER: Nature(
        "the active controller is stopped in order, so that the standby takes over",
        strikes=_CONTROLLER,
    ),
    FaultKind.UPGRADE: Nature(
        "hacc-agent is restarted on each router that runs it, one `every` so long",
        needs=(Parameter.EVERY,),
        lasts=False,
    ),
}
