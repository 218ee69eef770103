"""A run beside what its drill expects and may cost: each line one thing, one figure, one limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .drill import Drill, Leader, OutageBudget
from .measured import Measured, Outages
from .phases import detected_s


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a verdict."""

    what: str
    found: str
    limit: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """All of them."""

    drill: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def broken(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)


def judge(drill: Drill, measured: Measured) -> Verdict:
    """Whatever the file says nothing of is not judged; what was broken must be mended."""
    return Verdict(drill.name, tuple(_checks(drill, measured)))


def _checks(drill: Drill, found: Measured) -> Iterator[Check]:
    done = f"{len(found.struck)} of {len(drill.timeline)}"
    whole = len(found.struck) == len(drill.timeline) and not found.interrupted
    yield Check("steps of the timeline", done, "all of them", whole)
    yield Check(
        "what the drill broke", "mended" if found.restored else "left", "mended", found.restored
    )
    yield from _expected(drill, found)
    budget = drill.budget
    yield from _outages("subscribers' outage", found.subscribers, budget.outage)
    for name, outages in found.addresses.items():
        yield from _outages(f"{name}: outage", outages, budget.address_outage)
    unregistered = drill.subscribers.number - found.registered
    yield _at_most("bindings lost", found.bindings_lost, budget.bindings_lost)
    yield _at_most("bindings with two members", found.bindings_doubled, budget.bindings_doubled)
    yield _at_most("subscribers not registered", unregistered, budget.unregistered)
    if budget.packets_doubled is not None:
        yield _at_most("packets that came twice", found.packets.doubled, budget.packets_doubled)


def _expected(drill: Drill, found: Measured) -> Iterator[Check]:
    expect = drill.expect
    if expect.detected_within_s is not None:
        at = detected_s(found)
        took = None if at is None else at - found.struck[0].begin_s
        told = "never" if took is None else _ms(1000 * took)
        within = took is not None and took <= expect.detected_within_s
        yield Check("detected after", told, f"{_ms(1000 * expect.detected_within_s)}", within)
    if expect.leader is not Leader.ANY:
        before, after = found.before.leader, found.after.leader
        same = after is not None and after == before
        right = same if expect.leader is Leader.SAME else after is not None and not same
        told = f"{before or 'nobody'}, then {after or 'nobody'}"
        yield Check("who decides", told, f"the {expect.leader} one", right)
    for name in found.struck_members:
        member = found.after.member(name)
        if expect.struck:
            right = member.state in expect.struck
            yield Check(f"{name} is", member.state, " or ".join(expect.struck), right)
        if expect.struck_serve is not None:
            right = (member.bindings > 0) == expect.struck_serve
            limit = "some" if expect.struck_serve else "none"
            yield Check(f"{name} serves", f"{member.bindings} bindings", limit, right)


def _outages(what: str, found: Outages, limits: OutageBudget) -> Iterator[Check]:
    """Those that never came back are beyond every limit."""
    for name, value, limit in (
        ("50 %", found.p50_ms, limits.p50),
        ("95 %", found.p95_ms, limits.p95),
        ("99 %", found.p99_ms, limits.p99),
        ("longest", found.max_ms, limits.max),
    ):
        if limit is not None:
            told = _ms(value) + (f", {found.silent} for good" if found.silent else "")
            ok = value <= limit and not found.silent
            yield Check(f"{what}, {name}", told, _ms(limit), ok)


def _at_most(what: str, found: int, limit: int) -> Check:
    return Check(what, f"{found:,}", f"{limit:,}", found <= limit)


def _ms(value: float) -> str:
    return f"{value:,.0f} ms"
