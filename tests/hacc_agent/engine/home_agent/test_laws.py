"""Laws of a Home Agent, over conversations that nobody thought of.

Mobile nodes register, move, deregister, repeat themselves; old requests come back at any time;
time passes; bindings are revoked. After each step the laws hold, whatever the answer was.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hacc_agent.engine.record import Kind, Row, Trait
from hacc_agent.wire import MobileNetworkRequest, RevocationSupport, RevocationSupportFlags
from tests.hacc_agent.conformance.scene import (
    ALICE,
    BOB,
    NODE,
    NONCED,
    OLD,
    ROUTER,
    THIRD,
    TRUSTED,
    UNTRUSTED,
    VIRTUAL,
    Mobile,
    Outcome,
    Scene,
)

THIRD_NAI = Mobile(ALICE.home, ALICE.security, b"third@example.net")
# Alice, with addresses that this Home Agent assigns, and that another one does.
ALICE_HERE, ALICE_ELSEWHERE = (
    Mobile(IPv4Address(home), ALICE.security, ALICE.nai) for home in ("198.19.64.1", "198.19.79.1")
)
MOBILES = [NODE, OLD, NONCED, ROUTER, ALICE, BOB, THIRD_NAI, ALICE_HERE, ALICE_ELSEWHERE]
SUPPORT = RevocationSupport(5, RevocationSupportFlags.INFORM)
NETWORKS = [MobileNetworkRequest(IPv4Address("198.51.100.0"), length) for length in (24, 26)]
LIMIT = 3  # simultaneous bindings

steps = st.one_of(
    st.tuples(
        st.just("register"),
        st.sampled_from(MOBILES),
        st.sampled_from([UNTRUSTED, THIRD, TRUSTED]),
        st.sampled_from([0, 1, 5, 40, 1000, 65535]),
        st.sampled_from([0, 0x80, 0x02, 0x08, 0x05]),
        st.sampled_from(["new", "new", "new", "same", "old", "future"]),
        st.sampled_from(["care-of", "home"]),
    ),
    st.tuples(st.just("replay"), st.integers(0, 50)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3, 8, 30, 100])),
    st.tuples(st.just("revoke"), st.sampled_from(MOBILES)),
)


class Talk:
    """A scene, and what its peers remember."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.sent: list[tuple[bytes, Any]] = []
        self.nonces: dict[str, int] = {}
        self.last: dict[str, int] = {}

    def perform(self, step: tuple[Any, ...]) -> Outcome | None:
        match step:
            case ("register", mobile, agent, lifetime, flags, fresh, care_of):
                return self.register(mobile, agent, lifetime, flags, fresh, care_of)
            case ("replay", number) if self.sent:
                payload, agent = self.sent[number % len(self.sent)]
                return self.scene.send(payload, agent)
            case ("wait", seconds):
                return self.scene.wait(seconds)
            case ("revoke", mobile):
                return self.scene.revoke(mobile)
        return None

    def register(
        self, mobile: Mobile, agent: Any, lifetime: int, flags: int, fresh: str, care_of: str
    ) -> Outcome:
        scene = self.scene
        identification = scene.timestamp({"old": -60.0, "future": 5.0}.get(fresh, 0.0))
        if fresh == "same":
            identification = self.last.get(mobile.name, identification)
        elif mobile is NONCED:
            identification = self.nonces.get(mobile.name, 0) << 32 | identification & 0xFFFFFFFF
        self.last[mobile.name] = identification
        home = mobile.home if care_of == "home" and int(mobile.home) else agent.address
        outcome = scene.register(
            mobile,
            agent,
            lifetime,
            flags,
            care_of=home,
            identification=identification,
            before=NETWORKS[lifetime % 2 :] if mobile is ROUTER else (),
            after=(SUPPORT,) if agent is TRUSTED else (),
        )
        if outcome.sent:
            self.nonces[mobile.name] = outcome.reply.identification >> 32
        return outcome


def check(scene: Scene, accepted: Counter[int], outcome: Outcome | None) -> None:
    """What holds after every step."""
    rows = scene.bindings() + scene.bindings(Kind.CLOSED)
    table, agent = scene.table, scene.agent
    # One mobile node is bound to each home address (whom it was before may be remembered too), and
    # to not more care-of addresses than it may have.
    owners: dict[int, set[int]] = {}
    for row in scene.bindings():
        owners.setdefault(row.home_address, set()).add(row.nai)
    assert all(len(names) == 1 for home, names in owners.items() if home)
    held = Counter((row.home_address, row.nai) for row in scene.bindings())
    assert all(count <= LIMIT for count in held.values())
    # No Identification is accepted twice.
    for record in outcome.records if outcome else ():
        if (
            isinstance(record, Row)
            and record.kind == Kind.BINDING
            and not record.traits & Trait.NONCE  # a nonce goes into all rows of its mobile node
        ):
            accepted[record.identification] += 1
    assert not accepted or max(accepted.values()) == 1
    # Every binding ends within its lifetime, and a second for the granularity of the clock.
    assert all(row.expires + 1.5 > scene.now.steady for row in rows)
    # An address is taken as long as a row holds it.
    dynamic = {row.home_address for row in rows if row.traits & Trait.DYNAMIC}
    assert agent.assigned == len(dynamic)
    assert len(table) == len(rows)


def registers(mobile: Mobile, lifetime: int) -> tuple[Any, ...]:
    return "register", mobile, UNTRUSTED, lifetime, 0, "new", "care-of"


@settings(max_examples=300)
@given(st.lists(steps, min_size=5, max_size=30))
# Bob's address ends, Alice claims it, Bob comes back while he is remembered.
@example([registers(BOB, 1), ("wait", 3), registers(ALICE_HERE, 40), registers(BOB, 5)])
@example([registers(BOB, 1), ("wait", 3), registers(ALICE_HERE, 40), registers(BOB, 0)])
def test_conversation(script: list[tuple[Any, ...]]) -> None:
    talk = Talk()
    accepted: Counter[int] = Counter()
    for step in script:
        outcome = talk.perform(step)
        check(talk.scene, accepted, outcome)
        if step[0] == "replay" and outcome is not None:
            assert Kind.BINDING not in outcome.kinds
        if step[0] == "register" and talk.scene.accepted:
            talk.sent.append((talk.scene.accepted[-1], step[2]))


@settings(max_examples=150)
@given(st.lists(steps, min_size=3, max_size=25))
def test_journal_is_memory(script: list[tuple[Any, ...]]) -> None:
    """Restarted after any step, whatever it was, it is the same Home Agent."""
    talk = Talk()
    for step in script:
        talk.perform(step)
        again = talk.scene.restarted()
        assert again.table.digest() == talk.scene.table.digest()
        assert snapshot(again) == snapshot(talk.scene)
        assert again.agent.assigned == talk.scene.agent.assigned


@settings(max_examples=150)
@given(st.lists(steps.filter(lambda step: step[0] != "revoke"), max_size=20))
def test_restarted_equals_never_stopped(script: list[tuple[Any, ...]]) -> None:
    """What goes on after a restart answers like what never stopped, to the octet.

    But for which free address is next: turns are not in the journal.
    """
    stopped, steady = Talk(), Talk()
    names = [step for step in script if not (step[0] == "register" and not int(step[1].home))]
    for step in names:
        one, other = stopped.perform(step), steady.perform(step)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.records == other.records
            assert [each.payload for each in one.sent] == [each.payload for each in other.sent]
        stopped.scene = stopped.scene.restarted()


@settings(max_examples=150)
@given(st.lists(steps, min_size=3, max_size=25))
def test_columns_are_records(script: list[tuple[Any, ...]]) -> None:
    """Many records at once, as at a start, and a few at a time, as in service: the same."""
    talk = Talk()
    for step in script:
        talk.perform(step)
    at_once, one_by_one = talk.scene.restarted(), Scene()
    journal = talk.scene.journal
    for at in range(0, len(journal), 64):
        one_by_one.agent.apply(journal[at : at + 64])
    assert at_once.table.digest() == one_by_one.table.digest()
    assert at_once.agent.assigned == one_by_one.agent.assigned
    twice = talk.scene.restarted()
    twice.agent.apply(b"".join(snapshot(talk.scene)))
    assert twice.table.digest() == talk.scene.table.digest()


@settings(max_examples=200)
@given(st.binary(max_size=120), st.integers(0, 4), st.sampled_from([VIRTUAL, UNTRUSTED.address]))
def test_any_octets(noise: bytes, kind: int, to: IPv4Address) -> None:
    """No octets make it fail, and none that prove nothing make it change."""
    scene = Scene()
    first = bytes(((1, 3, 4, 7, 15)[kind],))
    outcome = scene.send(first + noise, to=to)
    assert not outcome.records
    assert not outcome.sent


@settings(max_examples=100)
@given(st.sampled_from(MOBILES), st.data())
def test_damaged_octets(mobile: Mobile, data: st.DataObject) -> None:
    """A good request with a part of it changed or lost is never accepted."""
    scene = Scene()
    payload = bytearray(scene.request(mobile, identification=0 if mobile is NONCED else None))
    at = data.draw(st.integers(0, len(payload) - 1))
    if data.draw(st.booleans()):
        payload[at] ^= data.draw(st.integers(1, 255))
    else:
        del payload[at:]
    scene.send(bytes(payload))
    assert not scene.bindings()


def snapshot(scene: Scene) -> set[bytes]:
    octets = b"".join(scene.agent.snapshot())
    return {octets[at : at + 64] for at in range(0, len(octets), 64)}
