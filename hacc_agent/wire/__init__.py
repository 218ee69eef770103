"""Mobile IPv4 on the wire: octets to frozen values and back, and what proves who sent them.

    registry         the numbers, in the RFCs' names
    errors           what is wrong, and what its receiver does about it
    tlv              where extensions end
    extensions       one value each; vendor has those of RFC 3115
    messages         parse(octets) -> Message, message.to_bytes()
    advertisement    agent discovery over ICMP: parse_discovery(octets)
    load             what our agents say of themselves in it, skipped by others
    authentication   keys with precomputed states: authenticate, verify
    peek             what a relay needs, read in place

Everything here is pure. Octets that came from a peer raise nothing but a `WireError`, which says
whether to drop them silently or with which code to answer; values of ours that do not fit their
fields raise `Unencodable`.
"""

from __future__ import annotations

from ..config import Algorithm
from .advertisement import (
    AdvertisedChallenge,
    AdvertisementExtension,
    AgentAdvertisement,
    AgentSolicitation,
    MobilityAgent,
    PrefixLengths,
    RouterAddress,
    parse_discovery,
)
from .authentication import (
    Key,
    authenticate,
    authenticate_chap,
    chap_authenticator,
    chap_challenge,
    verify,
    verify_chap,
)
from .errors import Corrupted, NotUnderstood, PoorlyFormed, Truncated, Unencodable, WireError
from .extensions import (
    Authentication,
    Challenge,
    DynamicHomeAgent,
    DynamicLayout,
    EncapsulatingDelivery,
    Extension,
    ForeignAgentError,
    GeneralizedAuthentication,
    MessageString,
    MobileNetworkAcknowledgement,
    MobileNetworkRequest,
    NetworkAccessIdentifier,
    Padding,
    RevocationSupport,
    UdpTunnelReply,
    UdpTunnelRequest,
    UnknownExtension,
)
from .load import AgentLoad, AgentRole, AgentState
from .messages import (
    Message,
    RegistrationReply,
    RegistrationRequest,
    RegistrationRevocation,
    RevocationAcknowledgement,
    TunnelData,
    parse,
)
from .peek import LOW_32, peek_extensions, peek_nai, peek_reply, peek_request, peek_spi
from .registry import (
    AcknowledgementFlags,
    AgentFlags,
    DynamicHomeAgentSubtype,
    Encapsulation,
    ExtensionType,
    MessageStringOrigin,
    MessageType,
    MobileNetworkCode,
    MobileNetworkSubtype,
    ReplyCode,
    RequestFlags,
    RevocationFlags,
    RevocationSupportFlags,
    TunnelReply,
    TunnelReplyFlags,
    TunnelRequestFlags,
)
from .tlv import Octets
from .vendor import CriticalVendor, NormalVendor

__all__ = [
    "LOW_32",
    "AcknowledgementFlags",
    "AdvertisedChallenge",
    "AdvertisementExtension",
    "AgentAdvertisement",
    "AgentFlags",
    "AgentLoad",
    "AgentRole",
    "AgentSolicitation",
    "AgentState",
    "Algorithm",
    "Authentication",
    "Challenge",
    "Corrupted",
    "CriticalVendor",
    "DynamicHomeAgent",
    "DynamicHomeAgentSubtype",
    "DynamicLayout",
    "EncapsulatingDelivery",
    "Encapsulation",
    "Extension",
    "ExtensionType",
    "ForeignAgentError",
    "GeneralizedAuthentication",
    "Key",
    "Message",
    "MessageString",
    "MessageStringOrigin",
    "MessageType",
    "MobileNetworkAcknowledgement",
    "MobileNetworkCode",
    "MobileNetworkRequest",
    "MobileNetworkSubtype",
    "MobilityAgent",
    "NetworkAccessIdentifier",
    "NormalVendor",
    "NotUnderstood",
    "Octets",
    "Padding",
    "PoorlyFormed",
    "PrefixLengths",
    "RegistrationReply",
    "RegistrationRequest",
    "RegistrationRevocation",
    "ReplyCode",
    "RequestFlags",
    "RevocationAcknowledgement",
    "RevocationFlags",
    "RevocationSupport",
    "RevocationSupportFlags",
    "RouterAddress",
    "Truncated",
    "TunnelData",
    "TunnelReply",
    "TunnelReplyFlags",
    "TunnelRequestFlags",
    "UdpTunnelReply",
    "UdpTunnelRequest",
    "Unencodable",
    "UnknownExtension",
    "WireError",
    "authenticate",
    "authenticate_chap",
    "chap_authenticator",
    "chap_challenge",
    "parse",
    "parse_discovery",
    "peek_extensions",
    "peek_nai",
    "peek_reply",
    "peek_request",
    "peek_spi",
    "verify",
    "verify_chap",
]
