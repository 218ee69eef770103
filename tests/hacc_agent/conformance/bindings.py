"""RFC 5944, 3.8.2.2 and 3.8.3, RFC 2794 and 4433: what an accepted request changes, the reply."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address

from hacc_agent.config import Assignment, Duplicate, Readings
from hacc_agent.engine.effects import Endpoint
from hacc_agent.engine.record import Kind
from hacc_agent.wire import (
    Authentication,
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    DynamicLayout,
    ExtensionType,
    NetworkAccessIdentifier,
    RequestFlags,
    UnknownExtension,
)
from tests.hacc_agent.conformance.rows import row
from tests.hacc_agent.conformance.scene import (
    ALICE,
    BOB,
    CONFIG,
    FHAE,
    LINK,
    MHAE,
    NODE,
    OLD,
    OWN,
    START,
    THIRD,
    TRUSTED,
    UNTRUSTED,
    VIRTUAL,
    Mobile,
    Scene,
    proofs,
    proven,
)

SIMULTANEOUS = int(RequestFlags.SIMULTANEOUS)
STRICT_ORDER = Readings(duplicate=Duplicate.DENY)
MEMBER_ASSIGNS = {"assignment": Assignment.ASSIGN}
ANY = (IPv4Address(0), IPv4Address("255.255.255.255"))


@row("5944-3.8.2.2", "registered", "An accepted request makes a binding, and is answered with 0.")
def _(scene: Scene) -> None:
    identification = scene.timestamp()
    outcome = scene.register(NODE, UNTRUSTED, 600, identification=identification)
    assert outcome.code == 0
    (binding,) = scene.bindings()
    assert binding.home_address == int(NODE.home)
    assert binding.care_of_address == int(UNTRUSTED.address)
    assert binding.identification == identification
    assert binding.expires == START + 600


@row("5944-3.8.2.2", "moved", "Without S bit all earlier bindings are removed.")
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED)
    outcome = scene.register(NODE, THIRD)
    assert outcome.kinds == [Kind.UNBOUND, Kind.BINDING]
    assert scene.care_of(NODE) == {THIRD.address}


@row("5944-3.8.2.2", "renewed", "The same care-of address again: one binding, a new lifetime.")
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED, 600)
    scene.wait(500)
    outcome = scene.register(NODE, UNTRUSTED, 600)
    assert (outcome.code, outcome.kinds) == (0, [Kind.BINDING])
    assert [row.expires for row in scene.bindings()] == [START + 1100]


@row("5944-3.8.2.2", "simultaneous", "With S bit the earlier bindings are retained.")
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED)
    scene.register(NODE, THIRD, flags=SIMULTANEOUS)
    assert scene.care_of(NODE) == {UNTRUSTED.address, THIRD.address}


@row("5944-3.8.2.2", "simultaneous-ended", "A request without S bit ends all but its own.")
def _(scene: Scene) -> None:
    for agent in (UNTRUSTED, THIRD, TRUSTED):
        scene.register(NODE, agent, flags=SIMULTANEOUS)
    assert len(scene.care_of(NODE)) == 3
    scene.register(NODE, THIRD)
    assert scene.care_of(NODE) == {THIRD.address}


@row("5944-3.8.2.3", "too-many-bindings-135", "One binding more than the limit: 135.")
def _(scene: Scene) -> None:
    for number in range(1, 4):
        care_of = IPv4Address(f"198.18.9.{100 + number}")
        assert scene.register(NODE, care_of=care_of, flags=SIMULTANEOUS).code == 0
    fourth = IPv4Address("198.18.9.200")
    assert scene.register(NODE, care_of=fourth, flags=SIMULTANEOUS).code == 135
    third = IPv4Address("198.18.9.103")
    assert scene.register(NODE, care_of=third, flags=SIMULTANEOUS).code == 0
    assert len(scene.bindings()) == 3


@row(
    "5944-3.8.3.2",
    "simultaneous-unsupported-1",
    "Simultaneous bindings unsupported: code 1, and the S bit has no effect.",
    simultaneous_bindings=1,
)
def _(scene: Scene) -> None:
    assert scene.register(NODE, UNTRUSTED).code == 1
    assert scene.register(NODE, THIRD, flags=SIMULTANEOUS).code == 1
    assert scene.care_of(NODE) == {THIRD.address}


@row("5944-3.8.2.2", "deregistered-one", "Lifetime 0: only the entry with this care-of address.")
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED)
    scene.register(NODE, THIRD, flags=SIMULTANEOUS)
    outcome = scene.register(NODE, UNTRUSTED, 0)
    assert (outcome.code, outcome.reply.lifetime) == (0, 0)
    assert scene.care_of(NODE) == {THIRD.address}


@row("5944-3.8.2.2", "deregistered-all", "Lifetime 0, care-of address the home address: all.")
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED)
    scene.register(NODE, THIRD, flags=SIMULTANEOUS)
    assert scene.deregister(NODE).code == 0
    assert not scene.bindings()


@row("5944-3.8.2.2", "deregistered-nothing", "A deregistration of what is not there is accepted.")
def _(scene: Scene) -> None:
    assert scene.deregister(NODE).code == 0
    assert scene.register(NODE, THIRD, 0).code == 0


@row(
    "5944-3.8.2.2",
    "deregistered-through-another",
    "The reply goes to the source of the request, whosever care-of address it was.",
)
def _(scene: Scene) -> None:
    scene.register(NODE, TRUSTED)
    payload = scene.request(NODE, TRUSTED.address, 0)
    outcome = scene.send(payload, THIRD, to=OWN, port=4711, link=0)
    assert outcome.sent[0].destination == Endpoint(int(THIRD.address), 4711, 0)
    assert not scene.bindings()


@row("5944-3.8.3.1", "at-home", "A mobile node at home deregisters from its home address.")
def _(scene: Scene) -> None:
    scene.register(NODE, TRUSTED)
    outcome = scene.send(scene.request(NODE, NODE.home, 0), NODE.home, to=OWN, link=0)
    assert outcome.code == 0
    assert outcome.sent[0].destination == Endpoint(int(NODE.home), 434, 0)
    assert [each.kind for each in proofs(outcome.message)] == [MHAE]


@row("5944-3.8.2.2", "lifetime-reduced", "A longer lifetime than allowed is reduced, and told.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, lifetime=60_000).reply.lifetime == 1800
    assert scene.register(ALICE, lifetime=60_000).reply.lifetime == 1200


@row("5944-3.8.2.2", "lifetime-never-increased", "The lifetime is at most what was asked for.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, lifetime=1).reply.lifetime == 1


@row(
    "5944-3.3",
    "infinite",
    "A lifetime of 65535 never ends, where that is granted.",
    lifetime_s=65535,
    nodes=(dataclasses.replace(CONFIG.nodes[0], lifetime_s=65535),),
)
def _(scene: Scene) -> None:
    assert scene.register(NODE, lifetime=65535).reply.lifetime == 65535
    scene.wait(70_000)
    assert scene.bindings()
    assert scene.register(NODE, lifetime=65534).reply.lifetime == 65534
    scene.wait(65_536)
    assert not scene.bindings()


@row("5944-3.8.2.2", "expired", "After its lifetime a binding is deleted.")
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED, 100)
    assert not scene.wait(99).records
    outcome = scene.wait(2.5)
    assert outcome.kinds == [Kind.UNBOUND]
    assert not scene.bindings()


@row("5944-3.8.2.2", "expired-one", "Each binding has a lifetime of its own.")
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED, 100)
    scene.register(NODE, THIRD, 200, flags=SIMULTANEOUS)
    scene.wait(150)
    assert scene.care_of(NODE) == {THIRD.address}


@row(
    "5944-3.8.2.2",
    "duplicate-answered",
    "The request accepted last, again: the same answer, and no longer a lifetime.",
)
def _(scene: Scene) -> None:
    payload = scene.request(NODE, UNTRUSTED.address, 600)
    first = scene.send(payload)
    before = scene.table.digest()
    scene.wait(3)
    again = scene.send(payload)
    assert (again.code, again.records, again.reply.lifetime) == (0, [], 597)
    assert again.reply.identification == first.reply.identification
    assert scene.table.digest() == before


@row(
    "5944-5.7.1",
    "duplicate-133",
    "The same, by the reading that each Identification has to be greater than all before.",
    readings=STRICT_ORDER,
)
def _(scene: Scene) -> None:
    payload = scene.request(NODE, UNTRUSTED.address, 600)
    assert scene.send(payload).code == 0
    assert scene.send(payload).code == 133
    assert [row.expires for row in scene.bindings()] == [START + 600]


@row("5944-3.8.2.2", "duplicate-deregistration", "A deregistration whose reply was lost, again.")
def _(scene: Scene) -> None:
    scene.register(NODE)
    payload = scene.request(NODE, NODE.home, 0)
    assert scene.send(payload).code == 0
    scene.wait(2)
    again = scene.send(payload)
    assert (again.code, again.records) == (0, [])


@row("5944-3.8.3.1", "answered-where-it-came-from", "Addresses and ports of the reply: swapped.")
def _(scene: Scene) -> None:
    outcome = scene.send(scene.request(NODE), THIRD, to=OWN, port=5000, link=0)
    (send,) = outcome.sent
    assert send.destination == Endpoint(int(THIRD.address), 5000, 0)
    assert send.source == int(OWN)


@row(
    "5944-3.8.3.1",
    "answered-by-the-controller",
    "Relayed to the virtual address: answered to that, from our own, by the same neighbour (P7).",
)
def _(scene: Scene) -> None:
    (send,) = scene.register(NODE).sent
    assert send.destination == Endpoint(int(VIRTUAL), 434, LINK)
    assert send.source == int(OWN)


@row("5944-3.8.3.2", "home-address-copied", "A home address that is not zero is copied.")
def _(scene: Scene) -> None:
    assert scene.register(NODE).reply.home_address == NODE.home


@row("5944-3.8.3.2", "home-agent-copied", "A Home Agent field that is ours is copied.")
def _(scene: Scene) -> None:
    assert scene.register(NODE).reply.home_agent == VIRTUAL
    payload = scene.request(NODE, home_agent=OWN)
    assert scene.send(payload, THIRD, to=OWN, link=0).reply.home_agent == OWN


@row(
    "5944-3.8.3.3",
    "order-of-extensions",
    "NAI, Mobile-Home authenticator, Foreign-Home authenticator, each proven, in this order.",
)
def _(scene: Scene) -> None:
    outcome = scene.register(ALICE, TRUSTED)
    assert [each.kind for each in outcome.reply.extensions] == [
        ExtensionType.NETWORK_ACCESS_IDENTIFIER, MHAE, FHAE,
    ]  # fmt: skip
    payload = outcome.sent[0].payload
    assert proven(payload, MHAE, ALICE.security)
    assert TRUSTED.security is not None
    assert proven(payload, FHAE, TRUSTED.security)


@row("5944-3.8.3.3", "denials-are-proven-too", "Every reply has a Mobile-Home authenticator.")
def _(scene: Scene) -> None:
    outcome = scene.register(ALICE, TRUSTED, home_agent=IPv4Address("192.0.2.1"))
    payload = outcome.sent[0].payload
    assert proven(payload, MHAE, ALICE.security)
    assert TRUSTED.security is not None
    assert proven(payload, FHAE, TRUSTED.security)


@row("5944-3.8.3.3", "no-fhae-without-association", "No Foreign-Home authenticator without one.")
def _(scene: Scene) -> None:
    assert [each.kind for each in proofs(scene.register(NODE).message)] == [MHAE]


@row("2794-3", "nai-echoed", "The reply to a request with an NAI has it too.")
def _(scene: Scene) -> None:
    outcome = scene.register(ALICE)
    assert outcome.extension(NetworkAccessIdentifier).nai == ALICE.nai
    assert outcome.code == 0


@row("2794-3", "nai-echoed-in-denial", "So has a denial.")
def _(scene: Scene) -> None:
    outcome = scene.register(ALICE, identification=scene.timestamp(-1000))
    assert (outcome.code, outcome.extension(NetworkAccessIdentifier).nai) == (133, ALICE.nai)


@row("2794-3", "home-address-assigned", "Home address 0 and an NAI: one is assigned, and told.")
def _(scene: Scene) -> None:
    one, other = scene.register(ALICE).reply, scene.register(BOB).reply
    assert {one.home_address, other.home_address} == {
        IPv4Address("198.19.64.1"), IPv4Address("198.19.64.2"),
    }  # fmt: skip


@row("2794-3", "home-address-kept", "The same NAI gets the same home address wherever it moves.")
def _(scene: Scene) -> None:
    first = scene.register(ALICE).reply.home_address
    assert scene.register(ALICE, THIRD).reply.home_address == first
    assert scene.register(ALICE, THIRD, home=first).reply.home_address == first
    assert len(scene.bindings()) == 1


@row("2794-3", "home-address-alone", "An assigned home address is enough to know who it is.")
def _(scene: Scene) -> None:
    home = scene.register(ALICE).reply.home_address
    alone = Mobile(home, ALICE.security)
    outcome = scene.register(alone, THIRD)
    assert (outcome.code, outcome.reply.home_address) == (0, home)
    assert outcome.extension(NetworkAccessIdentifier) is None
    assert scene.care_of(alone) == {THIRD.address}


@row("2794-3", "home-address-brought-along", "A free address of the realm's pool may be claimed.")
def _(scene: Scene) -> None:
    elsewhere = IPv4Address("198.19.70.1")  # of another member's slice
    assert scene.register(ALICE, home=elsewhere).reply.home_address == elsewhere


@row("2794-3", "realm-in-any-case", "Realms are domain names: upper and lower case are one.")
def _(scene: Scene) -> None:
    assert scene.register(Mobile(ALICE.home, ALICE.security, b"alice@EXAMPLE.net")).code == 0


@row("5944-3.4", "pool-empty-130", "No home address left: 130; free again after the end.")
def _(scene: Scene) -> None:
    third = Mobile(ALICE.home, ALICE.security, b"third@example.net")
    home = scene.register(ALICE).reply.home_address
    scene.register(BOB)
    assert scene.register(third).code == 130
    assert scene.deregister(ALICE, home=home).code == 0
    assert scene.register(third).code == 130  # its last Identification still counts
    scene.wait(20)
    assert scene.register(third).reply.home_address == home


@row(
    "5944-3.4",
    "no-pool-here-130",
    "A realm of which this member assigns no addresses: 130; who has one is served.",
    realms=(dataclasses.replace(CONFIG.realms[0], assigns=()),),
)
def _(scene: Scene) -> None:
    assert scene.register(ALICE).code == 130
    assert scene.register(ALICE, home=IPv4Address("198.19.64.77")).code == 0
    assert scene.register(ALICE, THIRD).reply.home_address == IPv4Address("198.19.64.77")


@row("4433-5.3.1", "home-agent-assigned", "All zeros or ones for Home Agent: the reply says which.")
def _(scene: Scene) -> None:
    for address in ANY:
        outcome = scene.register(ALICE, home_agent=address)
        assert (outcome.code, outcome.reply.home_agent) == (0, VIRTUAL)


@row(
    "4433-5.3.1",
    "member-assigned",
    "Who gets a Home Agent assigned gets this member's address.",
    **MEMBER_ASSIGNS,
)
def _(scene: Scene) -> None:
    for address in ANY:
        outcome = scene.register(ALICE, home_agent=address)
        assert (outcome.code, outcome.reply.home_agent) == (0, OWN)
    assert scene.bindings()[0].home_agent == int(OWN)
    renewed = scene.send(scene.request(ALICE, home_agent=OWN), THIRD, to=OWN, link=0)
    assert (renewed.code, renewed.reply.home_agent) == (0, OWN)


@row("4433-3.4.1", "requested-home-agent", "A Requested HA Extension, in both published forms.")
def _(scene: Scene) -> None:
    for layout in DynamicLayout:
        hint = DynamicHomeAgent(DynamicHomeAgentSubtype.REQUESTED, VIRTUAL, layout)
        outcome = scene.register(ALICE, home_agent=ANY[0], before=(hint,))
        assert (outcome.code, outcome.reply.home_agent) == (0, VIRTUAL)


@row("5944-3.5.4", "mobile-foreign-authenticator", "A Mobile-Foreign one is not the Home Agent's.")
def _(scene: Scene) -> None:
    foreign = Authentication(ExtensionType.MOBILE_FOREIGN_AUTHENTICATION, 0x400, bytes(16))
    assert scene.register(NODE, after=(foreign,)).code == 0


@row("5944-3.8.2", "broadcasts-ignored", "The B bit is ignored by who does not tunnel broadcasts.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, flags=RequestFlags.BROADCAST).code == 0
    assert not scene.bindings()[0].flags & RequestFlags.BROADCAST


@row("5944-1.10", "padding-and-more", "Unknown extensions of both ends are no matter.")
def _(scene: Scene) -> None:
    outcome = scene.register(OLD, TRUSTED, before=(UnknownExtension(250, b""),),
                             after=(UnknownExtension(251, b"y"),))  # fmt: skip
    assert outcome.code == 0


@row("5944-3.8.3.2", "assigned-to-nobody-else", "Who comes while another one leaves gets its own.")
def _(scene: Scene) -> None:
    first = scene.register(ALICE, lifetime=10).reply.home_address
    second = scene.register(BOB).reply.home_address
    scene.wait(30)
    assert first != second
    third = Mobile(ALICE.home, ALICE.security, b"third@example.net")
    assert scene.register(third).reply.home_address == first
