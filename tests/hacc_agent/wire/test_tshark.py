"""What we emit, Wireshark reads without a flaw, and reads in it what we meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from hacc_agent.wire import (
    AdvertisedChallenge,
    AgentAdvertisement,
    AgentSolicitation,
    Authentication,
    DynamicHomeAgentSubtype,
    ExtensionType,
    GeneralizedAuthentication,
    Message,
    MessageStringOrigin,
    MessageType,
    MobileNetworkCode,
    MobileNetworkSubtype,
    MobilityAgent,
    NetworkAccessIdentifier,
    PrefixLengths,
    RegistrationReply,
    RegistrationRequest,
    RegistrationRevocation,
    ReplyCode,
    RevocationAcknowledgement,
    RevocationSupport,
    TunnelData,
    TunnelReply,
)
from hacc_agent.wire.registry import AdvertisementExtensionType, GeneralizedSubtype
from tests.hacc_agent.wire.strategies import advertisements, messages
from tests.hacc_agent.wire.tshark import ICMP, datagram, decode, packet, run

FLAW = "_ws.malformed"
MANY = 400  # messages; tshark takes two seconds for them


def drawn_messages() -> list[Message]:
    """The same ones each time: a failure here must not come and go."""
    drawn: list[Message] = []

    @settings(max_examples=MANY, derandomize=True, database=None)
    @given(messages(plain=True))
    def draw(message: Message) -> None:
        drawn.append(message)

    draw()
    return drawn


def drawn_advertisements() -> list[AgentAdvertisement]:
    drawn: list[AgentAdvertisement] = []

    @settings(max_examples=MANY // 2, derandomize=True, database=None)
    @given(advertisements(plain=True))
    def draw(message: AgentAdvertisement) -> None:
        drawn.append(message)

    draw()
    return drawn


def fixed_fields(message: Message) -> dict[str, list[str]]:
    """What Wireshark should call the fields of the fixed part, and show in them."""
    match message:
        case RegistrationRequest():
            return {
                "mip.flags": [f"0x{message.flags:02x}"],
                "mip.life": [str(message.lifetime)],
                "mip.homeaddr": [str(message.home_address)],
                "mip.haaddr": [str(message.home_agent)],
                "mip.coa": [str(message.care_of_address)],
            }
        case RegistrationReply():
            return {
                "mip.code": [str(int(message.code))],
                "mip.life": [str(message.lifetime)],
                "mip.homeaddr": [str(message.home_address)],
                "mip.haaddr": [str(message.home_agent)],
            }
        case RegistrationRevocation():
            return {
                "mip.rev.reserved": [f"0x{message.reserved:02x}"],
                "mip.flags2": [f"0x{message.flags:04x}"],
                "mip.rev.a": [str(message.flags >> 15)],
                "mip.rev.i": [str(message.flags >> 14 & 1)],
                "mip.homeaddr": [str(message.home_address)],
                "mip.rev.hda": [str(message.home_domain)],
                "mip.rev.fda": [str(message.foreign_domain)],
                "mip.revid": [str(message.identifier)],
            }
        case RevocationAcknowledgement():
            return {
                "mip.ack.reserved": [f"0x{message.reserved:02x}"],
                "mip.ack.i": [str(message.flags >> 15)],
                "mip.homeaddr": [str(message.home_address)],
                "mip.revid": [str(message.identifier)],
            }
        case TunnelData():
            return {"mip.nattt.nexthdr": [str(message.next_header)]}


def extension_fields(message: Message) -> dict[str, list[str]]:
    there = () if isinstance(message, TunnelData) else message.extensions
    proofs = [e for e in there if isinstance(e, (Authentication, GeneralizedAuthentication))]
    supports = [e for e in there if isinstance(e, RevocationSupport)]
    return {
        "mip.ext.type": [str(int(extension.kind)) for extension in there],
        "mip.auth.spi": [f"0x{proof.spi:08x}" for proof in proofs],
        "mip.auth.auth": [proof.authenticator.hex() for proof in proofs],
        "mip.nai": [str(e) for e in there if isinstance(e, NetworkAccessIdentifier)],
        "mip.ext.rev.tstamp": [str(support.timestamp) for support in supports],
    }


ECHO = bytes.fromhex("4500001c0001000040010000c0a8640ac0a801020800f7ff00000000")
FIELDS = (
    FLAW, "mip.type", "mip.flags", "mip.life", "mip.homeaddr", "mip.haaddr", "mip.coa", "mip.code",
    "mip.rev.reserved", "mip.flags2", "mip.rev.a", "mip.rev.i", "mip.rev.hda", "mip.rev.fda",
    "mip.revid", "mip.ack.reserved", "mip.ack.i", "mip.nattt.nexthdr", "mip.ext.type",
    "mip.auth.spi", "mip.auth.auth", "mip.nai", "mip.ext.rev.tstamp",
)  # fmt: skip


def test_every_message_is_read_as_it_was_meant(tmp_path: Path) -> None:
    drawn = [*drawn_messages(), TunnelData(4, ECHO)]
    assert {message.kind for message in drawn} == set(MessageType)
    kinds = {kind for message in drawn for kind in extension_fields(message)["mip.ext.type"]}
    ours = {str(int(kind)) for kind in ExtensionType if kind is not ExtensionType.PADDING}
    assert ours <= kinds
    rows = decode(tmp_path, [datagram(message.to_bytes()) for message in drawn], FIELDS)
    for message, row in zip(drawn, rows, strict=True):
        expected = {
            "mip.type": [str(int(message.kind))],
            **fixed_fields(message),
            **extension_fields(message),
        }
        assert row[FLAW] == []
        assert {field: row[field] for field in expected} == expected


DISCOVERY_FIELDS = (
    FLAW, "icmp.type", "icmp.checksum.status", "icmp.mip.type", "icmp.mip.seq", "icmp.mip.life",
    "icmp.mip.flags", "icmp.mip.coa", "icmp.mip.prefixlength", "icmp.mip.challenge",
)  # fmt: skip
GOOD = "1"


def test_every_advertisement_is_read_as_it_was_meant(tmp_path: Path) -> None:
    drawn = drawn_advertisements()
    solicitation = AgentSolicitation()
    octets = [*[message.to_bytes() for message in drawn], solicitation.to_bytes()]
    packets = [packet(ICMP, message) for message in octets]
    *rows, asked = decode(tmp_path, packets, DISCOVERY_FIELDS)
    assert (asked["icmp.type"], asked["icmp.checksum.status"]) == (["10"], [GOOD])
    for message, row in zip(drawn, rows, strict=True):
        agents = [e for e in message.extensions if isinstance(e, MobilityAgent)]
        prefixes = [e for e in message.extensions if isinstance(e, PrefixLengths)]
        challenges = [e for e in message.extensions if isinstance(e, AdvertisedChallenge)]
        assert row[FLAW] == []
        assert (row["icmp.type"], row["icmp.checksum.status"]) == (["9"], [GOOD])
        assert row["icmp.mip.type"] == [str(int(e.kind)) for e in message.extensions]
        assert row["icmp.mip.seq"] == [str(agent.sequence) for agent in agents]
        assert row["icmp.mip.life"] == [str(agent.lifetime) for agent in agents]
        assert row["icmp.mip.flags"] == [f"0x{agent.flags:04x}" for agent in agents]
        assert row["icmp.mip.coa"] == [
            str(address) for agent in agents for address in agent.care_of_addresses
        ]
        assert row["icmp.mip.prefixlength"] == [
            str(length) for prefix in prefixes for length in prefix.lengths
        ]
        assert row["icmp.mip.challenge"] == [each.challenge.hex() for each in challenges]


@pytest.fixture(scope="module")
def named() -> dict[str, set[int]]:
    """The numbers that Wireshark has names for, by field."""
    numbers: dict[str, set[int]] = {}
    for line in run("-G", "values").splitlines():
        match line.split("\t"):
            case ["V", field, number, _] if "mip." in field:
                numbers.setdefault(field, set()).add(int(number, 0))
    return numbers


@pytest.mark.parametrize(
    ("field", "ours"),
    [
        ("mip.type", set(MessageType)),
        ("mip.code", set(ReplyCode) - {ReplyCode.INVALID_HOME_AGENT}),
        ("mip.ext.type", set(ExtensionType) - {ExtensionType.PADDING}),
        ("icmp.mip.type", set(AdvertisementExtensionType) - {38, 134}),
        ("mip.ext.dynha.subtype", set(DynamicHomeAgentSubtype)),
        ("mip.ext.msgstr.subtype", set(MessageStringOrigin)),
        ("mip.ext.mne.subtype", set(MobileNetworkSubtype)),
        ("mip.ext.mne.code", set(MobileNetworkCode)),
        ("mip.ext.auth.subtype", set(GeneralizedSubtype)),
        ("mip.ext.utrp.code", set(TunnelReply)),
    ],
)
def test_our_numbers_are_wiresharks(named: dict[str, set[int]], field: str, ours: set[int]) -> None:
    """But what is too new or too rare for it: code 194, padding, vendors in ICMP."""
    assert ours <= named[field]


def test_we_know_every_reply_code_that_wireshark_knows(named: dict[str, set[int]]) -> None:
    assert named["mip.code"] <= set(ReplyCode)
