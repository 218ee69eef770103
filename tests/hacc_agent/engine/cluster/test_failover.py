"""Slots change hands: what is recorded, what is transferred, what is sent again, in which order."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from hacc_agent.config import Health as Limits
from hacc_agent.config import Link
from hacc_agent.engine.cluster.failover import AT_ONCE
from hacc_agent.engine.cluster.supervision import PORTION_S, STEADY_S, Supervision
from hacc_agent.engine.effects import Effect, Log, Relay, Release, Retract, Transfer
from hacc_agent.engine.health import RETURN_S, Change, Figures, Health, Order, Source, State
from hacc_agent.engine.record import ORDER, Kind, Name, OrderGiven, Row, SlotChange, rows
from tests.hacc_agent.engine.cluster.world import (
    CARE_OF,
    HOME,
    World,
    asked,
    configuration,
    reply,
    request,
)

NAI = b"mn7@example.net"
BACKUP = 2


class Guarded(World):
    """A controller that supervises two members and their backup."""

    def __init__(
        self, capacity: int = 256, link: Link | None = None, heard: tuple[int, ...] = (0, 1, BACKUP)
    ) -> None:
        config = configuration(health=Limits(100, 3, 5, 95, 3), link=link)
        super().__init__(config, capacity=capacity)
        self.health = Health(self.config, self.now)
        self.supervision = Supervision(self.config, lambda: self.cluster, self.health)
        self.beating = {*heard}
        self.figures: dict[int, Figures] = {}
        self.changes: list[Change] = []
        self.confirms = True
        self.follow(self.supervision.lead(0, self.now))
        for number in heard:  # as whoever lacks nothing does
            self.follow(self.supervision.confirmed(number, self.slots.epoch))
        self.wait(1)

    def wait(self, seconds: float) -> list[Effect]:
        """Heartbeats every 100 ms; members have at once what they are given."""
        effects: list[Effect] = []
        end = self.seconds + seconds
        while self.seconds < end - 1e-9:
            self.seconds = min(end, self.seconds + 0.1)
            for number in self.beating:
                self.health.heard(number, self.figures.get(number), self.now)
            acts = self.supervision.handle_timer(self.now)
            self.changes += acts.changes
            told = self.follow(list(acts.effects)) if acts.effects else []
            effects += told
            for effect in told:
                if isinstance(effect, Transfer) and self.confirms:
                    effects += self.confirm(effect)
            if told and self.cluster.next_deadline() == 0.0:
                effects += self.follow(self.cluster.handle_timer(self.now))
        return effects

    def confirm(self, transfer: Transfer) -> list[Effect]:
        return self.follow(self.supervision.confirmed(transfer.member, transfer.epoch))

    def kill(self, number: int) -> list[Effect]:
        self.beating.discard(number)
        return self.wait(0.5)

    def revive(self, number: int) -> list[Effect]:
        self.beating.add(number)
        return self.wait(RETURN_S + 0.5)

    def order(self, order: Order) -> None:
        """Of the first member."""
        self.follow(self.cluster.order(0, order))

    def register(self, number: int, to: int = 0) -> None:
        """A mobile node with a member of the test's choice."""
        self.cluster.weigh().base[:] = [each != to for each in range(3)]
        home = int(HOME) + number
        (chosen,) = asked(self.receive(request(1, home)))
        assert chosen == to
        self.answer(reply(1, home), chosen)

    def served(self) -> list[int]:
        """Slots of each member."""
        return [len(self.slots.served_by(each)) for each in range(3)]


def kinds(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def transferred(world: Guarded, transfer: Transfer) -> list[Row]:
    told = b"".join(world.cluster.bindings_of(transfer.slots))
    return [each for each in rows(told) if isinstance(each, Row)]


def test_a_failover_is_recorded_then_transferred_then_sent_again() -> None:
    world = Guarded()
    world.register(0)
    world.register(1, to=1)
    world.register(2)
    waiting = request(2, int(HOME) + 2)
    assert asked(world.receive(waiting)) == [0]
    effects = world.kill(0)
    assert kinds(effects) == ["Log", "Transfer", "Log", "Relay"]
    log, transfer, pending, relay = effects
    assert isinstance(log, Log)
    assert isinstance(transfer, Transfer)
    assert isinstance(pending, Log)
    assert isinstance(relay, Relay)
    changes = [each for each in rows(log.records) if isinstance(each, SlotChange)]
    assert [(change.slot, change.member) for change in changes] == [
        (slot, BACKUP) for slot in world.slots.home_slots(0)
    ]
    assert {change.epoch for change in changes} == {transfer.epoch}
    assert (transfer.member, list(transfer.slots)) == (BACKUP, list(world.slots.home_slots(0)))
    assert (relay.payload, relay.member) == (waiting, BACKUP)
    homes = [row.home_address - int(HOME) for row in transferred(world, transfer)]
    assert homes[0] == 2  # it waits for a reply, so its binding goes first
    assert sorted(homes[1:]) == [0, 2]


def test_an_heir_that_is_told_by_a_link_gets_requests_when_it_has_heard_it() -> None:
    """Before that it would accept what somebody else has accepted already."""
    world = Guarded(link=Link(43434, "authority.pem", "hacc1.pem", "hacc1.key"))
    world.register(0)
    world.register(1)
    waiting = request(2, int(HOME) + 1)
    assert asked(world.receive(waiting)) == [0]
    assert kinds(world.kill(0)) == ["Log", "Transfer"]
    assert not world.cluster.is_listening(BACKUP)
    asking = request(2, HOME)
    assert asked(world.receive(asking)) == []
    assert asked(world.receive(asking)) == []  # nor when it comes twice
    world.cluster.listens(BACKUP)
    assert world.cluster.next_deadline() == 0.0
    effects = world.follow(world.cluster.handle_timer(world.now))
    relayed = [effect for effect in effects if isinstance(effect, Relay)]
    assert {(each.payload, each.member) for each in relayed} == {
        (waiting, BACKUP),
        (asking, BACKUP),
    }
    world.answer(reply(2, HOME), BACKUP)
    assert asked(world.receive(request(3, HOME))) == [BACKUP]


def test_what_was_accepted_is_not_repeated_to_an_heir_that_does_not_know_it_yet() -> None:
    """By a clock that is ahead it is newer than the takeover: the heir would take it for new."""
    world = Guarded(link=Link(43434, "authority.pem", "hacc1.pem", "hacc1.key"))
    world.register(0)
    world.confirms = False
    transfer = next(each for each in world.kill(0) if isinstance(each, Transfer))
    world.cluster.listens(BACKUP)
    accepted = request(1, int(HOME))
    assert asked(world.receive(accepted)) == []
    assert world.cluster.counters.repeated == 1
    assert asked(world.receive(request(2, int(HOME)))) == [BACKUP]  # what is new is
    world.confirm(transfer)
    assert asked(world.receive(request(1, int(HOME), care_of=CARE_OF + 1))) == [BACKUP]


def test_a_repetition_that_waited_for_the_dead_is_not_sent_to_its_heir_by_a_timer() -> None:
    world = Guarded(link=Link(43434, "authority.pem", "hacc1.pem", "hacc1.key"))
    world.register(0)
    assert asked(world.receive(request(1, int(HOME)))) == [0]  # somebody repeats it
    world.confirms = False
    transfer = next(each for each in world.kill(0) if isinstance(each, Transfer))
    world.cluster.listens(BACKUP)
    assert asked(world.receive(request(1, int(HOME)))) == []  # nor when it comes once more
    assert asked(world.wait(4)) == []
    world.confirm(transfer)
    assert set(asked(world.wait(4))) <= {BACKUP}


def test_what_was_accepted_goes_to_nobody_else_when_its_member_is_down() -> None:
    """Its slot has not moved yet: nobody decides."""
    world = Guarded()
    world.register(0)
    world.cluster.set_available(0, False, world.now)
    assert set(asked(world.receive(request(1, int(HOME))))) <= {0}
    assert set(asked(world.receive(request(2, int(HOME))))) == {1}


def test_an_heir_that_never_hears_it_is_not_asked_and_not_blamed() -> None:
    world = Guarded(link=Link(43434, "authority.pem", "hacc1.pem", "hacc1.key"))
    world.register(0)
    world.kill(0)
    assert asked(world.receive(request(2, HOME))) == []
    for _ in range(20):
        world.seconds += 1
        assert asked(world.follow(world.cluster.handle_timer(world.now))) == []
    assert not world.waiting()
    assert world.cluster.silent[BACKUP] == 0
    world.follow(world.supervision.lead(0, world.now))  # in another term it would not listen
    assert world.cluster.is_listening(BACKUP)


def test_what_waits_is_looked_for_when_both_planes_have_been_switched() -> None:
    """However much that is: packets are not to wait for requests."""
    world = Guarded()
    for number in range(20):
        world.cluster.weigh().base[:] = [0, 1, 1]
        assert asked(world.receive(request(1, int(HOME) + number))) == [0]
    assert kinds(world.cluster.fail_over({0}, {1, BACKUP}, world.now)) == ["Log", "Transfer"]
    assert world.cluster.next_deadline() == 0.0
    assert asked(world.cluster.handle_timer(world.now)) == [BACKUP] * 20


def test_the_heir_answers_and_the_dead_is_not_listened_to() -> None:
    world = Guarded()
    world.register(0)
    world.receive(request(2, HOME))
    world.kill(0)
    world.answer(reply(2, HOME), 0)
    assert [row.identification for row in world.bindings()] == [1]
    world.answer(reply(2, HOME), BACKUP)
    (row,) = world.bindings()
    assert (row.identification, int(world.slots.member_of[row.slot])) == (2, BACKUP)


def test_names_go_with_bindings() -> None:
    world = Guarded()
    (chosen,) = asked(world.receive(request(1, HOME, nai=NAI)))
    world.answer(reply(1, HOME, nai=NAI), chosen)
    (transfer,) = [each for each in world.kill(chosen) if isinstance(each, Transfer)]
    told = list(rows(b"".join(world.cluster.bindings_of(transfer.slots))))
    assert [type(each) for each in told] == [Name, Row]


def test_a_storm_of_requests_is_sent_again_in_parts() -> None:
    world = Guarded(capacity=2 * AT_ONCE)
    for number in range(AT_ONCE + 10):
        world.cluster.weigh().base[:] = [0, 1, 1]
        assert asked(world.receive(request(1, int(HOME) + number))) == [0]
    effects = world.kill(0)
    assert len(asked(effects)) == AT_ONCE
    assert world.cluster.next_deadline() == 0.0
    assert len(asked(world.follow(world.cluster.handle_timer(world.now)))) == 10


def test_who_listens_from_now_on_is_asked_once_more_and_nobody_else_is() -> None:
    """A controller that takes over relays before its members have heard of its term."""
    world = Guarded()
    for number, member in enumerate((0, 0, 1)):
        world.cluster.weigh().base[:] = [each != member for each in range(3)]
        assert asked(world.receive(request(1, int(HOME) + number))) == [member]
    for _ in range(2):
        world.cluster.listens(0)
    assert world.cluster.next_deadline() == 0.0
    effects = world.follow(world.cluster.handle_timer(world.now))
    assert asked(effects) == [0, 0]
    world.answer(reply(1, HOME), 0)
    world.cluster.listens(0)
    assert asked(world.follow(world.cluster.handle_timer(world.now))) == [0]


def test_two_members_at_once_leave_everything_to_who_is_left() -> None:
    world = Guarded()
    world.register(0)
    world.register(1, to=1)
    world.beating -= {0, 1}
    world.wait(0.5)
    assert world.served() == [0, 0, 3 * 64]


def test_a_backup_that_dies_during_the_transfer_is_replaced() -> None:
    world = Guarded()
    world.register(0)
    world.confirms = False
    world.kill(0)
    assert world.served() == [0, 64, 128]
    (transfer,) = [each for each in world.kill(BACKUP) if isinstance(each, Transfer)]
    assert world.served() == [0, 192, 0]
    assert [row.home_address for row in transferred(world, transfer)] == [int(HOME)]


def test_the_last_member_keeps_its_slots() -> None:
    """Nobody could be better."""
    world = Guarded()
    world.kill(0)
    world.kill(1)
    before = world.served()
    world.beating.clear()
    world.wait(10)
    assert world.health.state(BACKUP) is State.DOWN
    assert world.served() == before


def test_who_comes_back_gets_nothing_in_a_rush_and_then_its_own() -> None:
    world = Guarded()
    world.register(0)
    world.kill(0)
    world.revive(0)
    assert world.health.state(0) is State.UP
    assert not [each for each in world.wait(STEADY_S - 5) if isinstance(each, Transfer)]
    assert world.supervision.candidates(world.now)[0].closed == (
        "its own slots are with another member"
    )
    effects = world.wait(10)
    assert world.served() == [64, 64, 64]
    given, released = [each for each in effects if isinstance(each, Transfer | Release)]
    assert (given.member, released.member) == (0, BACKUP)
    assert given.slots == released.slots
    assert world.supervision.candidates(world.now)[0].closed == ""


def test_a_bet_on_who_was_never_heard_ends_when_the_member_is_back() -> None:
    """It starts anew before any other was heard, and has its bindings again when it is up."""
    world = Guarded(heard=(0,))
    world.register(0)
    assert "Transfer" in kinds(world.kill(0))
    assert world.served()[0] == 0
    (transfer,) = (each for each in world.revive(0) if isinstance(each, Transfer))
    assert transfer.member == 0
    assert len(transferred(world, transfer)) == 1
    assert world.served()[0] == len(world.slots.home_slots(0))


def test_a_bet_that_was_won_stays() -> None:
    """The heir was heard before the member came back: that gets nothing in a rush."""
    world = Guarded(heard=(0,))
    world.kill(0)
    heir = int(world.slots.member_of[0])
    world.beating.add(heir)
    world.wait(1)
    world.revive(0)
    assert int(world.slots.member_of[0]) == heir


def test_a_drain_moves_portions_and_ends_in_maintenance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hacc_agent.engine.cluster.supervision.PORTION", 1)
    world = Guarded()
    for number in range(5):
        world.register(number)
    world.order(Order.DRAIN)
    first = [each for each in world.wait(0.5) if isinstance(each, Transfer)]
    assert len(first) == 1
    assert 0 < len(first[0].slots) < 64
    effects = world.wait(70 * PORTION_S)
    assert world.served() == [0, 64, 128]
    assert world.health.state(0) is State.MAINTENANCE
    released = [each.slots for each in effects if isinstance(each, Release)]
    assert sorted(slot for slots in released for slot in slots) == sorted(
        set(range(64)) - set(first[0].slots)
    )
    assert world.wait(2 * STEADY_S) == []  # nothing comes back without another order
    world.order(Order.UNDRAIN)
    world.wait(STEADY_S + 70 * PORTION_S)
    assert world.served() == [64, 64, 64]


def test_a_portion_waits_for_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hacc_agent.engine.cluster.supervision.PORTION", 1)
    world = Guarded()
    for number in range(3):
        world.register(number)
    world.confirms = False
    world.order(Order.DRAIN)
    (transfer,) = [each for each in world.wait(10) if isinstance(each, Transfer)]
    (released,) = [each for each in world.confirm(transfer) if isinstance(each, Release)]
    assert (released.member, released.slots) == (0, transfer.slots)
    assert [each for each in world.wait(1.5) if isinstance(each, Transfer)]


def test_an_order_to_fail_over_moves_a_member_that_lives_at_once() -> None:
    world = Guarded()
    world.register(0)
    world.order(Order.FAIL_OVER)
    effects = world.wait(0.2)
    assert world.served() == [0, 64, 128]
    assert [each.member for each in effects if isinstance(each, Release)] == [0]


def test_an_order_is_in_force_wherever_the_log_is() -> None:
    """On a controller that is started again, and on the standby, which judges by itself."""
    world = Guarded()
    world.register(0)
    world.order(Order.DRAIN)
    said = b"".join(world.cluster.snapshot())
    world.table, world.pending, world.slots, world.cluster = world.controller()
    world.health = Health(world.config, world.now)
    world.supervision = Supervision(world.config, lambda: world.cluster, world.health)
    world.cluster.apply(said, world.now)
    world.wait(1)
    assert world.health.state(0) is State.DRAINING
    assert world.served() == [64, 64, 64]  # it does not lead
    world.follow(world.supervision.lead(1, world.now))
    world.wait(1)
    assert world.served() == [0, 64, 128]
    assert world.health.state(0) is State.MAINTENANCE
    world.order(Order.UNDRAIN)
    world.wait(0.2)
    assert world.health.state(0) is State.UP


def test_what_was_ordered_while_nobody_led_is_in_the_log_of_who_leads() -> None:
    world = Guarded()
    world.cluster.order(1, Order.DRAIN)  # not yet in any log
    world.follow(world.supervision.lead(0, world.now))
    _, _, _, replica = world.replica
    assert replica.orders.of(1) == world.cluster.orders.of(1)


def test_the_same_order_given_twice_is_two_orders() -> None:
    """The second `undrain` forgives what happened after the first."""
    world = Guarded()
    for _ in range(2):
        for _ in range(4):
            world.kill(0)
            world.revive(0)
        assert world.health.state(0) is State.HELD
        world.order(Order.UNDRAIN)
        world.wait(0.2)
        assert world.health.state(0) is State.UP


def test_an_order_of_a_later_version_is_passed_over() -> None:
    world = Guarded()
    later = ORDER.pack(*OrderGiven(Kind.ORDER, 200, 0, 0, 7))
    world.follow([Log(later)])
    world.cluster.apply(later, world.now)
    assert world.cluster.orders.of(0) is None


def test_an_order_is_forgotten_with_the_log_that_it_was_in() -> None:
    """A standby is given the state of a controller that knows nothing of it."""
    world = Guarded()
    world.supervision.stand_back()
    world.cluster.order(0, Order.FAIL_OVER)
    world.wait(0.2)
    assert world.health.state(0) is State.MAINTENANCE
    world.table, world.pending, world.slots, world.cluster = world.controller()
    world.replica = world.controller()
    world.wait(0.2)
    assert world.health.state(0) is State.UP


def test_a_failing_member_is_relieved() -> None:
    world = Guarded()
    world.register(0)
    world.figures[0] = Figures(0, Source.LINK, world.seconds, cpu_percent=99.0)
    world.wait(13)
    assert world.health.state(0) is State.FAILING
    assert world.served() == [0, 64, 128]


def test_when_all_fail_nobody_is_relieved() -> None:
    world = Guarded()
    for number in range(3):
        world.figures[number] = Figures(number, Source.LINK, world.seconds, cpu_percent=99.0)
    world.wait(30)
    assert [world.health.state(number) for number in range(3)] == [State.FAILING] * 3
    assert world.served() == [64, 64, 64]
    assert not any(each.closed for each in world.supervision.candidates(world.now))


def test_a_controller_that_does_not_lead_moves_nothing() -> None:
    world = Guarded()
    world.supervision.stand_back()
    assert world.kill(0) == []
    assert world.served() == [64, 64, 64]
    world.follow(
        world.supervision.lead(1, world.now)
    )  # it becomes active: the states are as they are
    world.wait(0.2)
    assert world.served() == [0, 64, 128]


def test_every_term_is_above_all_before_it_and_nobody_elses() -> None:
    world = Guarded()
    epochs = [world.slots.epoch]
    for controller in (1, 0, 0, 1):
        world.follow(world.supervision.lead(controller, world.now))
        epochs.append(world.slots.epoch)
    assert epochs == sorted(set(epochs))


def test_a_term_is_above_those_that_its_controller_never_heard_of() -> None:
    one, other = World(), World()
    for _ in range(20):
        one.cluster.lead(0, one.now)
    other.seconds += 60
    other.cluster.lead(1, other.now)
    assert other.slots.epoch > one.slots.epoch


def test_a_clock_that_was_set_back_begins_no_term_in_the_past() -> None:
    world = World()
    world.cluster.lead(0, world.now)
    before = world.slots.epoch
    world.seconds -= 500
    world.cluster.lead(1, world.now)
    assert world.slots.epoch > before


def test_forged_requests_bring_nobody_down() -> None:
    world = Guarded()
    world.cluster.weigh().base[:] = [0, 1, 1]
    for number in range(20):
        forged = request(1, int(HOME) + number, spi=999)
        assert asked(world.receive(forged)) == [0]
    for _ in range(10):
        world.at(world.seconds + 1)
        world.wait(0.1)
    assert world.cluster.unanswered[0] >= 20
    assert world.health.state(0) is State.UP


def test_authentic_requests_without_an_answer_do() -> None:
    world = Guarded()
    world.cluster.weigh().base[:] = [0, 1, 1]
    for number in range(20):
        assert asked(world.receive(request(1, int(HOME) + number))) == [0]
    world.at(world.seconds + 2.5)
    world.wait(0.2)
    assert world.health.state(0) is State.DOWN
    assert world.changes[-1].reason == "8 authentic requests without an answer"


def test_all_that_supervision_decides_a_standby_knows() -> None:
    """`World.follow` compares after every effect; here the whole story, by its records alone."""
    world = Guarded()
    for number in range(4):
        world.register(number, to=number % 2)
    world.kill(0)
    world.revive(0)
    world.wait(STEADY_S + 10)
    world.kill(1)
    _, _, slots, replica = world.replica
    assert slots.epoch == world.slots.epoch
    assert replica.digest() == world.cluster.digest()
    assert [Kind(row.kind) for row in world.bindings()] == [Kind.BINDING] * 4


def test_who_has_no_slots_gets_no_mobile_nodes() -> None:
    """A member whose slots are all with others has none to put a new mobile node into."""
    world = Guarded()
    world.kill(0)
    world.revive(0)
    for number in range(20):
        (chosen,) = asked(world.receive(request(1, IPv4Address(int(HOME) + number))))
        assert chosen != 0


def test_an_address_that_is_anothers_is_not_passed_on_and_taken_back() -> None:
    """Its member began anew, and knows nothing of who has it since he was moved."""
    world = World()
    (first,) = asked(world.receive(request(1, 0, nai=NAI)))
    world.answer(reply(1, HOME, nai=NAI), first)
    (second,) = asked(world.receive(request(2, 0, nai=b"other@example.net")))
    (retract,) = world.answer(reply(2, HOME, nai=b"other@example.net"), second)
    assert isinstance(retract, Retract)
    name, bound = rows(retract.records)
    assert isinstance(name, Name)
    assert isinstance(bound, Row)
    assert (retract.member, bound.home_address, bound.nai) == (second, int(HOME), name.nai)
    (row,) = world.bindings()
    assert row.identification == 1
    assert world.cluster.counters.retracted == 1
    # It is asked again, and has another one by then.
    assert asked(world.at(world.seconds + 3)) == [second]
    world.answer(reply(2, int(HOME) + 1, nai=b"other@example.net"), second)
    assert sorted(row.home_address - int(HOME) for row in world.bindings()) == [0, 1]
    # The same mobile node may be told its own address again.
    (again,) = asked(world.receive(request(3, 0, nai=NAI)))
    world.answer(reply(3, HOME, nai=NAI), again)
    assert sorted(row.identification for row in world.bindings()) == [2, 3]


def test_a_cluster_that_was_made_anew_is_supervised_from_then_on() -> None:
    """A controller begins with empty tables when it follows another one, and takes over later."""
    world = Guarded()
    world.register(0)
    world.supervision.stand_back()
    world.kill(0)
    said = b"".join(world.cluster.snapshot())
    world.table, world.pending, world.slots, world.cluster = world.controller()
    world.cluster.apply(said, world.now)
    world.cluster.set_available(0, available=True, now=world.now)  # as it is at first
    world.follow(world.supervision.lead(0, world.now))
    assert "Transfer" in kinds(world.wait(0.2))
    assert world.served() == [0, 64, 128]
    assert asked(world.receive(request(2, HOME))) == [BACKUP]


@pytest.mark.parametrize("named", [True, False])
def test_a_member_without_slots_gets_nobody_even_before_it_is_weighed(named: bool) -> None:
    """A controller has just started with a log that says so, and has looked at nobody yet."""
    world = World()
    given = tuple((slot, 1) for slot in world.slots.home_slots(0))
    world.follow(world.cluster.move(given, world.now))
    nai = NAI if named else None
    assert asked(world.receive(request(1, 0 if named else HOME, nai=nai))) == [1]
