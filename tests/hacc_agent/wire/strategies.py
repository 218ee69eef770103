"""Random messages: every type, every extension, reserved bits set as well, and damaged octets.

`plain` leaves out what Wireshark 4.0 decodes wrongly or not at all, so that its word on the rest
counts: one-byte padding and RFC 4433's own layout of extension 139 (it finds both malformed), and
vendor or unknown extensions of numbers that it takes apart further.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import strategies as st

from hacc_agent.wire import (
    AcknowledgementFlags,
    AdvertisedChallenge,
    AdvertisementExtension,
    AgentAdvertisement,
    AgentFlags,
    AgentSolicitation,
    Authentication,
    Challenge,
    CriticalVendor,
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    DynamicLayout,
    EncapsulatingDelivery,
    Extension,
    ExtensionType,
    ForeignAgentError,
    GeneralizedAuthentication,
    Message,
    MessageString,
    MessageStringOrigin,
    MobileNetworkAcknowledgement,
    MobileNetworkRequest,
    MobileNetworkSubtype,
    MobilityAgent,
    NetworkAccessIdentifier,
    NormalVendor,
    Padding,
    PrefixLengths,
    RegistrationReply,
    RegistrationRequest,
    RegistrationRevocation,
    RequestFlags,
    RevocationAcknowledgement,
    RevocationFlags,
    RevocationSupport,
    RevocationSupportFlags,
    RouterAddress,
    TunnelData,
    TunnelReplyFlags,
    TunnelRequestFlags,
    UdpTunnelReply,
    UdpTunnelRequest,
    UnknownExtension,
)
from hacc_agent.wire.advertisement import checksum

PLAIN_VENDORS = (9, 311)  # Cisco, Microsoft: opaque to Wireshark
PLAIN_UNKNOWN = st.integers(200, 254)

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
octet = st.integers(0, 0xFF)
word = st.integers(0, 0xFFFF)
long_word = st.integers(0, 2**32 - 1)
identifications = st.integers(0, 2**64 - 1)
nais = st.from_regex(rb"[a-z0-9]{1,20}@[a-z0-9.]{1,40}", fullmatch=True)
AUTHENTICATIONS = (
    ExtensionType.MOBILE_HOME_AUTHENTICATION,
    ExtensionType.MOBILE_FOREIGN_AUTHENTICATION,
    ExtensionType.FOREIGN_HOME_AUTHENTICATION,
)
KNOWN = frozenset(int(kind) for kind in ExtensionType)


def authentications() -> st.SearchStrategy[Extension]:
    """Each kind; whether an authenticator holds is nothing that a codec knows."""
    return st.builds(
        Authentication,
        st.sampled_from(AUTHENTICATIONS),
        long_word,
        st.binary(min_size=16, max_size=16) | st.binary(min_size=1, max_size=251),
    ) | st.builds(GeneralizedAuthentication, octet, long_word, st.binary(min_size=16, max_size=300))


def vendor_extensions(*, plain: bool = False) -> st.SearchStrategy[CriticalVendor | NormalVendor]:
    vendors = st.sampled_from(PLAIN_VENDORS) if plain else long_word
    return st.builds(
        CriticalVendor, vendors, word, st.binary(min_size=1, max_size=300), octet
    ) | st.builds(NormalVendor, vendors, word, st.binary(min_size=1, max_size=247), word)


def extensions(*, plain: bool = False) -> st.SearchStrategy[Extension]:
    """Any one extension of the messages on port 434."""
    layouts = (DynamicLayout.SHORT,) if plain else tuple(DynamicLayout)
    unknown = PLAIN_UNKNOWN if plain else st.integers(128, 255).filter(lambda n: n not in KNOWN)
    text = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=60)
    choices: list[st.SearchStrategy[Extension]] = [
        authentications(),
        vendor_extensions(plain=plain),
        st.builds(NetworkAccessIdentifier, nais if plain else nais | st.binary(max_size=255)),
        st.builds(Challenge, st.binary(min_size=1, max_size=255)),
        st.builds(UdpTunnelReply, octet, word, word.map(TunnelReplyFlags)),
        st.builds(UdpTunnelRequest, octet, octet.map(TunnelRequestFlags), octet),
        st.builds(ForeignAgentError, octet),
        st.just(EncapsulatingDelivery()),
        st.builds(
            RevocationSupport,
            long_word,
            word.map(RevocationSupportFlags),
            st.just(b"") if plain else st.binary(max_size=8),
        ),
        st.builds(
            DynamicHomeAgent,
            st.sampled_from(DynamicHomeAgentSubtype),
            addresses,
            st.sampled_from(layouts),
        ),
        st.builds(MessageString, st.sampled_from(MessageStringOrigin), text),
        st.builds(MobileNetworkRequest, addresses, octet),
        st.builds(
            MobileNetworkAcknowledgement,
            st.sampled_from(
                (
                    MobileNetworkSubtype.EXPLICIT_ACKNOWLEDGEMENT,
                    MobileNetworkSubtype.IMPLICIT_ACKNOWLEDGEMENT,
                )
            ),
            octet,
            addresses,
            octet,
            octet,
        ),
        st.builds(UnknownExtension, unknown, st.binary(min_size=1, max_size=255)),
    ]
    if not plain:
        choices.append(st.just(Padding()))
    return st.one_of(choices)


def trailers(*, plain: bool = False) -> st.SearchStrategy[tuple[Extension, ...]]:
    return st.lists(extensions(plain=plain), max_size=6).map(tuple)


def requests(*, plain: bool = False) -> st.SearchStrategy[RegistrationRequest]:
    return st.builds(
        RegistrationRequest,
        octet.map(RequestFlags),
        word,
        addresses,
        addresses,
        addresses,
        identifications,
        trailers(plain=plain),
    )


def replies(*, plain: bool = False) -> st.SearchStrategy[RegistrationReply]:
    return st.builds(
        RegistrationReply,
        octet,
        word,
        addresses,
        addresses,
        identifications,
        trailers(plain=plain),
    )


def messages(*, plain: bool = False) -> st.SearchStrategy[Message]:
    """Any message on port 434; no tunnel data among `plain` ones: its payload is another's."""
    revocations = st.builds(
        RegistrationRevocation,
        word.map(RevocationFlags),
        addresses,
        addresses,
        addresses,
        long_word,
        trailers(plain=plain),
        octet,
    )
    acknowledgements = st.builds(
        RevocationAcknowledgement,
        word.map(AcknowledgementFlags),
        addresses,
        long_word,
        trailers(plain=plain),
        octet,
    )
    either = requests(plain=plain) | replies(plain=plain) | revocations | acknowledgements
    if plain:
        return either
    return either | st.builds(TunnelData, octet, st.binary(max_size=100), word)


def advertisement_extensions(*, plain: bool = False) -> st.SearchStrategy[AdvertisementExtension]:
    choices: list[st.SearchStrategy[AdvertisementExtension]] = [
        st.builds(
            MobilityAgent,
            word,
            word,
            word.map(AgentFlags),
            st.lists(addresses, max_size=62).map(tuple),
        ),
        st.builds(PrefixLengths, st.lists(octet, max_size=255).map(tuple)),
        st.builds(AdvertisedChallenge, st.binary(min_size=1, max_size=255)),
    ]
    if not plain:
        unknown = st.integers(128, 255).filter(lambda kind: kind != 134)
        choices += [
            st.just(Padding()),
            vendor_extensions(),
            st.builds(UnknownExtension, unknown, st.binary(max_size=255)),
        ]
    return st.one_of(choices)


@st.composite
def advertisements(draw: st.DrawFn, *, plain: bool = False) -> AgentAdvertisement:
    words = 2 if plain else draw(st.integers(2, 4))
    more = st.binary(min_size=(words - 2) * 4, max_size=(words - 2) * 4)
    router = st.builds(RouterAddress, addresses, st.integers(-(2**31), 2**31 - 1), more)
    return AgentAdvertisement(
        tuple(draw(st.lists(router, max_size=4))),
        draw(word),
        tuple(draw(st.lists(advertisement_extensions(plain=plain), max_size=4))),
        draw(st.sampled_from((0, 16))),
        words,
    )


def solicitations() -> st.SearchStrategy[AgentSolicitation]:
    return st.builds(AgentSolicitation, long_word, st.binary(max_size=20))


@st.composite
def damaged(draw: st.DrawFn, sound: st.SearchStrategy[bytes]) -> bytes:
    """Sound octets with some of them changed, cut out or put in: near misses find what noise
    never reaches."""
    octets = bytearray(draw(sound))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(octets)))
        match draw(st.sampled_from(("change", "cut", "insert"))):
            case "change" if at < len(octets):
                octets[at] = draw(octet)
            case "cut":
                del octets[at : at + draw(st.integers(1, 8))]
            case _:
                octets[at:at] = draw(st.binary(max_size=8))
    return bytes(octets)


def hostile() -> st.SearchStrategy[bytes]:
    """What may arrive on port 434: sound, nearly sound, noise behind a known type, noise."""
    sound = messages().map(lambda message: message.to_bytes())
    headed = st.builds(
        bytes.__add__, st.sampled_from([b"\1", b"\3", b"\4", b"\7", b"\x0f"]), st.binary()
    )
    return damaged(sound) | headed | st.binary() | sound


def resealed(octets: bytes) -> bytes:
    """An ICMP message with a checksum that holds: without one, damage goes no further than it."""
    if len(octets) < 4:
        return octets
    blank = octets[:2] + bytes(2) + octets[4:]
    return octets[:2] + checksum(blank).to_bytes(2, "big") + octets[4:]


def hostile_discovery() -> st.SearchStrategy[bytes]:
    """The same for ICMP."""
    sound = (advertisements() | solicitations()).map(lambda message: message.to_bytes())
    headed = st.builds(
        bytes.__add__, st.sampled_from([b"\x09\0", b"\x09\x10", b"\x0a\0"]), st.binary()
    )
    return (damaged(sound) | headed).map(resealed) | damaged(sound) | st.binary() | sound
