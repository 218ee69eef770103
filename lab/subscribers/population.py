"""Many mobile nodes on a few Foreign Agents, on one clock.

The same seed gives the same nodes, in the same order, starting and moving at the same moments to
the same agents; only what the network does with their datagrams differs. What is due is found by a
timing wheel, so that a population costs nothing while it is quiet.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hacc_agent.engine.effects import Moment
from hacc_agent.wire import AgentAdvertisement, parse_discovery

from .association import Subscription
from .foreign_agent import Effect, ForeignAgent, ToHomeAgent
from .mobile_node import Ending, MobileNode, Visited
from .report import Tally, Unlike
from .visitors import Visitor
from .wheel import TimingWheel


@dataclass(frozen=True, slots=True)
class Schedule:
    """When things happen, in seconds from the beginning."""

    rate: float  # nodes that start (or leave) each second
    move_every: float = 0.0  # each node; 0: nobody moves
    renewals: float = 0.0  # a second, one node after the other; 0: nobody renews before it has to


class Datagram(NamedTuple):
    """From the Foreign Agent of this number."""

    agent: int
    payload: bytes
    address: int
    port: int


class Population:
    """The nodes, where they are, and what is due when."""

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        agents: Sequence[ForeignAgent],
        schedule: Schedule,
        seed: int,
        begin: Moment,
    ) -> None:
        chance = random.Random(seed)
        self.agents = tuple(agents)
        self.tally = Tally()
        self.nodes = [MobileNode(one, chance.randbytes) for one in subscriptions]
        self.last_begun = self.last_accepted = begin.steady
        self._schedule = schedule
        self._begin = begin.steady
        # Chance for where and when comes from elsewhere than chance for Identifications: how many
        # of these are drawn depends on the network.
        whereabouts = random.Random(seed ^ 0x5EED)
        self._at = [whereabouts.randrange(len(agents)) for _ in self.nodes]
        self._whereabouts = whereabouts
        self._here = bytearray(len(self.nodes))  # which of them are on a link
        self._heard: list[Visited | None] = [None] * len(agents)
        self._begun = 0  # nodes that have come; when leaving, that have left
        self._leaving = False
        self._wheel: TimingWheel[int] = TimingWheel()
        self._moves: TimingWheel[int] = TimingWheel()
        self._armed: list[float | None] = [None] * len(self.nodes)
        self._out: list[Datagram] = []
        self._renews_at = begin.steady if schedule.renewals else float("inf")
        self._renews = 0  # the node that is next

    # What it is -----------------------------------------------------------------------------

    def registered(self, now: Moment) -> int:
        return sum(node.registered(now.steady) for node in self.nodes)

    @property
    def all_begun(self) -> bool:
        """Every node has sent its first request, or its last when they leave."""
        return self._begun == len(self.nodes)

    @property
    def under_way(self) -> bool:
        """Something is going to happen before anybody moves or renews."""
        return not self.all_begun or not all(node.settled for node in self.nodes)

    def through(self, now: Moment) -> dict[str, int]:
        """Foreign Agent -> nodes that are registered through it."""
        found = {str(agent.address): 0 for agent in self.agents}
        for node, at in zip(self.nodes, self._at, strict=True):
            found[str(self.agents[at].address)] += node.registered(now.steady)
        return found

    def unlike(self, now: Moment) -> Iterator[Unlike]:
        """The nodes that are not what they want to be: registered, or not any more."""
        wanted = not self._leaving
        for node in self.nodes:
            if node.registered(now.steady) != wanted:
                yield Unlike(str(node), not wanted, node.last_code)

    def visitor(self, agent: int, home_address: int) -> Visitor | None:
        """Who is registered through a Foreign Agent, and still on its link."""
        found = self.agents[agent].visitors.find(home_address)
        return found if found is not None and self._at[found.visitor] == agent else None

    def bindings_end(self, now: Moment) -> float:
        """Seconds until the last binding has ended by itself."""
        ends = (node.expires for node in self.nodes if node.expires is not None)
        return max(0.0, max(ends, default=now.steady) - now.steady)

    # What happens to it ---------------------------------------------------------------------

    def leave(self, now: Moment) -> None:
        """From now on the nodes deregister, in the order and at the rate in which they came.

        Those who have not come yet stay away.
        """
        self._leaving = True
        self._begin = self.last_begun = now.steady
        self._begun = 0

    def next_deadline(self) -> float:
        """When `advance` has something to do again, on the steady clock."""
        found = [agent.next_deadline for agent in self.agents]
        found += [
            d for d in (self._wheel.next_deadline, self._moves.next_deadline) if d is not None
        ]
        if not self.all_begun:
            found.append(self._begin + self._begun / self._schedule.rate)
        return min(*found, self._renews_at)

    def advance(self, now: Moment) -> list[Datagram]:
        """Whatever is due now."""
        for number, agent in enumerate(self.agents):
            if now.steady >= agent.next_deadline:
                advertised, effects = agent.handle_timer(now)
                if advertised:
                    self._advertised(number, advertised, now)
                self._perform(number, effects, now)
        for number in self._wheel.due(now.steady):
            node = self.nodes[number]
            if node.deadline is not None and node.deadline <= now.steady:
                self.tally.retransmissions += node.waiting
                self._sent(number, node.handle_timer(now), now)
        self._begin_due(now)
        self._move(now)
        self._renew(now)
        return self._flush()

    def receive(
        self, agent: int, payload: bytes, address: int, port: int, now: Moment
    ) -> list[Datagram]:
        """A datagram has come to a Foreign Agent."""
        self._perform(agent, self.agents[agent].receive(payload, address, port, now), now)
        return self._flush()

    def unreachable(self, agent: int, payload: bytes, code: int, now: Moment) -> list[Datagram]:
        """An ICMP error has come for a datagram that a Foreign Agent sent."""
        self._perform(agent, self.agents[agent].unreachable(payload, code, now), now)
        return self._flush()

    # How it is done -------------------------------------------------------------------------

    def _advertised(self, agent: int, octets: bytes, now: Moment) -> None:
        heard = parse_discovery(octets)
        assert isinstance(heard, AgentAdvertisement)
        visited = self._heard[agent] = Visited.of(heard)
        if visited is None:
            return
        for number, here in enumerate(self._here):
            if here and self._at[number] == agent:
                self._sent(number, self.nodes[number].hear(visited, now), now)

    def _begin_due(self, now: Moment) -> None:
        """Who comes or leaves now, by the rate."""
        passed = (now.steady - self._begin) * self._schedule.rate
        while self._begun < len(self.nodes) and self._begun <= passed:
            number = self._begun
            self._begun += 1
            self.last_begun = now.steady
            if self._leaving:
                self._leave(number, now)
                continue
            self._here[number] = 1
            self._arrive(number, now)
            if every := self._schedule.move_every:
                self._moves.set(now.steady + every * self._whereabouts.random(), number)

    def _leave(self, number: int, now: Moment) -> None:
        node = self.nodes[number]
        if node.registered(now.steady):
            self._sent(number, node.deregister(now), now)
        else:
            node.fall_silent()

    def _move(self, now: Moment) -> None:
        for number in self._moves.due(now.steady):
            if self._leaving:
                return
            self._moves.set(now.steady + self._schedule.move_every, number)
            if len(self.agents) > 1:
                step = self._whereabouts.randrange(1, len(self.agents))
                self._at[number] = (self._at[number] + step) % len(self.agents)
                self.tally.moves += 1
                self._arrive(number, now)

    def _renew(self, now: Moment) -> None:
        """One, when it is time; who could not be asked in time is not made up for."""
        if now.steady < self._renews_at or self._leaving:
            return
        self._renews_at = now.steady + 1 / self._schedule.renewals
        number = self._renews
        self._renews = (number + 1) % len(self.nodes)
        self._sent(number, self.nodes[number].renew(now), now)

    def _arrive(self, number: int, now: Moment) -> None:
        """A node comes to its link, where an advertisement has been heard already."""
        if (visited := self._heard[self._at[number]]) is not None:
            self._sent(number, self.nodes[number].hear(visited, now), now)

    def _sent(self, number: int, request: bytes, now: Moment) -> None:
        """A node speaks to its Foreign Agent, or has only set itself a deadline."""
        node = self.nodes[number]
        if request:
            self.tally.requests += 1
            agent = self._at[number]
            self._arm(number, node)
            self._perform(agent, self.agents[agent].request(request, number, now), now)
        else:
            self._arm(number, node)

    def _arm(self, number: int, node: MobileNode) -> None:
        deadline = node.deadline
        if deadline is not None and deadline != self._armed[number]:
            self._armed[number] = deadline
            self._wheel.set(deadline, number)

    def _perform(self, agent: int, effects: list[Effect], now: Moment) -> None:
        for effect in effects:
            if isinstance(effect, ToHomeAgent):
                self._out.append(Datagram(agent, effect.payload, effect.address, effect.port))
                continue
            number = effect.visitor
            if self._at[number] != agent:  # it has left the link: nobody hears this
                continue
            node = self.nodes[number]
            answer = node.receive(effect.payload, now)
            self.tally.answered(answer)
            if answer.ending.discarded:
                continue
            if answer.ending is Ending.ACCEPTED:
                self.last_accepted = now.steady
            self._arm(number, node)

    def _flush(self) -> list[Datagram]:
        out, self._out = self._out, []
        return out
