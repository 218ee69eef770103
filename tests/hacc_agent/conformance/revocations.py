"""RFC 3543: revocation, both ways."""

from __future__ import annotations

from hacc_agent.config import AgentConfig
from hacc_agent.engine.effects import Endpoint, Security
from hacc_agent.engine.record import Kind, Trait
from hacc_agent.wire import (
    AcknowledgementFlags,
    RegistrationRevocation,
    RequestFlags,
    RevocationAcknowledgement,
    RevocationFlags,
    RevocationSupport,
    RevocationSupportFlags,
)
from tests.hacc_agent.conformance.rows import row
from tests.hacc_agent.conformance.scene import (
    ALICE,
    FHAE,
    LINK,
    MHAE,
    NODE,
    OWN,
    START,
    THIRD,
    TRUSTED,
    UNTRUSTED,
    VIRTUAL,
    Mobile,
    Outcome,
    Scene,
    proven,
    sealed,
    security,
)

assert TRUSTED.security is not None
KEY = TRUSTED.security
INFORM = RevocationSupportFlags.INFORM
D = int(RequestFlags.DECAPSULATION)
TIMESTAMP = 5000  # of the Foreign Agent's clock
SUPPORT = RevocationSupport(TIMESTAMP, INFORM)


def agreed(scene: Scene, mobile: Mobile = NODE, **more: object) -> Outcome:
    """A registration that both ends may revoke."""
    return scene.register(mobile, TRUSTED, after=(SUPPORT,), **more)  # type: ignore[arg-type]  # keywords of any kind


def revoked_by_agent(
    scene: Scene,
    identifier: int = TIMESTAMP + 1,
    flags: RevocationFlags = RevocationFlags.INFORM,
    key: object = KEY,
    mobile: Mobile = NODE,
) -> Outcome:
    message = RegistrationRevocation(flags, mobile.home, VIRTUAL, TRUSTED.address, identifier)
    payload = sealed(message.to_bytes(), FHAE, key)  # type: ignore[arg-type]  # a Security
    return scene.send(payload, TRUSTED)


def revocation(outcome: Outcome) -> RegistrationRevocation:
    message = outcome.message
    assert isinstance(message, RegistrationRevocation)
    return message


def acknowledged(scene: Scene, message: RegistrationRevocation, key: object = KEY) -> Outcome:
    ack = RevocationAcknowledgement(
        AcknowledgementFlags.INFORM, message.home_address, message.identifier
    )
    return scene.send(sealed(ack.to_bytes(), FHAE, key), TRUSTED)  # type: ignore[arg-type]  # a Security


@row("3543-4.2.1", "agreed", "Support asked under a Foreign-Home authenticator: granted likewise.")
def _(scene: Scene) -> None:
    outcome = agreed(scene)
    granted = outcome.extension(RevocationSupport)
    assert (granted.timestamp, granted.flags) == (int(START), INFORM)
    kinds = [each.kind for each in outcome.reply.extensions]
    assert kinds.index(MHAE) < kinds.index(granted.kind) < kinds.index(FHAE)
    (binding,) = scene.bindings()
    assert binding.traits & Trait.REVOCABLE
    assert binding.traits & Trait.INFORM
    assert binding.revocation == TIMESTAMP


@row("3543-3.2", "inform-not-offered", "The I bit is not set where the other end did not.")
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, TRUSTED, after=(RevocationSupport(TIMESTAMP),))
    assert outcome.extension(RevocationSupport).flags == 0
    assert not scene.bindings()[0].traits & Trait.INFORM


@row("3543-3.2", "not-asked", "No support in the reply to a request without it.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, TRUSTED).extension(RevocationSupport) is None
    assert not scene.bindings()[0].traits & Trait.REVOCABLE


@row("3543-4.2.1", "no-association", "Without an association with the Foreign Agent: no support.")
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, UNTRUSTED, after=(SUPPORT,))
    assert (outcome.code, outcome.extension(RevocationSupport)) == (0, None)


@row("3543-3.2", "unprotected", "What stands behind the authenticator does not count.")
def _(scene: Scene) -> None:
    payload = sealed(scene.request(NODE), FHAE, KEY) + SUPPORT.to_bytes()
    outcome = scene.send(payload, TRUSTED)
    assert (outcome.code, outcome.extension(RevocationSupport)) == (0, None)


@row("3543-4.2.1", "not-of-a-mobile-node-behind-an-agent", "A mobile node that is not direct.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, UNTRUSTED, before=(SUPPORT,)).extension(RevocationSupport) is None


@row("3543-4.2.1", "direct", "A direct co-located mobile node may ask, under its own key.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE, THIRD.address, flags=D, before=(SUPPORT,))
    outcome = scene.send(payload, THIRD.address)
    kinds = [each.kind for each in outcome.reply.extensions]
    assert kinds == [RevocationSupport.kind, MHAE]


@row("3543-4.2.2.1", "revoked", "A bit set, addresses of the binding, an identifier, proven.")
def _(scene: Scene) -> None:
    agreed(scene)
    outcome = scene.revoke(NODE)
    message = revocation(outcome)
    assert message.flags == RevocationFlags.HOME_AGENT | RevocationFlags.INFORM
    assert message.home_address == NODE.home
    assert (message.home_domain, message.foreign_domain) == (VIRTUAL, TRUSTED.address)
    assert proven(outcome.sent[0].payload, FHAE, KEY)
    assert outcome.kinds[0] == Kind.UNBOUND
    assert not scene.bindings()


@row("3543-3.3", "revoked-through-the-controller", "Of a binding with the virtual address: to it.")
def _(scene: Scene) -> None:
    agreed(scene)
    (send,) = scene.revoke(NODE).sent
    assert (send.destination, send.source) == (Endpoint(int(VIRTUAL), 434, LINK), int(OWN))


@row("3543-3.3", "revoked-directly", "Of one with our own address: to the source of the request.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE, home_agent=OWN) + SUPPORT.to_bytes()
    scene.send(sealed(payload, FHAE, KEY), TRUSTED, to=OWN, link=0, port=5555)
    (send,) = scene.revoke(NODE).sent
    assert send.destination == Endpoint(int(TRUSTED.address), 434, 0)
    assert send.source == int(OWN)


@row("3543-3.2", "revoked-in-the-same-second", "Its identifier is later than our timestamp.")
def _(scene: Scene) -> None:
    told = agreed(scene).extension(RevocationSupport).timestamp
    assert revocation(scene.revoke(NODE)).identifier > told


@row("3543-4.2.2.1", "inform-not-wanted", "The I bit is ours to say, where that was agreed on.")
def _(scene: Scene) -> None:
    agreed(scene)
    assert revocation(scene.revoke(NODE, inform=False)).flags == RevocationFlags.HOME_AGENT


@row("3543-4.2.2.1", "inform-not-agreed", "And not set where it was not.")
def _(scene: Scene) -> None:
    scene.register(NODE, TRUSTED, after=(RevocationSupport(TIMESTAMP),))
    assert revocation(scene.revoke(NODE)).flags == RevocationFlags.HOME_AGENT


@row("3543-4.2.2.3", "revoked-direct", "A direct mobile node is told under its own key.")
def _(scene: Scene) -> None:
    scene.send(scene.request(NODE, THIRD.address, flags=D, before=(SUPPORT,)), THIRD.address)
    assert proven(scene.revoke(NODE).sent[0].payload, MHAE, NODE.security)


@row("3543-4.2", "revoked-silently", "Nobody is told of a binding without agreement; it ends.")
def _(scene: Scene) -> None:
    scene.register(NODE, TRUSTED)
    outcome = scene.revoke(NODE)
    assert (outcome.sent, scene.bindings()) == ([], [])


@row("3543-4.2.2.1", "revoked-one", "One care-of address of several.")
def _(scene: Scene) -> None:
    agreed(scene)
    scene.register(NODE, THIRD, flags=RequestFlags.SIMULTANEOUS)
    scene.revoke(NODE, care_of_address=int(TRUSTED.address))
    assert scene.care_of(NODE) == {THIRD.address}


@row(
    "3543-4.2.2.1",
    "repeated-with-backoff",
    "Until acknowledged: again after 1, 2, 4 ... s, never twice within a second, each anew.",
)
def _(scene: Scene) -> None:
    agreed(scene)
    messages = [revocation(scene.revoke(NODE))]
    times = [scene.elapsed]
    while scene.elapsed < 40:
        outcome = scene.wait(0.25)
        if outcome.sent:
            messages.append(revocation(outcome))
            times.append(scene.elapsed)
    assert times == [0, 1, 3, 7, 15, 31]
    identifiers = [message.identifier for message in messages]
    assert identifiers == sorted(set(identifiers))


@row("3543-4.2.2.1", "not-beyond-the-lifetime", "No more beyond the life of the binding.")
def _(scene: Scene) -> None:
    agreed(scene, lifetime=10)
    scene.revoke(NODE)
    assert len(scene.wait(1000).sent) == 3
    assert scene.agent.next_deadline() is None


@row("3543-3.5", "acknowledged", "An acknowledgement of the last identifier ends it.")
def _(scene: Scene) -> None:
    agreed(scene)
    message = revocation(scene.revoke(NODE))
    assert acknowledged(scene, message).silent
    assert not scene.wait(100).sent


@row("3543-3.5", "acknowledged-otherwise", "Other identifiers and wrong keys end nothing.")
def _(scene: Scene) -> None:
    agreed(scene)
    message = revocation(scene.revoke(NODE))
    forged = acknowledged(scene, message, security(0x200, "0"))
    assert forged.alarms == [Security.REVOCATION]
    other = RegistrationRevocation(
        message.flags, message.home_address, VIRTUAL, TRUSTED.address, message.identifier - 9
    )
    assert acknowledged(scene, other).silent
    assert scene.wait(2).sent


@row("3543-4.2.3.2", "by-foreign-agent", "A Foreign Agent's: the binding ends, acknowledged.")
def _(scene: Scene) -> None:
    agreed(scene)
    outcome = revoked_by_agent(scene)
    message = outcome.message
    assert isinstance(message, RevocationAcknowledgement)
    assert (message.home_address, message.identifier) == (NODE.home, TIMESTAMP + 1)
    assert message.flags == AcknowledgementFlags.INFORM
    assert proven(outcome.sent[0].payload, FHAE, KEY)
    assert outcome.sent[0].destination == Endpoint(int(VIRTUAL), 434, LINK)
    assert not scene.bindings()


@row("3543-3.4", "inform-not-asked", "No I bit in the answer to a revocation without one.")
def _(scene: Scene) -> None:
    agreed(scene)
    message = revoked_by_agent(scene, flags=RevocationFlags(0)).message
    assert isinstance(message, RevocationAcknowledgement)
    assert message.flags == 0


@row("3543-3.3", "unproven", "One without a valid authenticator is silently discarded.")
def _(scene: Scene) -> None:
    agreed(scene)
    outcome = revoked_by_agent(scene, key=security(0x200, "0"))
    assert (outcome.sent, outcome.alarms) == ([], [Security.REVOCATION])
    bare = RegistrationRevocation(
        RevocationFlags(0), NODE.home, VIRTUAL, TRUSTED.address, TIMESTAMP + 1
    )
    assert not scene.send(bare.to_bytes(), TRUSTED).sent
    assert not scene.send(sealed(bare.to_bytes(), MHAE, NODE.security), TRUSTED).sent
    assert scene.bindings()


@row("3543-3.5", "reflected", "Our own one, sent back to us, is discarded.")
def _(scene: Scene) -> None:
    agreed(scene)
    assert revoked_by_agent(scene, flags=RevocationFlags.HOME_AGENT).silent
    assert scene.bindings()


@row(
    "3543-4.2.3.2",
    "older-than-the-registration",
    "One that is not later than the registration, or than the last one, is a replay.",
)
def _(scene: Scene) -> None:
    agreed(scene)
    for identifier in (TIMESTAMP - 1, TIMESTAMP):
        outcome = revoked_by_agent(scene, identifier)
        assert (outcome.sent, outcome.alarms) == ([], [Security.REPLAY])
    assert scene.bindings()
    assert revoked_by_agent(scene, TIMESTAMP + 1).sent
    assert not revoked_by_agent(scene, TIMESTAMP + 1).sent


@row("3543-4.2.3.2", "timestamps-wrap", "32 bits of a clock: later is later, across their wrap.")
def _(scene: Scene) -> None:
    scene.register(NODE, TRUSTED, after=(RevocationSupport(0xFFFFFFF0),))
    assert revoked_by_agent(scene, 3).sent


@row(
    "3543-4.2.3.1",
    "repeated-by-foreign-agent",
    "Who did not hear the acknowledgement asks again, and is answered again.",
)
def _(scene: Scene) -> None:
    agreed(scene)
    assert revoked_by_agent(scene, TIMESTAMP + 1).sent
    for seconds in (1, 3, 7, 15, 31):
        scene.wait(seconds)
        assert revoked_by_agent(scene, TIMESTAMP + 1 + seconds).sent
    scene.wait(200)
    assert revoked_by_agent(scene, TIMESTAMP + 999).silent


@row("3543-4.2.3.2", "of-what-is-not-there", "Of no binding, or one that nobody agreed to revoke.")
def _(scene: Scene) -> None:
    assert revoked_by_agent(scene).silent
    scene.register(NODE, TRUSTED)
    assert revoked_by_agent(scene).silent
    assert scene.bindings()


@row("3543-4.2.3.2", "only-this-care-of-address", "The other bindings of the mobile node stay.")
def _(scene: Scene) -> None:
    agreed(scene)
    scene.register(NODE, THIRD, flags=RequestFlags.SIMULTANEOUS)
    assert revoked_by_agent(scene).sent
    assert scene.care_of(NODE) == {THIRD.address}


@row("3543-4.2", "registered-again", "After a revocation a mobile node may register again.")
def _(scene: Scene) -> None:
    agreed(scene)
    revoked_by_agent(scene)
    assert agreed(scene).code == 0


@row("3543-3.5", "registration-not-replayed", "But not by the request that was there before.")
def _(scene: Scene) -> None:
    payload = sealed(scene.request(NODE) + SUPPORT.to_bytes(), FHAE, KEY)
    assert scene.send(payload, TRUSTED).code == 0
    revoked_by_agent(scene)
    scene.wait(1)
    assert scene.send(payload, TRUSTED).code == 133


@row("3543-4.2.2", "revoked-by-nai", "A mobile node with an assigned address, like any other.")
def _(scene: Scene) -> None:
    home = agreed(scene, ALICE).reply.home_address
    outcome = scene.revoke(Mobile(home, ALICE.security))
    assert revocation(outcome).home_address == home
    assert isinstance(scene.config, AgentConfig)
