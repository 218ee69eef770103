"""Octets beside values, one case each, drawn by hand from the diagrams of the RFCs.

The id of a case is where its diagram is. What is refused comes with the refusal and its answer.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from hacc_agent.wire import (
    AcknowledgementFlags,
    AdvertisedChallenge,
    AgentAdvertisement,
    AgentFlags,
    AgentSolicitation,
    Authentication,
    Challenge,
    Corrupted,
    CriticalVendor,
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    DynamicLayout,
    EncapsulatingDelivery,
    Encapsulation,
    Extension,
    ExtensionType,
    ForeignAgentError,
    GeneralizedAuthentication,
    Message,
    MessageString,
    MessageStringOrigin,
    MobileNetworkAcknowledgement,
    MobileNetworkCode,
    MobileNetworkRequest,
    MobileNetworkSubtype,
    MobilityAgent,
    NetworkAccessIdentifier,
    NormalVendor,
    NotUnderstood,
    Padding,
    PoorlyFormed,
    PrefixLengths,
    RegistrationReply,
    RegistrationRequest,
    RegistrationRevocation,
    ReplyCode,
    RequestFlags,
    RevocationAcknowledgement,
    RevocationFlags,
    RevocationSupport,
    RevocationSupportFlags,
    RouterAddress,
    Truncated,
    TunnelData,
    TunnelReply,
    TunnelReplyFlags,
    TunnelRequestFlags,
    UdpTunnelReply,
    UdpTunnelRequest,
    Unencodable,
    UnknownExtension,
    WireError,
    parse,
    parse_discovery,
)

HOME = IPv4Address("192.0.2.10")
AGENT = IPv4Address("198.51.100.1")
CARE_OF = IPv4Address("203.0.113.7")
IDENTIFICATION = 0xCE22A5D5_F4C99770
REQUEST = "01 22 0708 c000020a c6336401 cb007107 ce22a5d5f4c99770"
REPLY = "03 00 0708 c000020a c6336401 ce22a5d5f4c99770"

MESSAGES: dict[str, tuple[str, Message]] = {
    "5944-3.3-request": (
        REQUEST,
        RegistrationRequest(
            RequestFlags.DECAPSULATION | RequestFlags.REVERSE_TUNNEL,
            1800,
            HOME,
            AGENT,
            CARE_OF,
            IDENTIFICATION,
        ),
    ),
    "5944-3.3-every-flag": (
        "01 ff ffff c000020a c6336401 cb007107 ce22a5d5f4c99770",
        RegistrationRequest(
            RequestFlags.SIMULTANEOUS
            | RequestFlags.BROADCAST
            | RequestFlags.DECAPSULATION
            | RequestFlags.MINIMAL
            | RequestFlags.GRE
            | RequestFlags.VAN_JACOBSON
            | RequestFlags.REVERSE_TUNNEL
            | RequestFlags.RESERVED,
            0xFFFF,
            HOME,
            AGENT,
            CARE_OF,
            IDENTIFICATION,
        ),
    ),
    "5944-3.4-reply": (
        REPLY,
        RegistrationReply(ReplyCode.ACCEPTED, 1800, HOME, AGENT, IDENTIFICATION),
    ),
    "5944-3.4-code-without-a-name": (
        "03 f0 0000 c000020a c6336401 ce22a5d5f4c99770",
        RegistrationReply(240, 0, HOME, AGENT, IDENTIFICATION),
    ),
    "3543-3.3-revocation-from-home-agent": (
        "07 00 c000 c000020a c6336401 cb007107 00012345",
        RegistrationRevocation(
            RevocationFlags.HOME_AGENT | RevocationFlags.INFORM, HOME, AGENT, CARE_OF, 0x12345
        ),
    ),
    "3543-3.4-acknowledgement": (
        "0f 00 8000 c000020a 00012345",
        RevocationAcknowledgement(AcknowledgementFlags.INFORM, HOME, 0x12345),
    ),
    "3519-3.3-tunnel-data": (
        "04 2f 0000 deadbeef",
        TunnelData(Encapsulation.GRE, b"\xde\xad\xbe\xef"),
    ),
    "3519-3.3-tunnel-data-empty": ("04 04 0000", TunnelData(Encapsulation.IP, b"")),
}

EXTENSIONS: dict[str, tuple[str, Extension]] = {
    "5944-2.1.3-padding": ("00", Padding()),
    "5944-3.5.2-mobile-home": (
        "20 14 00000100 000102030405060708090a0b0c0d0e0f",
        Authentication(ExtensionType.MOBILE_HOME_AUTHENTICATION, 256, bytes(range(16))),
    ),
    "5944-3.5.3-mobile-foreign": (
        "21 14 00000101 000102030405060708090a0b0c0d0e0f",
        Authentication(ExtensionType.MOBILE_FOREIGN_AUTHENTICATION, 257, bytes(range(16))),
    ),
    "5944-3.5.4-foreign-home": (
        "22 18 00000102 000102030405060708090a0b0c0d0e0f10111213",
        Authentication(ExtensionType.FOREIGN_HOME_AUTHENTICATION, 258, bytes(range(20))),
    ),
    "5944-3.5.2-no-authenticator": (
        "20 04 00000100",
        Authentication(ExtensionType.MOBILE_HOME_AUTHENTICATION, 256, b""),
    ),
    "4721-5-generalized-mobile-aaa": (
        "24 01 0014 00000002 000102030405060708090a0b0c0d0e0f",
        GeneralizedAuthentication(1, 2, bytes(range(16))),
    ),
    "3115-2.1-critical-vendor": (
        "26 00 0009 00000009 0063 616263",
        CriticalVendor(9, 0x63, b"abc"),
    ),
    "3115-2.1-critical-vendor-reserved-set": (
        "26 05 0006 00000009 0063",
        CriticalVendor(9, 0x63, b"", 5),
    ),
    "3115-2.2-normal-vendor": (
        "86 0b 0000 00000009 0063 616263",
        NormalVendor(9, 0x63, b"abc"),
    ),
    "3115-2.2-normal-vendor-without-value": (
        "86 08 0000 00000009 0063",
        NormalVendor(9, 0x63, b""),
    ),
    "3115-2.2-normal-vendor-cut": ("86 02 0000", UnknownExtension(134, b"\0\0")),
    "3519-3.2-udp-tunnel-reply": (
        "2c 06 00 00 8000 006e",
        UdpTunnelReply(TunnelReply.ACCEPTED, 110, TunnelReplyFlags.FORCED),
    ),
    "3519-3.2-udp-tunnel-declined": (
        "2c 06 00 40 0000 0000",
        UdpTunnelReply(TunnelReply.DECLINED, 0),
    ),
    "4636-3-foreign-agent-error": ("2d 02 00 4e", ForeignAgentError(ReplyCode.FOREIGN_TIMEOUT)),
    "3024-3.3-encapsulating-delivery": ("82 00", EncapsulatingDelivery()),
    "2794-2-nai": (
        "83 0d 6d6e406578616d706c652e6e6574"[:-2],
        NetworkAccessIdentifier(b"mn@example.ne"),
    ),
    "4721-4-challenge": ("84 04 01020304", Challenge(b"\1\2\3\4")),
    "3543-3.2-revocation-support": (
        "89 06 8000 00012345",
        RevocationSupport(0x12345, RevocationSupportFlags.INFORM),
    ),
    "3543-3.2-revocation-support-longer": (
        "89 08 0000 00012345 beef",
        RevocationSupport(0x12345, RevocationSupportFlags.NONE, b"\xbe\xef"),
    ),
    "4433-3.4-requested-home-agent": (
        "8b 01 0004 c6336401",
        DynamicHomeAgent(DynamicHomeAgentSubtype.REQUESTED, AGENT),
    ),
    "4433-3.4-redirected-home-agent": (
        "8b 02 0004 c6336401",
        DynamicHomeAgent(DynamicHomeAgentSubtype.REDIRECTED, AGENT),
    ),
    "4433-3.4-redirected-in-short-layout": (
        "8b 05 02 c6336401",
        DynamicHomeAgent(DynamicHomeAgentSubtype.REDIRECTED, AGENT, DynamicLayout.SHORT),
    ),
    "4433-3.4-neither-layout": ("8b 05 07 c6336401", UnknownExtension(139, b"\7\xc63d\1")),
    "4433-3.4-two-octets-in-short-layout": ("8b 02 0006", UnknownExtension(139, b"\0\6")),
    "3519-3.1-udp-tunnel-request": (
        "90 06 00 00 c0 2f 0000",
        UdpTunnelRequest(
            Encapsulation.GRE, TunnelRequestFlags.FORCE | TunnelRequestFlags.FOREIGN_AGENT
        ),
    ),
    "3519-3.1.3-reserved-1-and-2-are-ignored": (
        "90 06 00 ff 3f 04 0000",
        UdpTunnelRequest(Encapsulation.IP, TunnelRequestFlags(0x3F), 0xFF),
    ),
    "3519-3.1.3-reserved-3-makes-it-unknown": (
        "90 06 00 00 80 04 0001",
        UnknownExtension(144, b"\0\0\x80\4\0\1"),
    ),
    "4917-3-message-string": (
        "91 06 01 c3bc626572",
        MessageString(MessageStringOrigin.HOME_AGENT, "über"),
    ),
    "4917-3-no-utf-8": ("91 02 01 ff", UnknownExtension(145, b"\1\xff")),
    "4917-3-no-text": ("91 01 01", UnknownExtension(145, b"\1")),
    "5177-mobile-network-request": (
        "94 06 00 18 cb007100",
        MobileNetworkRequest(IPv4Address("203.0.113.0"), 24),
    ),
    "5177-mobile-network-acknowledgement": (
        "94 08 01 02 18 00 cb007100",
        MobileNetworkAcknowledgement(
            MobileNetworkSubtype.EXPLICIT_ACKNOWLEDGEMENT,
            MobileNetworkCode.UNAUTHORIZED,
            IPv4Address("203.0.113.0"),
            24,
        ),
    ),
    "6626-mobile-network-of-a-later-sub-type": (
        "94 04 03 18 0000",
        UnknownExtension(148, b"\3\x18\0\0"),
    ),
    "5944-1.8-unknown-skippable": ("c8 03 616263", UnknownExtension(200, b"abc")),
    "5944-1.8-unknown-skippable-empty": ("ff 00", UnknownExtension(255, b"")),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_message(case: str) -> None:
    octets, message = bytes.fromhex(MESSAGES[case][0]), MESSAGES[case][1]
    assert message.to_bytes() == octets
    assert parse(octets) == message


@pytest.mark.parametrize("case", EXTENSIONS)
def test_extension(case: str) -> None:
    octets, extension = bytes.fromhex(EXTENSIONS[case][0]), EXTENSIONS[case][1]
    assert extension.to_bytes() == octets
    message = parse(bytes.fromhex(REQUEST) + octets)
    assert isinstance(message, RegistrationRequest)
    assert message.extensions == (extension,)


def test_extensions_keep_their_order_and_their_doubles() -> None:
    mine = [extension for _, extension in EXTENSIONS.values()] * 2
    octets = bytes.fromhex(REPLY) + b"".join(extension.to_bytes() for extension in mine)
    message = parse(octets)
    assert isinstance(message, RegistrationReply)
    assert list(message.extensions) == mine


REFUSED: dict[str, tuple[str, type[WireError], int | None, int | None]] = {
    # octets, refusal, what a Home Agent may answer, what a Foreign Agent may
    "no-octets": ("", Truncated, None, None),
    "5944-1.8-message-type-2": ("02 00 0000", NotUnderstood, None, None),
    "5944-3.3-short-request": (REQUEST[:-2], Truncated, None, None),
    "5944-3.4-short-reply": (REPLY[:-2], Truncated, None, None),
    "3543-3.3-short-revocation": ("07 00 0000", Truncated, None, None),
    "3543-3.4-short-acknowledgement": ("0f 00 0000", Truncated, None, None),
    "3519-3.3-short-tunnel-data": ("04 04 00", Truncated, None, None),
    "5944-1.8-unknown-below-128": (REQUEST + "7f 00", NotUnderstood, None, None),
    "5944-1.8-unknown-below-128-in-reply": (REPLY + "28 00", NotUnderstood, None, None),
    "5944-1.9-type-without-length": (REQUEST + "83", Truncated, None, None),
    "5944-1.9-length-beyond-the-end": (REQUEST + "83 05 61", Truncated, None, None),
    "5944-1.10-long-length-cut": (REQUEST + "26 00 00", Truncated, None, None),
    "5944-1.10-long-length-beyond-the-end": (REQUEST + "26 00 ffff 00", Truncated, None, None),
    "5944-3.5.2-no-room-for-the-spi": (REQUEST + "20 03 000001", PoorlyFormed, 134, 70),
    "5944-3.5.2-no-room-for-the-spi-in-reply": (REPLY + "20 03 000001", PoorlyFormed, None, 71),
    "4721-5-generalized-below-20": (
        REQUEST + "24 01 0013 00000100" + "00" * 15,
        PoorlyFormed,
        134,
        70,
    ),
    "3115-2.1-critical-vendor-cut": (REQUEST + "26 00 0005 0000000900", PoorlyFormed, 134, 70),
    "3519-3.2-tunnel-reply-length": (REPLY + "2c 05 0000000000", PoorlyFormed, None, 71),
    "3519-3.2-tunnel-reply-sub-type": (REPLY + "2c 06 01 00 0000 0000", NotUnderstood, None, None),
    "4636-3-error-length": (REPLY + "2d 03 004e00", PoorlyFormed, None, 71),
    "4636-3-error-sub-type": (REPLY + "2d 02 01 4e", NotUnderstood, None, None),
    "5944-3.8.2.1-cut-behind-poorly-formed": (REQUEST + "20 00 83 05", Truncated, None, None),
    "5944-1.8-unknown-behind-poorly-formed": (REQUEST + "20 00 7f 00", NotUnderstood, None, None),
    "4433-3.4-address-cut": (REQUEST + "8b 01 0004 c63364", Truncated, None, None),
    "4433-3.4-length-cut": (REQUEST + "8b 01 00", Truncated, None, None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    octets, refusal, home_agent, foreign_agent = REFUSED[case]
    with pytest.raises(WireError) as caught:
        parse(bytes.fromhex(octets))
    assert type(caught.value) is refusal
    assert caught.value.home_agent_code == home_agent
    assert caught.value.foreign_agent_code == foreign_agent


UNENCODABLE: dict[str, Message] = {
    "lifetime": RegistrationRequest(RequestFlags(0), 65536, HOME, AGENT, CARE_OF, IDENTIFICATION),
    "identification": RegistrationReply(0, 0, HOME, AGENT, 2**64),
    "code": RegistrationReply(256, 0, HOME, AGENT, 0),
    "negative": RegistrationRevocation(RevocationFlags(0), HOME, AGENT, CARE_OF, -1),
    "nai": RegistrationReply(0, 0, HOME, AGENT, 0, (NetworkAccessIdentifier(bytes(256)),)),
    "spi": RegistrationReply(0, 0, HOME, AGENT, 0, (GeneralizedAuthentication(1, 2**32, b""),)),
    "sub-type": RegistrationReply(0, 0, HOME, AGENT, 0, (GeneralizedAuthentication(256, 2, b""),)),
    "vendor": RegistrationReply(0, 0, HOME, AGENT, 0, (CriticalVendor(9, 1, bytes(65530)),)),
    "surrogate": RegistrationReply(
        0, 0, HOME, AGENT, 0, (MessageString(MessageStringOrigin.HOME_AGENT, "\ud800"),)
    ),
    "no-text": RegistrationReply(
        0, 0, HOME, AGENT, 0, (MessageString(MessageStringOrigin.HOME_AGENT, ""),)
    ),
    "datagram": RegistrationReply(0, 0, HOME, AGENT, 0, (CriticalVendor(9, 1, bytes(65478)),)),
    "tunnel-data": TunnelData(4, bytes(65504)),
}


@pytest.mark.parametrize("case", UNENCODABLE)
def test_what_fits_no_field_is_our_own_mistake(case: str) -> None:
    with pytest.raises(Unencodable):
        UNENCODABLE[case].to_bytes()


@pytest.mark.parametrize(
    "longest",
    [
        RegistrationReply(0, 0, HOME, AGENT, 0, (CriticalVendor(9, 1, bytes(65477)),)),
        TunnelData(4, bytes(65503)),
    ],
    ids=lambda message: message.kind.name,
)
def test_the_longest_datagram(longest: Message) -> None:
    octets = longest.to_bytes()
    assert len(octets) == 65507
    assert parse(octets) == longest


def sealed(octets: str, checksum: str) -> bytes:
    whole = bytes.fromhex(octets)
    return whole[:2] + bytes.fromhex(checksum) + whole[4:]


DISCOVERY: dict[str, tuple[bytes, AgentAdvertisement | AgentSolicitation]] = {
    "1256-3-solicitation": (sealed("0a 00 0000 00000000", "f5ff"), AgentSolicitation()),
    "1256-3-router-only": (
        sealed("09 00 0000 01 02 0708 c6336401 00000000", "c4c0"),
        AgentAdvertisement((RouterAddress(AGENT),), 1800),
    ),
    "5944-2.1.1-home-agent-without-addresses": (
        sealed("09 10 0000 00 02 0708 10 06 0001 0e10 2000", "b1ce"),
        AgentAdvertisement((), 1800, (MobilityAgent(1, 3600, AgentFlags.HOME_AGENT),), 16),
    ),
    "5944-2.1.2-no-addresses-of-no-size": (
        sealed("09 10 0000 00 00 0708", "efe7"),
        AgentAdvertisement((), 1800, (), 16, 0),
    ),
    "5944-2.1-all-extensions": (
        sealed(
            "09 10 0000 01 02 0708 c6336401 80000000"
            "10 0a 0100 0e10 b1c0 cb007107  13 01 18  18 04 01020304  00",
            "02b0",
        ),
        AgentAdvertisement(
            (RouterAddress(AGENT, -(2**31)),),
            1800,
            (
                MobilityAgent(
                    256,
                    3600,
                    AgentFlags.REGISTRATION_REQUIRED
                    | AgentFlags.HOME_AGENT
                    | AgentFlags.FOREIGN_AGENT
                    | AgentFlags.REVERSE_TUNNEL
                    | AgentFlags.UDP_TUNNEL
                    | AgentFlags.REVOCATION,
                    (CARE_OF,),
                ),
                PrefixLengths((24,)),
                AdvertisedChallenge(b"\1\2\3\4"),
                Padding(),
            ),
            16,
        ),
    ),
}


@pytest.mark.parametrize("case", DISCOVERY)
def test_discovery(case: str) -> None:
    octets, message = DISCOVERY[case]
    assert message.to_bytes().hex() == octets.hex()
    assert parse_discovery(octets) == message


def test_only_its_extension_makes_a_router_an_agent() -> None:
    router, agent = DISCOVERY["1256-3-router-only"][1], DISCOVERY["5944-2.1-all-extensions"][1]
    assert isinstance(router, AgentAdvertisement)
    assert router.agent is None
    assert isinstance(agent, AgentAdvertisement)
    assert agent.agent is agent.extensions[0]


UNDISCOVERED: dict[str, tuple[bytes, type[WireError]]] = {
    "empty": (b"", Truncated),
    "1256-5.2-short": (b"\x09\0\0\0\0\2\0", Truncated),
    "1256-5.2-echo-request": (bytes.fromhex("0800f7ff00000000"), NotUnderstood),
    "1256-5.2-code": (sealed("09 01 0000 00 02 0708", "efff"), NotUnderstood),
    "1256-5.2-checksum": (sealed("0a 00 0000 00000000", "f5fe"), Corrupted),
    "1256-5.2-entry-size": (sealed("09 00 0000 01 01 0708 c6336401", "c5c0"), PoorlyFormed),
    "1256-5.2-addresses-beyond-the-end": (sealed("09 00 0000 01 02 0708", "0000"), Truncated),
    "5944-2.1.1-length": (
        sealed("09 10 0000 00 02 0708 10 07 0001 0e10 2000 00", "0000"),
        PoorlyFormed,
    ),
    "5944-1.8-unknown-below-128": (
        sealed("09 10 0000 00 02 0708 20 00", "0000"),
        NotUnderstood,
    ),
}


@pytest.mark.parametrize("case", UNDISCOVERED)
def test_undiscovered(case: str) -> None:
    octets, refusal = UNDISCOVERED[case]
    with pytest.raises(WireError) as caught:
        parse_discovery(octets)
    assert type(caught.value) is refusal


def test_router_addresses_are_of_the_size_that_the_advertisement_says() -> None:
    with pytest.raises(Unencodable):
        AgentAdvertisement((RouterAddress(AGENT, 0, b"more"),), 1800).to_bytes()


def test_a_prefix_length_is_an_octet() -> None:
    with pytest.raises(Unencodable):
        PrefixLengths((256,)).to_bytes()
