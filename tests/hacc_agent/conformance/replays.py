"""RFC 5944, 5.7: replay protection by timestamps and by nonces."""

from __future__ import annotations

import dataclasses

from hacc_agent.engine.effects import Security
from hacc_agent.engine.record import Kind
from tests.hacc_agent.conformance.rows import row
from tests.hacc_agent.conformance.scene import (
    ALICE,
    LOW_32,
    NODE,
    NONCED,
    NTP,
    START,
    THIRD,
    TRUSTED,
    UNTRUSTED,
    Scene,
    security,
)


def nonce(identification: int) -> int:
    return identification >> 32


def synchronized(scene: Scene) -> int:
    """The nonce that the mobile node's next request has to carry."""
    outcome = scene.register(NONCED, identification=0x11111111_22222222)
    assert outcome.code == 133
    return nonce(outcome.reply.identification)


@row("5944-5.7.1", "timestamp-copied", "A valid timestamp is copied into the reply, all of it.")
def _(scene: Scene) -> None:
    identification = scene.timestamp()
    outcome = scene.register(NODE, identification=identification)
    assert outcome.reply.identification == identification


@row("5944-5.7.1", "too-old-133", "Farther in the past than the tolerance: 133.")
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, identification=scene.timestamp(-7.5))
    assert (outcome.code, outcome.alarms) == (133, [Security.REPLAY])


@row("5944-5.7.1", "too-new-133", "Farther in the future than the tolerance: 133.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, identification=scene.timestamp(7.5)).code == 133


@row("5944-5.7.1", "within-tolerance", "Just within the tolerance, on both sides.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, identification=scene.timestamp(-6.5)).code == 0
    assert scene.register(NODE, identification=scene.timestamp(6.5)).code == 0


@row(
    "5944-5.7.1",
    "tolerance-of-association",
    "Time tolerances belong to the association.",
    nodes=(
        dataclasses.replace(Scene().config.nodes[0], security=security(0x101, "b", tolerance_s=60)),
    ),
)
def _(scene: Scene) -> None:
    assert scene.register(NODE, identification=scene.timestamp(-55)).code == 0
    assert scene.register(NODE, identification=scene.timestamp(65)).code == 133


@row(
    "5944-5.7.1",
    "resynchronized",
    "In a 133 the low 32 bits are the request's, the high ones our time of day.",
)
def _(scene: Scene) -> None:
    stale = scene.timestamp(-3600)
    scene.wait(5)
    told = scene.register(NODE, identification=stale).reply.identification
    assert told & LOW_32 == stale & LOW_32
    assert nonce(told) == int(START + 5 + NTP)
    assert scene.register(NODE, identification=told + 1).code == 0


@row("5944-5.7.1", "not-greater-133", "Not greater than all that were accepted before: 133.")
def _(scene: Scene) -> None:
    earlier = scene.timestamp()
    assert scene.register(NODE, identification=scene.timestamp(1)).code == 0
    assert scene.register(NODE, identification=earlier).code == 133


@row(
    "5944-5.7.1",
    "delayed-duplicate-133",
    "A delayed request from before the move does not bring the old care-of address back.",
)
def _(scene: Scene) -> None:
    delayed = scene.request(NODE, UNTRUSTED.address)
    assert scene.register(NODE, THIRD).code == 0
    assert scene.send(delayed).code == 133
    assert scene.care_of(NODE) == {THIRD.address}


@row("5944-5.7.1", "greater-than-all-bindings", "All care-of addresses of a mobile node are one.")
def _(scene: Scene) -> None:
    first = scene.timestamp()
    second = scene.timestamp()
    assert scene.register(NODE, UNTRUSTED, flags=0x80, identification=second).code == 0
    assert scene.register(NODE, THIRD, flags=0x80, identification=first).code == 133


@row(
    "5944-5.7.1",
    "replayed-after-the-end-133",
    "A registration is not accepted again after its deregistration.",
)
def _(scene: Scene) -> None:
    payload = scene.request(NODE)
    scene.send(payload)
    scene.wait(1)
    scene.deregister(NODE)
    for _ in range(8):
        outcome = scene.send(payload)
        assert (outcome.code, outcome.alarms) == (133, [Security.REPLAY])
        scene.wait(1)
    assert not scene.bindings()


@row(
    "5944-5.7.1",
    "replayed-ahead-of-our-clock-133",
    "Nor as long as a timestamp ahead of our clock could be valid.",
)
def _(scene: Scene) -> None:
    payload = scene.request(NODE, identification=scene.timestamp(6.5))
    assert scene.send(payload).code == 0
    ended = scene.request(NODE, NODE.home, 0, identification=scene.timestamp(6.6))
    assert scene.send(ended).code == 0
    for _ in range(40):
        assert scene.send(payload).code == 133
        scene.wait(0.5)
    assert not scene.bindings(Kind.CLOSED)  # and then it is forgotten


@row("5944-5.7.1", "replayed-after-expiry-133", "Nor after its lifetime, if that was short.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE, lifetime=2)
    assert scene.send(payload).code == 0
    scene.wait(4)
    assert not scene.bindings()
    assert scene.send(payload).code == 133


@row("5944-5.7.1", "replayed-after-restart-133", "Nor after a restart from the journal.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE)
    scene.send(payload)
    scene.deregister(NODE)
    again = scene.restarted()
    assert again.send(payload).code == 133


@row(
    "5944-3.8.2.1",
    "context-of-the-spi",
    "The Identification is judged in the context of the SPI: a new association begins anew.",
)
def _(scene: Scene) -> None:
    scene.register(NODE, identification=scene.timestamp(5))
    scene.config = dataclasses.replace(
        scene.config,
        nodes=(dataclasses.replace(scene.config.nodes[0], security=security(0x777, "7")),),
    )
    again = scene.restarted()
    assert again.register(NODE, security=security(0x777, "7")).code == 0


@row("5944-5.7.2", "nonce-told", "Without a nonce: 133, and the reply provides one.")
def _(scene: Scene) -> None:
    outcome = scene.register(NONCED, identification=0x11111111_22222222)
    assert (outcome.code, outcome.reply.identification & LOW_32) == (133, 0x22222222)
    assert nonce(outcome.reply.identification) not in (0, 0x11111111)


@row("5944-5.7.2", "nonce-accepted", "With the nonce of the last reply: accepted, a new one told.")
def _(scene: Scene) -> None:
    first = synchronized(scene)
    outcome = scene.register(NONCED, identification=first << 32 | 1)
    assert (outcome.code, outcome.reply.identification & LOW_32) == (0, 1)
    second = nonce(outcome.reply.identification)
    assert second != first
    assert scene.register(NONCED, identification=second << 32 | 2).code == 0


@row("5944-5.7.2", "nonce-used-once", "A nonce that was used is not accepted again.")
def _(scene: Scene) -> None:
    first = synchronized(scene)
    payload = scene.request(NONCED, identification=first << 32 | 1)
    other = scene.request(NONCED, THIRD.address, identification=first << 32 | 2)
    assert scene.send(payload).code == 0
    assert scene.send(other).code == 133
    assert scene.care_of(NONCED) == {TRUSTED.address}


@row("5944-5.7.2", "nonce-self-synchronizing", "Every denial provides the nonce to be used next.")
def _(scene: Scene) -> None:
    synchronized(scene)
    for _ in range(3):
        told = nonce(scene.register(NONCED, identification=0x33333333 << 32).reply.identification)
        outcome = scene.register(NONCED, identification=told << 32 | 5)
        assert outcome.code == 0


@row(
    "5944-5.7.2",
    "nonce-not-taken-by-replays",
    "Who replays old requests does not invalidate the nonce that the mobile node holds.",
)
def _(scene: Scene) -> None:
    first = synchronized(scene)
    payload = scene.request(NONCED, identification=first << 32 | 1)
    second = nonce(scene.send(payload).reply.identification)
    scene.register(NONCED, identification=second << 32 | 2)
    held = nonce(scene.register(NONCED, identification=5).reply.identification)
    for _ in range(3):
        assert scene.send(payload).code == 133
    assert scene.register(NONCED, identification=held << 32 | 3).code == 0


@row("5944-5.7.2", "nonce-in-every-reply", "A denial for another reason has a new nonce as well.")
def _(scene: Scene) -> None:
    first = synchronized(scene)
    elsewhere = THIRD.address
    denied = scene.register(NONCED, identification=first << 32 | 1, home_agent=elsewhere)
    assert denied.code == 136
    second = nonce(denied.reply.identification)
    assert second != first
    assert scene.register(NONCED, identification=first << 32 | 2).code == 133
    assert scene.register(NONCED, identification=second << 32 | 3).code == 0


@row("5944-5.7.2", "nonce-of-the-duplicate", "A retransmission gets the nonce that it had got.")
def _(scene: Scene) -> None:
    payload = scene.request(NONCED, identification=synchronized(scene) << 32 | 1)
    first = scene.send(payload)
    again = scene.send(payload)
    assert (again.code, again.records) == (0, [])
    assert again.reply.identification == first.reply.identification


@row("5944-5.7.2", "nonce-of-all-bindings", "One nonce for all care-of addresses.")
def _(scene: Scene) -> None:
    told = synchronized(scene)
    for number, agent in enumerate((UNTRUSTED, THIRD, TRUSTED, UNTRUSTED)):
        outcome = scene.register(NONCED, agent, flags=0x80, identification=told << 32 | number + 10)
        assert outcome.code == 0
        told = nonce(outcome.reply.identification)
    assert len(scene.bindings()) == 3


@row(
    "5944-5.7.2",
    "nonce-told-again-is-remembered",
    "A nonce that a later denial tells again is waited for as long as one that is new.",
)
def _(scene: Scene) -> None:
    synchronized(scene)
    scene.wait(100)
    told = synchronized(scene)
    scene.wait(32)  # as long as a mobile node waits (3.6.3) that was denied several times
    assert scene.register(NONCED, identification=told << 32 | 1).code == 0


@row(
    "5944-5.7.2",
    "nonce-told-again-costs-nothing",
    "Who replays old requests makes nothing be written, as long as the nonce is remembered.",
)
def _(scene: Scene) -> None:
    synchronized(scene)
    for _ in range(10):
        assert scene.register(NONCED, identification=5).records == []
        scene.wait(5)


@row("5944-5.7.2", "nonce-survives-restart", "The nonce is in the journal.")
def _(scene: Scene) -> None:
    told = synchronized(scene)
    again = scene.restarted()
    assert again.register(NONCED, identification=told << 32 | 1).code == 0


@row("5944-5.7.2", "nonce-after-the-end", "After the end an old request with a used nonce: 133.")
def _(scene: Scene) -> None:
    payload = scene.request(NONCED, identification=synchronized(scene) << 32 | 1)
    told = nonce(scene.send(payload).reply.identification)
    scene.register(NONCED, lifetime=0, care_of=NONCED.home, identification=told << 32 | 2)
    assert scene.send(payload).code == 133
    scene.wait(100)
    assert scene.send(payload).code == 133
    assert not scene.bindings()


@row("5944-5.7", "low-32-copied", "The low 32 bits are the request's in every reply.")
def _(scene: Scene) -> None:
    for more in ({}, {"security": security(0x100, "0")}, {"home_agent": THIRD.address}):
        identification = scene.timestamp()
        outcome = scene.register(ALICE, identification=identification, **more)
        assert outcome.reply.identification & LOW_32 == identification & LOW_32
