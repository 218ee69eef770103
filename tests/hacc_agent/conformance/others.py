"""RFC 4721: challenges and the AAA server; RFC 5177: mobile networks."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hacc_agent.engine.effects import Answer, Security, Verdict
from hacc_agent.engine.record import Kind, Network, Trait
from hacc_agent.wire import (
    Challenge,
    MobileNetworkAcknowledgement,
    MobileNetworkCode,
    MobileNetworkRequest,
    MobileNetworkSubtype,
    authenticate_chap,
    chap_authenticator,
)
from tests.hacc_agent.conformance.rows import row
from tests.hacc_agent.conformance.scene import (
    FHAE,
    MHAE,
    NODE,
    OF_AAA,
    OTHER_ROUTER,
    ROUTER,
    THIRD,
    TRUSTED,
    UNTRUSTED,
    Outcome,
    Scene,
    proven,
    sealed,
    security,
)

CHALLENGE = Challenge(bytes(range(16)))
SECRET = b"of carol"
ACCEPTED = Answer(Verdict.ACCEPTED, OF_AAA.security)
REJECTED = Answer(Verdict.REJECTED)
UNANSWERED = Answer(Verdict.UNANSWERED)


def chap(scene: Scene, mobile: object = OF_AAA, challenge: Challenge = CHALLENGE) -> bytes:
    """A request with a Mobile-AAA authenticator of SPI 2."""
    payload = scene.request(mobile, UNTRUSTED.address, before=(challenge,))  # type: ignore[arg-type]  # a Mobile
    return authenticate_chap(payload, SECRET, challenge.challenge)


@row("4721-3.4", "challenge-echoed", "A challenge comes back, behind the mobile node's proof.")
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, TRUSTED, before=(CHALLENGE,))
    kinds = [each.kind for each in outcome.reply.extensions]
    assert kinds == [MHAE, CHALLENGE.kind, FHAE]
    assert outcome.extension(Challenge) == CHALLENGE


@row("4721-3.4", "challenge-echoed-in-denial", "In a denial too.")
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, before=(CHALLENGE,), home_agent=IPv4Address("192.0.2.1"))
    assert (outcome.code, outcome.extension(Challenge)) == (136, CHALLENGE)


@row("4721-8", "aaa-asked", "SPI 2: the AAA server gets what RADIUS needs to judge it.")
def _(scene: Scene) -> None:
    payload = chap(scene)
    outcome = scene.send(payload)
    (question,) = outcome.questions
    assert (outcome.sent, question.nai, question.spi) == ([], OF_AAA.nai, 2)
    assert question.challenge == CHALLENGE.challenge
    judged = chap_authenticator(SECRET, question.preceding, question.challenge)
    assert question.authenticator == judged


@row("4721-3.4", "aaa-accepts", "Accepted: the association that comes with it proves the reply.")
def _(scene: Scene) -> None:
    (question,) = scene.send(chap(scene)).questions
    outcome = scene.answer(question.number, ACCEPTED)
    assert outcome.code == 0
    assert proven(outcome.sent[0].payload, MHAE, OF_AAA.security)
    assert len(scene.bindings()) == 1


@row("4721-3.4", "aaa-rejects-144", "Rejected, with an association to prove the reply: 144.")
def _(scene: Scene) -> None:
    (first,) = scene.send(chap(scene)).questions
    scene.answer(first.number, ACCEPTED)
    (second,) = scene.send(chap(scene)).questions
    outcome = scene.answer(second.number, REJECTED)
    assert (outcome.code, outcome.alarms) == (144, [Security.AAA_REJECTED])


@row("5944-3.8.2.1", "aaa-rejects-unknown", "Rejected, without any association: discarded.")
def _(scene: Scene) -> None:
    (question,) = scene.send(chap(scene)).questions
    outcome = scene.answer(question.number, REJECTED)
    assert (outcome.sent, outcome.alarms) == ([], [Security.AAA_REJECTED])


@row("4721-3.4", "aaa-silent", "No answer is no denial: the mobile node asks again, and so do we.")
def _(scene: Scene) -> None:
    payload = chap(scene)
    (question,) = scene.send(payload).questions
    assert scene.answer(question.number, UNANSWERED).silent
    assert scene.send(payload).questions


@row("4721-3.4", "aaa-never-answers", "A question nobody ever answers is forgotten.")
def _(scene: Scene) -> None:
    (question,) = scene.send(chap(scene)).questions
    assert not scene.wait(61).effects
    assert scene.answer(question.number, ACCEPTED).silent
    assert scene.agent.next_deadline() is None


@row("4721-3.4", "asked-once", "A retransmission while the server is asked is no second question.")
def _(scene: Scene) -> None:
    payload = chap(scene)
    (question,) = scene.send(payload).questions
    assert scene.send(payload).silent
    assert scene.answer(question.number, ACCEPTED).code == 0
    assert scene.answer(question.number, ACCEPTED).silent


@row(
    "4721-3.4",
    "all-authentications-carried-out",
    "Both authenticators: ours is checked first, then the server's, and both have to hold.",
)
def _(scene: Scene) -> None:
    payload = chap(scene, NODE)
    (question,) = scene.send(payload).questions
    outcome = scene.answer(question.number, REJECTED)
    assert (outcome.code, scene.bindings()) == (144, [])
    wrong = authenticate_chap(scene.request(NODE, security=security(0x101, "0")), SECRET)
    assert scene.send(wrong).code == 131
    assert scene.answer(scene.send(chap(scene, NODE)).questions[0].number, ACCEPTED).code == 0


@row(
    "4721-3.4",
    "without-server",
    "Without an AAA server a valid Mobile-Home one is enough.",
    radius=None,
)
def _(scene: Scene) -> None:
    assert scene.send(chap(scene, NODE)).code == 0


@row("4721-6", "aaa-before-mhae-134", "The Mobile-Home one MUST stand before the Mobile-AAA one.")
def _(scene: Scene) -> None:
    bare = scene.request(NODE, UNTRUSTED.address)[:-22]
    payload = sealed(authenticate_chap(bare, SECRET), MHAE, NODE.security)
    (question,) = scene.send(payload).questions
    assert scene.answer(question.number, ACCEPTED).code == 134


@row(
    "4721-3.4",
    "association-asked-for",
    "Known to the server alone: it is asked for the association.",
)
def _(scene: Scene) -> None:
    (question,) = scene.register(OF_AAA).questions
    assert (question.authenticator, question.nai) == (b"", OF_AAA.nai)
    assert scene.answer(question.number, ACCEPTED).code == 0
    renewed = scene.register(OF_AAA)
    assert (renewed.code, renewed.questions) == (0, [])


@row("4721-3.4", "association-of-another", "And has to hold: the server's word alone is no proof.")
def _(scene: Scene) -> None:
    (question,) = scene.register(OF_AAA, security=security(0x106, "0")).questions
    assert scene.answer(question.number, ACCEPTED).code == 131


@row("4721-3.4", "association-changed", "A key that was changed at the server is asked for again.")
def _(scene: Scene) -> None:
    (question,) = scene.register(OF_AAA).questions
    scene.answer(question.number, ACCEPTED)
    changed = security(0x106, "8")
    assert scene.register(OF_AAA, security=changed).code == 131
    scene.wait(11)
    (question,) = scene.register(OF_AAA, security=changed).questions
    assert scene.answer(question.number, Answer(Verdict.ACCEPTED, changed)).code == 0


@row("4721-3.4", "overtaken", "What was accepted while the server was asked counts.")
def _(scene: Scene) -> None:
    slow = chap(scene, NODE)
    (question,) = scene.send(slow).questions
    assert scene.register(NODE, THIRD).code == 0
    assert scene.answer(question.number, ACCEPTED).code == 133
    assert scene.care_of(NODE) == {THIRD.address}


# ---------------------------------------------------------------------- mobile networks

PART = IPv4Network("198.51.100.0/26")
EXPLICIT, IMPLICIT = (
    MobileNetworkSubtype.EXPLICIT_ACKNOWLEDGEMENT,
    MobileNetworkSubtype.IMPLICIT_ACKNOWLEDGEMENT,
)


def asking(*networks: str) -> list[MobileNetworkRequest]:
    """Prefixes with whatever bits there are behind them."""
    pairs = [network.split("/") for network in networks]
    return [MobileNetworkRequest(IPv4Address(prefix), int(length)) for prefix, length in pairs]


def told(outcome: Outcome) -> list[tuple[int, int, str]]:
    return [
        (each.subtype, each.code, f"{each.prefix}/{each.prefix_length}")
        for each in outcome.reply.extensions
        if isinstance(each, MobileNetworkAcknowledgement)
    ]


def routes(outcome: Outcome) -> list[tuple[str, bool]]:
    """Networks that came, and that went."""
    return [
        (f"{IPv4Address(each.network)}/{each.prefix_length}", bool(each.withdrawn))
        for each in outcome.records
        if isinstance(each, Network)
    ]


@row("5177-5", "explicit", "A network that the router names and may have: acknowledged, routed.")
def _(scene: Scene) -> None:
    outcome = scene.register(ROUTER, before=asking("198.51.100.0/26"))
    assert told(outcome) == [(EXPLICIT, MobileNetworkCode.SUCCESS, "198.51.100.0/26")]
    assert routes(outcome) == [("198.51.100.0/26", False)]
    assert scene.bindings()[0].traits & Trait.NETWORKS


@row("5177-5", "implicit", "Named by nobody: the networks of the configuration.")
def _(scene: Scene) -> None:
    outcome = scene.register(ROUTER)
    assert told(outcome) == [(IMPLICIT, MobileNetworkCode.SUCCESS, "198.51.100.0/24")]
    assert routes(outcome) == [("198.51.100.0/24", False)]


@row("5177-3", "invalid-prefix-length", "Bits behind the prefix, or no prefix: code 1.")
def _(scene: Scene) -> None:
    outcome = scene.register(ROUTER, before=asking("198.51.100.1/26", "0.0.0.0/0", "1.0.0.0/33"))
    assert [code for _, code, _ in told(outcome)] == [MobileNetworkCode.INVALID_PREFIX_LENGTH] * 3
    assert (outcome.code, routes(outcome)) == (0, [])


@row("5177-3", "unauthorized", "A network that is not this router's: code 2.")
def _(scene: Scene) -> None:
    for router in (ROUTER, NODE):
        outcome = scene.register(router, before=asking("203.0.113.0/24"))
        assert [code for _, code, _ in told(outcome)] == [MobileNetworkCode.UNAUTHORIZED]
        assert (outcome.code, routes(outcome)) == (0, [])


@row("5177-3", "held-by-another", "Any part of a network that another router holds: code 2.")
def _(scene: Scene) -> None:
    scene.register(ROUTER, before=asking("198.51.100.0/26"))
    outcome = scene.register(OTHER_ROUTER, before=asking("198.51.100.0/25", "198.51.100.128/25"))
    assert [code for _, code, _ in told(outcome)] == [2, 0]
    scene.deregister(ROUTER)
    outcome = scene.register(OTHER_ROUTER, before=asking("198.51.100.0/25", "198.51.100.128/25"))
    assert routes(outcome) == [("198.51.100.0/25", False)]


@row("5177-5", "renewed", "A renewal changes no route; what is not named any more goes.")
def _(scene: Scene) -> None:
    both = asking("198.51.100.0/26", "198.51.100.64/26")
    scene.register(ROUTER, before=both)
    assert routes(scene.register(ROUTER, before=both)) == []
    outcome = scene.register(ROUTER, THIRD, before=both[:1])
    assert routes(outcome) == [("198.51.100.64/26", True)]


@row("5177-5", "deregistered", "Networks end with the last binding of their router.")
def _(scene: Scene) -> None:
    scene.register(ROUTER, UNTRUSTED)
    scene.register(ROUTER, THIRD, flags=0x80)
    assert routes(scene.register(ROUTER, THIRD, 0)) == []
    assert routes(scene.register(ROUTER, UNTRUSTED, 0)) == [("198.51.100.0/24", True)]


@row("5177-5", "expired", "So they do when it expires, and when all expire at once.")
def _(scene: Scene) -> None:
    scene.register(ROUTER, UNTRUSTED, 100)
    scene.register(ROUTER, THIRD, 100, flags=0x80)
    outcome = scene.wait(102)
    assert routes(outcome) == [("198.51.100.0/24", True)] * 2
    assert set(outcome.kinds) == {Kind.UNBOUND, Kind.NETWORK}


@row("5177-5", "revoked", "And when it is revoked.")
def _(scene: Scene) -> None:
    scene.register(ROUTER)
    assert routes(scene.revoke(ROUTER)) == [("198.51.100.0/24", True)]


@row("5177-5", "restarted", "Networks are in the journal like bindings.")
def _(scene: Scene) -> None:
    scene.register(ROUTER)
    again = scene.restarted()
    assert routes(again.deregister(ROUTER)) == [("198.51.100.0/24", True)]


@row("5177-5", "retransmission", "A retransmission is told the same of its networks.")
def _(scene: Scene) -> None:
    payload = scene.request(ROUTER, before=asking("198.51.100.0/26"))
    payload = sealed(payload, FHAE, TRUSTED.security or ROUTER.security)
    first = told(scene.send(payload, TRUSTED))
    again = scene.send(payload, TRUSTED)
    assert (again.records, told(again)) == ([], first)
