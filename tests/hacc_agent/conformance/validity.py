"""RFC 5944, 3.8.2.1 and 3.8.2.3: what is checked, in order, and what is denied."""

from __future__ import annotations

from ipaddress import IPv4Address

from hacc_agent.config import (
    AnyHomeAgent,
    BadAuthenticator,
    Readings,
    ReservedBits,
)
from hacc_agent.engine.effects import Security
from hacc_agent.wire import (
    CriticalVendor,
    NetworkAccessIdentifier,
    NormalVendor,
    RequestFlags,
    UnknownExtension,
)
from tests.hacc_agent.conformance.rows import row
from tests.hacc_agent.conformance.scene import (
    ALICE,
    BOB,
    FHAE,
    MHAE,
    NODE,
    OLD,
    OWN,
    STRANGER,
    TRUSTED,
    UNTRUSTED,
    VIRTUAL,
    Scene,
    proven,
    sealed,
    security,
)

PROVEN_ONLY = Readings(bad_authenticator=BadAuthenticator.DENY_PROVEN)
STRICT_BITS = Readings(reserved_bits=ReservedBits.DENY)
CHECK_ALL = Readings(foreign_authentication_of_deregistrations=True)
NO_4433 = Readings(any_home_agent=AnyHomeAgent.DENY)
WRONG = security(0x101, "0")
WRONG_FOREIGN = security(0x200, "0")
BROADCAST = IPv4Address("255.255.255.255")


def spoiled(payload: bytes) -> bytes:
    """With its last octet changed: the authenticator's."""
    return payload[:-1] + bytes((payload[-1] ^ 1,))


@row("5944-1.8", "truncated-dropped", "A message that ends within an extension is discarded.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE)
    for cut in (0, 1, 23, len(payload) - 1):
        assert scene.send(payload[:cut]).silent


@row("5944-1.8", "unknown-below-128-dropped", "An extension that may not be skipped, unknown.")
def _(scene: Scene) -> None:
    unknown = UnknownExtension(77, b"x")
    assert scene.send(scene.request(NODE, before=(unknown,))).silent
    assert not scene.bindings()


@row("5944-1.8", "unknown-from-128-skipped", "An unknown extension that may be skipped is skipped.")
def _(scene: Scene) -> None:
    unknown = UnknownExtension(200, b"whatever")
    outcome = scene.register(NODE, before=(unknown,))
    assert outcome.code == 0
    assert outcome.extension(UnknownExtension) is None


@row("5944-3.8.2.1", "no-authorization-dropped", "No authorization-enabling extension: discarded.")
def _(scene: Scene) -> None:
    outcome = scene.send(scene.request(NODE)[:-22])
    assert (outcome.sent, outcome.alarms) == ([], [Security.NO_ASSOCIATION])


@row("5944-3.8.2.1", "no-association-dropped", "A mobile node without association: discarded.")
def _(scene: Scene) -> None:
    for unknown in (STRANGER, ALICE.__class__(ALICE.home, ALICE.security, b"x@nowhere")):
        outcome = scene.register(unknown)
        assert (outcome.sent, outcome.alarms) == ([], [Security.NO_ASSOCIATION])


@row("5944-3.8.2.1", "nobody-dropped", "Neither home address nor NAI: nobody has an association.")
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, home=IPv4Address(0))
    assert (outcome.sent, outcome.alarms) == ([], [Security.NO_ASSOCIATION])


@row(
    "5944-3.8.2.1",
    "bad-mhae-131-with-valid-fhae",
    "A bad Mobile-Home authenticator behind which a valid Foreign-Home one stands: MUST be 131.",
    readings=PROVEN_ONLY,
)
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, TRUSTED, security=WRONG)
    assert (outcome.code, outcome.alarms) == (131, [Security.MOBILE_AUTHENTICATOR])
    assert not scene.bindings()


@row(
    "5944-3.8.2.1",
    "bad-mhae-131-without-foreign-association",
    "A bad one from where no Foreign-Home association is: MAY be 131, and is.",
)
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, UNTRUSTED, security=WRONG)
    assert (outcome.code, outcome.alarms) == (131, [Security.MOBILE_AUTHENTICATOR])


@row(
    "5944-3.8.2.1",
    "bad-mhae-dropped-without-foreign-association",
    "The same, by the reading that answers only where the text obliges to.",
    readings=PROVEN_ONLY,
)
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, UNTRUSTED, security=WRONG)
    assert (outcome.sent, outcome.alarms) == ([], [Security.MOBILE_AUTHENTICATOR])


@row(
    "5944-3.8.2.1",
    "bad-mhae-dropped-with-bad-fhae",
    "Both authenticators bad, and an association with the Foreign Agent: neither case allows 131.",
)
def _(scene: Scene) -> None:
    payload = sealed(scene.request(NODE, security=WRONG), FHAE, WRONG_FOREIGN)
    outcome = scene.send(payload, TRUSTED)
    assert (outcome.sent, outcome.alarms) == ([], [Security.MOBILE_AUTHENTICATOR])


@row(
    "5944-3.8.2.1",
    "other-spi-131-signed-with-known-one",
    "An SPI that is not its own is a bad authenticator; the reply is signed with the known one.",
)
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, security=security(0x999, "b"))
    assert outcome.code == 131
    assert proven(outcome.sent[0].payload, MHAE, NODE.security)


@row(
    "5944-3.8.2.1",
    "bad-mhae-changes-nothing",
    "After a failed authenticator there is no further processing: the binding that is there stays.",
)
def _(scene: Scene) -> None:
    scene.register(NODE, UNTRUSTED)
    before = scene.table.digest()
    scene.deregister(NODE, TRUSTED, security=WRONG)
    assert scene.table.digest() == before


@row("5944-3.8.2.1", "bad-fhae-132", "A Foreign Agent with an association, a bad authenticator.")
def _(scene: Scene) -> None:
    outcome = scene.send(sealed(scene.request(NODE), FHAE, WRONG_FOREIGN), TRUSTED)
    assert (outcome.code, outcome.alarms) == (132, [Security.FOREIGN_AUTHENTICATOR])
    assert not scene.bindings()


@row("5944-3.8.2.1", "missing-fhae-132", "A Foreign Agent with an association, no authenticator.")
def _(scene: Scene) -> None:
    outcome = scene.send(scene.request(NODE), TRUSTED)
    assert (outcome.code, outcome.alarms) == (132, [Security.FOREIGN_AUTHENTICATOR])


@row("5944-3.8.2.1", "two-fhae-132", "Exactly one Foreign-Home authenticator, not two valid ones.")
def _(scene: Scene) -> None:
    assert TRUSTED.security is not None
    payload = sealed(scene.request(NODE), FHAE, TRUSTED.security)
    outcome = scene.send(sealed(payload, FHAE, TRUSTED.security), TRUSTED)
    assert (outcome.code, outcome.alarms) == (132, [Security.FOREIGN_AUTHENTICATOR])


@row(
    "5944-3.8.2.1",
    "fhae-before-mhae-132",
    "A Foreign-Home authenticator that does not cover the mobile node's own proves nothing.",
)
def _(scene: Scene) -> None:
    assert TRUSTED.security is not None
    bare = scene.request(NODE)[:-22]
    payload = sealed(sealed(bare, FHAE, TRUSTED.security), MHAE, NODE.security)
    assert scene.send(payload, TRUSTED).code == 132


@row(
    "5944-3.8.2.1",
    "fhae-without-association-dropped",
    "A Foreign-Home authenticator from where no association is: discarded, logged.",
)
def _(scene: Scene) -> None:
    payload = sealed(scene.request(NODE), FHAE, security(0x300, "3"))
    outcome = scene.send(payload, UNTRUSTED)
    assert (outcome.sent, outcome.alarms) == ([], [Security.FOREIGN_AUTHENTICATOR])


@row(
    "5944-3.8.1",
    "deregistration-without-fhae-accepted",
    "A deregistration: the Foreign-Home authenticator MAY go unchecked.",
)
def _(scene: Scene) -> None:
    scene.register(NODE, TRUSTED)
    assert scene.send(scene.request(NODE, NODE.home, 0), TRUSTED).code == 0
    assert not scene.bindings()


@row(
    "5944-3.8.1",
    "deregistration-without-fhae-132",
    "The same, by the reading that checks deregistrations like registrations.",
    readings=CHECK_ALL,
)
def _(scene: Scene) -> None:
    scene.register(NODE, TRUSTED)
    assert scene.send(scene.request(NODE, NODE.home, 0), TRUSTED).code == 132
    assert scene.bindings()


@row("5944-3.8.2.1", "order-131-before-133", "Authentication comes before the Identification.")
def _(scene: Scene) -> None:
    old = scene.timestamp(-1000)
    assert scene.register(NODE, security=WRONG, identification=old).code == 131


@row("5944-3.8.2.1", "order-133-before-132", "The Identification comes before the Foreign Agent.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE, identification=scene.timestamp(-1000))
    assert scene.send(payload, TRUSTED).code == 133


@row("5944-3.8.2.1", "order-132-before-134", "The Foreign Agent comes before the form.")
def _(scene: Scene) -> None:
    assert scene.send(scene.request(NODE, care_of=IPv4Address(0)), TRUSTED).code == 132


@row("5944-3.8.2.1", "order-134-before-136", "The form comes before the Home Agent.")
def _(scene: Scene) -> None:
    elsewhere = IPv4Address("192.0.2.1")
    payload = scene.request(NODE, care_of=IPv4Address(0), home_agent=elsewhere)
    assert scene.send(payload).code == 134


@row("5944-3.8.2.1", "order-136-before-129", "The Home Agent comes before the home address.")
def _(scene: Scene) -> None:
    elsewhere = IPv4Address("192.0.2.1")
    outcome = scene.register(ALICE, home=IPv4Address("198.19.127.1"), home_agent=elsewhere)
    assert outcome.code == 136


@row(
    "5944-3.8.2.1",
    "subnet-broadcast-136",
    "A request to the broadcast address of the home network: 136 with our unicast address.",
)
def _(scene: Scene) -> None:
    broadcast = IPv4Address("198.18.1.255")
    for to in (broadcast, BROADCAST):
        outcome = scene.send(scene.request(NODE, home_agent=broadcast), to=to)
        assert (outcome.code, outcome.reply.home_agent) == (136, VIRTUAL)
        assert outcome.sent[0].source == int(OWN)


@row("5944-3.8.3.2", "other-home-agent-136", "Another Home Agent's address: 136 with our own.")
def _(scene: Scene) -> None:
    outcome = scene.register(NODE, home_agent=IPv4Address("192.0.2.1"))
    assert (outcome.code, outcome.reply.home_agent) == (136, VIRTUAL)
    assert not scene.bindings()


@row(
    "5944-3.8.3.2",
    "any-home-agent-136",
    "All zeros or all ones are no unicast address of ours: 136, by the reading without RFC 4433.",
    readings=NO_4433,
)
def _(scene: Scene) -> None:
    for address in (IPv4Address(0), BROADCAST):
        outcome = scene.register(NODE, home_agent=address)
        assert (outcome.code, outcome.reply.home_agent) == (136, VIRTUAL)


@row("5944-3.8.3.2", "home-address-not-served-129", "A home address that cannot be supported: 129.")
def _(scene: Scene) -> None:
    assert scene.register(ALICE, home=IPv4Address("198.19.127.1")).code == 129
    assert not scene.bindings()


@row("5944-3.8.3.2", "home-address-of-another-129", "A home address that is somebody else's: 129.")
def _(scene: Scene) -> None:
    bob = ALICE.__class__(ALICE.home, ALICE.security, b"bob@example.net")
    taken = scene.register(bob).reply.home_address
    assert scene.register(ALICE, home=taken).code == 129
    assert len(scene.bindings()) == 1


@row(
    "5944-3.8.3.2",
    "home-address-assigned-elsewhere",
    "Who was assigned another home address since, by another member: the one that it says counts.",
)
def _(scene: Scene) -> None:
    first = scene.register(ALICE).reply.home_address  # the answer is lost
    second = IPv4Address("198.19.79.1")
    outcome = scene.register(ALICE, home=second)
    assert (outcome.code, outcome.reply.home_address) == (0, second)
    assert [row.home_address for row in scene.bindings()] == [int(second)]
    assert scene.register(BOB, home=first).code == 0


@row(
    "5944-3.8.3.2",
    "home-address-left-elsewhere",
    "Who leaves with an address that another member assigned has none here either.",
)
def _(scene: Scene) -> None:
    scene.register(ALICE)
    assert scene.register(ALICE, lifetime=0, home=IPv4Address("198.19.79.1")).code == 0
    assert not scene.bindings()
    assert scene.agent.assigned == 0


@row(
    "5944-3.8.3.2",
    "home-address-left-is-remembered",
    "An address in whose name somebody left a moment ago is assigned to nobody else yet.",
)
def _(scene: Scene) -> None:
    last = IPv4Address("198.19.64.1")  # of two
    assert scene.register(ALICE, lifetime=0, home=last).code == 0
    assert scene.register(BOB).reply.home_address != last
    carol = ALICE.__class__(ALICE.home, ALICE.security, b"carol@example.net")
    assert scene.register(carol).code == 130


@row("5944-3.3", "reserved-bits-ignored", "Bits r and x are ignored on reception.")
def _(scene: Scene) -> None:
    flags = RequestFlags.VAN_JACOBSON | RequestFlags.RESERVED
    assert scene.register(NODE, flags=flags).code == 0
    assert scene.bindings()[0].flags == 0


@row(
    "5944-3.8.2.3",
    "reserved-bits-134",
    "Non-zero bits in reserved fields: MUST be 134.",
    readings=STRICT_BITS,
)
def _(scene: Scene) -> None:
    for flag in (RequestFlags.VAN_JACOBSON, RequestFlags.RESERVED):
        assert scene.register(NODE, flags=flag).code == 134
    assert scene.register(NODE).code == 0


@row(
    "5944-3.8.2.3",
    "poorly-formed-extension-134",
    "An extension that may not be skipped, with a length that its RFC excludes: 134.",
)
def _(scene: Scene) -> None:
    bare = scene.request(NODE)[:-22] + bytes.fromhex("26 00 0002 0000")
    outcome = scene.send(sealed(bare, MHAE, NODE.security))
    assert outcome.code == 134


@row(
    "5944-3.8.2.3",
    "poorly-formed-unproven-131",
    "The same from who does not prove who it is: the authenticator comes first.",
)
def _(scene: Scene) -> None:
    bare = scene.request(NODE)[:-22] + bytes.fromhex("26 00 0002 0000")
    assert scene.send(sealed(bare, MHAE, WRONG)).code == 131


@row("5944-3.6.1.3", "two-mhae-134", "Two Mobile-Home authenticators.")
def _(scene: Scene) -> None:
    assert scene.send(sealed(scene.request(NODE), MHAE, NODE.security)).code == 134


@row("5944-3.3", "no-care-of-address-134", "A care-of address that is none.")
def _(scene: Scene) -> None:
    for address in (IPv4Address(0), BROADCAST):
        assert scene.send(scene.request(NODE, address)).code == 134


@row("2794-2", "nai-behind-mhae-134", "An NAI MUST stand before the Mobile-Home authenticator.")
def _(scene: Scene) -> None:
    nai = NetworkAccessIdentifier(b"alice@example.net").to_bytes()
    assert scene.send(scene.request(NODE) + nai).code == 134


@row("3115-2.1", "critical-vendor-of-mobile-node-140", "A CVSE that nobody here knows: 140.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, before=(CriticalVendor(9, 1, b"x"),)).code == 140


@row("3115-2.1", "critical-vendor-of-foreign-agent-141", "The same from the Foreign Agent: 141.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, TRUSTED, after=(CriticalVendor(9, 1, b"x"),)).code == 141


@row("3115-2.2", "normal-vendor-skipped", "An NVSE that nobody here knows is skipped.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, TRUSTED, after=(NormalVendor(9, 1, b"x"),)).code == 0


@row(
    "5944-3.4", "table-full-130", "No room for another mobile node: 130, never silence.", capacity=1
)
def _(scene: Scene) -> None:
    assert scene.register(OLD).code == 0
    assert scene.register(NODE).code == 130
    assert scene.register(OLD).code == 0


@row("5944-3.4", "capacity-130", "As many bindings as this router may have: 130.", max_bindings=1)
def _(scene: Scene) -> None:
    assert scene.register(OLD).code == 0
    assert scene.register(NODE).code == 130
    assert scene.deregister(NODE).code == 0


@row("5944-5.1", "prefix-and-suffix", "Associations with keyed MD5 of RFC 2002 are served too.")
def _(scene: Scene) -> None:
    outcome = scene.register(OLD)
    assert outcome.code == 0
    assert proven(outcome.sent[0].payload, MHAE, OLD.security)
    assert scene.register(OLD, security=security(0x103, "d")).code == 131


@row("5944-3.8.2.3", "denial-keeps-bindings", "A denial leaves the binding list as it is.")
def _(scene: Scene) -> None:
    scene.register(NODE)
    before = scene.table.digest()
    assert scene.register(NODE, TRUSTED, home_agent=IPv4Address("192.0.2.1")).code == 136
    assert scene.table.digest() == before


@row("5944-3.5.1", "authenticator-covers-every-octet", "Whatever octet is changed: never accepted.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE)
    for at in range(len(payload)):
        changed = payload[:at] + bytes((payload[at] ^ 0x80,)) + payload[at + 1 :]
        outcome = scene.send(changed)
        assert outcome.code in (None, 131)
    assert not scene.bindings()
    assert scene.send(payload).code == 0
