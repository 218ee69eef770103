"""The shape of a drill's file, `inventory/drills/*.yaml`: what may stand where.

The descriptions are for the person who hovers over a key: the same classes give the JSON Schema.
What a fault needs and takes is not said here but in the table of `hacc_agent.drills.faults`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic.json_schema import WithJsonSchema

from hacc_agent.drills import drill
from hacc_agent.drills.drill import Leader
from hacc_agent.drills.faults import FAULTS, FaultKind, Parameter, Role
from hacc_agent.drills.targets import WORDS

from ..schema import Node
from ..values import Between, HostName, Name, one_of, refuse

_DURATION: Final = re.compile(r"(-?)(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
LONGEST_S: Final = 3600.0


def _seconds(value: object, *, signed: bool = False) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found[1] and not signed):
        hint = f"write {value}s" if type(value) in (int, float) else ""
        raise refuse("a duration: 500ms, 5s, 2m", hint)
    seconds = float(found[2]) * _SECONDS[found[3]]
    if seconds > LONGEST_S:
        raise refuse(f"at most {LONGEST_S / 60:.0f}m")
    return -seconds if found[1] else seconds


def _signed(value: object) -> float:
    return _seconds(value, signed=True)


def _milliseconds(value: object) -> float:
    return round(1000 * _seconds(value), 3)


_FORM: Final = WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m)$"})
_SIGNED_FORM: Final = WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?(ms|s|m)$"})
Seconds = Annotated[float, PlainValidator(_seconds), _FORM]
SignedSeconds = Annotated[float, PlainValidator(_signed), _SIGNED_FORM]
Milliseconds = Annotated[float, PlainValidator(_milliseconds), _FORM]
Count = Annotated[int, Between(0, 10_000_000)]


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


Whom = Annotated[
    tuple[HostName, ...],
    BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]


class Targets(Node):
    """Routers, by what they do or by their names."""

    member: Whom | None = Field(
        default=None, description=f"A member's name, or {', '.join(WORDS[Role.MEMBER])}."
    )
    controller: Whom | None = Field(
        default=None, description=f"A controller's name, or {', '.join(WORDS[Role.CONTROLLER])}."
    )
    router: Whom | None = Field(default=None, description="A host's name, or all.")

    def named(self) -> tuple[drill.Target, ...]:
        return tuple(
            drill.Target(role, which) for role in Role for which in getattr(self, role) or ()
        )


class Step(Targets):
    """A fault on the timeline."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=False)

    at_: Seconds = Field(alias="at", description="From the begin of the timeline.")
    fault: Annotated[FaultKind, BeforeValidator(one_of(*FaultKind))] = Field(
        description="; ".join(f"{kind}: {nature.what}" for kind, nature in FAULTS.items())
    )
    for_: Seconds | None = Field(
        default=None, alias="for", description="Then it is mended; without: at the drill's end."
    )
    daemon: HostName | None = Field(
        default=None, description="Of kill, usually hacc-agent: as ps or systemctl names it."
    )
    direction: Annotated[str | None, BeforeValidator(one_of("in", "out"))] = Field(
        default=None, description="Of oneway: what the router no longer hears, or says."
    )
    from_: Targets | None = Field(
        default=None, alias="from", description="Of partition: the other side."
    )
    percent: Annotated[float, Between(0.1, 100, whole=False)] | None = Field(
        default=None, description="Of loss."
    )
    every: Seconds | None = Field(
        default=None, description="Of flap: a period, half of it without cables. Of upgrade: "
        "between two routers."
    )  # fmt: skip
    ahead: SignedSeconds | None = Field(
        default=None, description="Of clock; with a minus it is behind."
    )

    @model_validator(mode="after")
    def _fits(self) -> Step:
        if wrong := [*self._wrong()]:
            raise refuse("", message="; ".join(wrong))
        return self

    def _wrong(self) -> Iterator[str]:
        nature = FAULTS[self.fault]
        given = {one for one in Parameter if self._given(one) is not None}
        for one in nature.needs:
            if one not in given:
                yield f"{self.fault} needs `{one}`"
        for one in sorted(given - {*nature.parameters}):
            yield f"{self.fault} takes no `{one}`"
        if self.for_ is not None and not nature.lasts:
            yield f"{self.fault} is over at once: it takes no `for`"
        if self.every == 0:
            yield "`every` is longer than nothing"
        struck = {target.role for target in self.named()}
        allowed = " or ".join(f"`{role}`" for role in nature.strikes)
        if not struck:
            yield f"{self.fault} strikes nobody: it needs {allowed}"
        for role in sorted(struck - {*nature.strikes}):
            yield f"{self.fault} strikes {allowed}, no `{role}`"
        if self.from_ is not None and not self.from_.named():
            yield "`from` names nobody"

    def _given(self, parameter: Parameter) -> Any:
        return self.from_ if parameter is Parameter.FROM else getattr(self, parameter.value)

    def value(self) -> drill.Step:
        fault = drill.Fault(
            self.fault,
            self.named(),
            self.daemon or "hacc-agent",
            self.direction or "",
            self.from_.named() if self.from_ is not None else (),
            self.percent or 0.0,
            self.every or 0.0,
            self.ahead or 0.0,
        )
        return drill.Step(self.at_, fault, self.for_)


class Subscribers(Node):
    """Mobile nodes that register through Foreign Agents, and send back the packets they get."""

    number: Annotated[int, Between(1, 100_000)]
    rate_hz: Annotated[float, Between(0.01, 1000, whole=False)] = Field(
        description="Packets a second to each of them."
    )
    registrations: Annotated[float, Between(1, 100_000, whole=False)] = Field(
        default=500.0, description="New ones a second, before the timeline begins."
    )
    renewals: Annotated[float, Between(0.1, 10_000, whole=False)] = Field(
        default=10.0,
        description="A second, of all of them: controllers and members always have requests.",
    )


class Expectation(Node):
    """Who does what when the timeline is over, before the rest is mended."""

    detected_within: Seconds | None = Field(
        default=None, description="From the first fault until a router tells of it."
    )
    leader: Annotated[Leader, BeforeValidator(one_of(*Leader))] = Field(
        default=Leader.ANY, description="The controller that decides: the one of before?"
    )
    struck: tuple[Name, ...] = Field(
        default=(), description="States that struck members may be in, as hacc-agent status says."
    )
    struck_serve: Annotated[bool | None, Field(strict=True)] = Field(
        default=None, description="Whether they have bindings."
    )


class OutageBudget(Node):
    """At most. Of those that lost a packet, from the last that passed to the next."""

    p50: Milliseconds | None = None
    p95: Milliseconds | None = None
    p99: Milliseconds | None = None
    max: Milliseconds | None = None

    def value(self) -> drill.OutageBudget:
        return drill.OutageBudget(self.p50, self.p95, self.p99, self.max)


class Budget(Node):
    """What it may cost."""

    outage: OutageBudget = Field(default=OutageBudget(), description="Of subscribers.")
    address_outage: OutageBudget = Field(
        default=OutageBudget(), description="Of each address that the controllers answer for."
    )
    bindings_lost: Count = 0
    bindings_doubled: Count = Field(default=0, description="Served by two members.")
    unregistered: Count = Field(default=0, description="Subscribers, at the end.")
    packets_doubled: Count | None = None


class DrillFile(Node):
    """A drill: what fails, what is expected, what it may cost."""

    title: Annotated[str, Field(min_length=1, max_length=80)]
    purpose: Annotated[str, Field(min_length=1)] = Field(
        description="Why, and what it shows: for who reads the report."
    )
    cluster: Name | None = Field(default=None, description="Where there is more than one.")
    subscribers: Subscribers
    timeline: Annotated[tuple[Step, ...], Field(min_length=1)]
    settle: Seconds = Field(
        default=3.0, description="After the last event of the timeline, while packets go on."
    )
    expect: Expectation = Expectation()
    budget: Budget = Budget()

    def value(self, name: str) -> drill.Drill:
        expect, budget, people = self.expect, self.budget, self.subscribers
        return drill.Drill(
            name,
            self.title,
            " ".join(self.purpose.split()),
            drill.Subscribers(people.number, people.rate_hz, people.registrations, people.renewals),
            tuple(sorted((step.value() for step in self.timeline), key=lambda step: step.at_s)),
            self.settle,
            self.cluster or "",
            drill.Expectation(
                expect.detected_within, expect.leader, expect.struck, expect.struck_serve
            ),
            drill.Budget(
                budget.outage.value(),
                budget.address_outage.value(),
                budget.bindings_lost,
                budget.bindings_doubled,
                budget.unregistered,
                budget.packets_doubled,
            ),
        )
