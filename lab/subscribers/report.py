"""What came of it: counts, codes, how long registrations took, what became of packets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from hacc_agent.wire import ReplyCode

from .latencies import Latencies
from .mobile_node import Answer, Ending
from .probes import Found

NAMED: Final = 10
"""How many of the nodes that are not what they want to be are named."""


@dataclass(slots=True)
class Tally:
    """Counts of a run, as it goes on."""

    requests: int = 0  # transmissions, repeated ones too
    retransmissions: int = 0
    registered: int = 0  # accepted: first, renewed, moved
    renewed: int = 0  # of these, by a node that was registered already
    deregistered: int = 0
    moves: int = 0
    denials: Counter[int] = field(default_factory=Counter)  # by code
    discarded: Counter[Ending] = field(default_factory=Counter)  # replies, by why
    unsent: int = 0  # datagrams that this machine did not take
    dropped: int = 0  # datagrams that came faster than we read them
    latencies: Latencies = field(default_factory=Latencies)

    def answered(self, answer: Answer) -> None:
        if answer.ending.discarded:
            self.discarded[answer.ending] += 1
        elif answer.ending is Ending.DENIED:
            self.denials[answer.code] += 1
        else:
            self.latencies.add(answer.seconds)
            if answer.lifetime:
                self.registered += 1
                self.renewed += answer.renewed
            else:
                self.deregistered += 1


@dataclass(frozen=True, slots=True)
class Unlike:
    """A mobile node that is not what it wants to be, and what it was told last."""

    node: str
    registered: bool
    last_code: int | None  # None: it never had an answer

    def __str__(self) -> str:
        state = "still registered" if self.registered else "not registered"
        why = "no answer" if self.last_code is None else told(self.last_code)
        return f"{state}: {self.node}: {why}"


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a run."""

    count: int  # mobile nodes
    agents: dict[str, int]  # Foreign Agent -> nodes registered through it, at the end
    seconds: float
    offered: float  # new registrations a second, asked for
    achieved: float  # accepted a second, from the first request to the last acceptance
    registered: int  # nodes, at the end
    unlike: tuple[Unlike, ...]  # nodes that are not what they want to be
    bindings_end: float  # s from now until the last binding ends by itself
    tally: Tally
    interrupted: bool = False
    packets: Found | None = None  # where there was traffic
    names: tuple[str, ...] = ()  # of the nodes, by their numbers

    def as_json(self) -> dict[str, Any]:
        tally, packets = self.tally, self.packets
        return {
            "nodes": self.count,
            "registered": self.registered,
            "foreign_agents": self.agents,
            "seconds": round(self.seconds, 3),
            "rate": {"offered": self.offered, "achieved": round(self.achieved, 1)},
            "accepted": {
                "registrations": tally.registered,
                "renewals": tally.renewed,
                "deregistrations": tally.deregistered,
            },
            "moves": tally.moves,
            "denials": {str(code): count for code, count in sorted(tally.denials.items())},
            "requests": tally.requests,
            "retransmissions": tally.retransmissions,
            "unsent": tally.unsent,
            "dropped": tally.dropped,
            "discarded": {why.value: count for why, count in tally.discarded.items()},
            "latency_ms": tally.latencies.as_json(),
            "packets": None if packets is None else packets.as_json(self.names.__getitem__),
            "unlike": [str(one) for one in self.unlike[:NAMED]],
            "bindings_end_s": round(self.bindings_end, 1),
            "interrupted": self.interrupted,
        }

    def lines(self) -> list[str]:
        """For a person."""
        tally, latencies = self.tally, self.tally.latencies
        found = [
            f"{self.registered} of {self.count} mobile nodes are registered, through "
            + ", ".join(f"{agent} ({visitors})" for agent, visitors in self.agents.items()),
            f"{tally.registered} registrations accepted in {self.seconds:.1f} s "
            f"({self.achieved:,.0f}/s, {self.offered:,.0f}/s offered): {tally.renewed} renewals, "
            f"{tally.moves} moves; {tally.deregistered} deregistrations",
        ]
        if latencies.count:
            found.append(f"latency in ms: {latencies}")
        found.append(f"{tally.requests} requests sent, {tally.retransmissions} of them again")
        found += [
            f"denied {count} times: {told(code)}" for code, count in sorted(tally.denials.items())
        ]
        found += [
            f"{count} replies discarded: {why.value}" for why, count in tally.discarded.items()
        ]
        if tally.unsent:
            found.append(f"{tally.unsent} datagrams did not leave this machine")
        if tally.dropped:
            found.append(f"{tally.dropped} datagrams came faster than they were read")
        if self.packets is not None:
            found += self.packets.lines(self.names.__getitem__)
        found += [str(one) for one in self.unlike[:NAMED]]
        if len(self.unlike) > NAMED:
            found.append(f"and {len(self.unlike) - NAMED} more")
        if self.registered:
            found.append(f"their bindings end by themselves within {self.bindings_end:.0f} s")
        return found


def told(code: int) -> str:
    """A code with its meaning."""
    known = {int(one): one.meaning for one in ReplyCode}
    return f"code {code}, {known.get(code, 'which no RFC names')}"
