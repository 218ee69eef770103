"""The numbers of Mobile IPv4, named as in IANA's registry "Mobile IPv4 Numbers" and the RFCs.

Flags keep bits that nobody has assigned: what came in goes out again, octet for octet, since an
authenticator covers reserved bits as well.
"""

from __future__ import annotations

import enum

PORT = 434
"""UDP port of every message but agent discovery, which is ICMP."""

INFINITE_LIFETIME = 0xFFFF
"""A registration lifetime that never ends (RFC 5944, 3.3); every other one is in seconds."""

RESERVED_SPIS = range(256)
"""No security association may use these (RFC 5944, 1.6); 4721 gives a meaning to CHAP_SPI."""

CHAP_SPI = 2
"""The authenticator of this SPI is the one that RADIUS servers compute (RFC 4721, 8)."""


class MessageType(enum.IntEnum):
    """First octet of a message to or from port 434."""

    REGISTRATION_REQUEST = 1  # RFC 5944, 3.3
    REGISTRATION_REPLY = 3  # RFC 5944, 3.4
    TUNNEL_DATA = 4  # RFC 3519, 3.3
    REGISTRATION_REVOCATION = 7  # RFC 3543, 3.3
    REVOCATION_ACKNOWLEDGEMENT = 15  # RFC 3543, 3.4


class ExtensionType(enum.IntEnum):
    """Extensions of the messages on port 434. Below 128 they may not be skipped."""

    PADDING = 0  # RFC 5944, 1.8: one octet, no length
    MOBILE_HOME_AUTHENTICATION = 32  # RFC 5944, 3.5.2
    MOBILE_FOREIGN_AUTHENTICATION = 33  # RFC 5944, 3.5.3
    FOREIGN_HOME_AUTHENTICATION = 34  # RFC 5944, 3.5.4
    GENERALIZED_AUTHENTICATION = 36  # RFC 4721, 5
    CRITICAL_VENDOR = 38  # RFC 3115, 2.1 (CVSE)
    UDP_TUNNEL_REPLY = 44  # RFC 3519, 3.2
    FOREIGN_AGENT_ERROR = 45  # RFC 4636, 3
    ENCAPSULATING_DELIVERY = 130  # RFC 3024, 3.3
    NETWORK_ACCESS_IDENTIFIER = 131  # RFC 2794, 2
    CHALLENGE = 132  # RFC 4721, 4
    NORMAL_VENDOR = 134  # RFC 3115, 2.2 (NVSE)
    REVOCATION_SUPPORT = 137  # RFC 3543, 3.2
    DYNAMIC_HOME_AGENT = 139  # RFC 4433, 3.4
    UDP_TUNNEL_REQUEST = 144  # RFC 3519, 3.1
    MESSAGE_STRING = 145  # RFC 4917, 3
    MOBILE_NETWORK = 148  # RFC 5177, 3


class AdvertisementExtensionType(enum.IntEnum):
    """Extensions of ICMP router discovery: a number space of its own (RFC 5944, 1.8)."""

    PADDING = 0  # RFC 5944, 2.1.3
    MOBILITY_AGENT = 16  # RFC 5944, 2.1.1
    PREFIX_LENGTHS = 19  # RFC 5944, 2.1.2
    CHALLENGE = 24  # RFC 4721, 2
    CRITICAL_VENDOR = 38  # RFC 3115, 2.3
    NORMAL_VENDOR = 134


class RequestFlags(enum.IntFlag, boundary=enum.KEEP):
    """Second octet of a Registration Request (RFC 5944, 3.3)."""

    SIMULTANEOUS = 0x80  # S: keep the earlier bindings as well
    BROADCAST = 0x40  # B: tunnel the home network's broadcasts too
    DECAPSULATION = 0x20  # D: the mobile node decapsulates, its care-of address is co-located
    MINIMAL = 0x10  # M: minimal encapsulation, RFC 2004
    GRE = 0x08  # G: GRE, RFC 2784
    VAN_JACOBSON = 0x04  # r, sent as zero; RFC 2002 had V here
    REVERSE_TUNNEL = 0x02  # T: RFC 3024
    RESERVED = 0x01  # x, sent as zero


class RevocationFlags(enum.IntFlag, boundary=enum.KEEP):
    """Flags of revocation, its acknowledgement and its support extension (RFC 3543)."""

    HOME_AGENT = 0x8000  # A: the sender serves this binding as Home Agent; revocations only
    INFORM = 0x4000  # I, in a revocation: the mobile node is to be told


class RevocationSupportFlags(enum.IntFlag, boundary=enum.KEEP):
    """Flags of the Revocation Support Extension (RFC 3543, 3.2)."""

    NONE = 0
    INFORM = 0x8000  # I: the sender heeds the I bit of revocations


class AcknowledgementFlags(enum.IntFlag, boundary=enum.KEEP):
    """Flags of a Revocation Acknowledgement: I is the first bit, there is no A (RFC 3543, 3.4)."""

    INFORM = 0x8000


class TunnelRequestFlags(enum.IntFlag, boundary=enum.KEEP):
    """Flags of the UDP Tunnel Request Extension (RFC 3519, 3.1)."""

    NONE = 0
    FORCE = 0x80  # F: tunnel whatever NAT detection finds
    FOREIGN_AGENT = 0x40  # R: co-located, but made to register through a Foreign Agent


class TunnelReplyFlags(enum.IntFlag, boundary=enum.KEEP):
    """Flags of the UDP Tunnel Reply Extension (RFC 3519, 3.2)."""

    NONE = 0
    FORCED = 0x8000  # F: tunnelled because the request's F bit said so


class AgentFlags(enum.IntFlag, boundary=enum.KEEP):
    """Flags of a Mobility Agent Advertisement Extension (RFC 5944, 2.1.1)."""

    REGISTRATION_REQUIRED = 0x8000  # R
    BUSY = 0x4000  # B
    HOME_AGENT = 0x2000  # H
    FOREIGN_AGENT = 0x1000  # F
    MINIMAL = 0x0800  # M
    GRE = 0x0400  # G
    VAN_JACOBSON = 0x0200  # r, sent as zero; RFC 2002 had V here
    REVERSE_TUNNEL = 0x0100  # T
    UDP_TUNNEL = 0x0080  # U: RFC 3519
    REVOCATION = 0x0040  # X: RFC 3543
    REGIONAL = 0x0020  # I: RFC 4857


class Encapsulation(enum.IntEnum):
    """What a tunnel wraps, by IP protocol number (RFC 3519, 3.1.4 and 3.3)."""

    AS_FLAGS = 0  # in a request alone: as its M and G flags say
    IP = 4  # RFC 2003
    GRE = 47  # RFC 2784
    MINIMAL = 55  # RFC 2004


class TunnelReply(enum.IntEnum):
    """Reply codes of the UDP Tunnel Reply Extension; below 64 is assent (RFC 3519, 3.2.1)."""

    ACCEPTED = 0
    DECLINED = 64


class DynamicHomeAgentSubtype(enum.IntEnum):
    """What the address in extension 139 is (RFC 4433, 3.4)."""

    REQUESTED = 1  # in a request: where the mobile node would like to be
    REDIRECTED = 2  # in a reply with REDIRECT_HOME_AGENT: where it shall ask


class MessageStringOrigin(enum.IntEnum):
    """Sub-type of the Message String Extension (RFC 4917, 3)."""

    HOME_AGENT = 1
    FOREIGN_AGENT = 2


class MobileNetworkSubtype(enum.IntEnum):
    """Sub-types of extension 148 (RFC 5177, 3)."""

    REQUEST = 0
    EXPLICIT_ACKNOWLEDGEMENT = 1  # for a network that the request named
    IMPLICIT_ACKNOWLEDGEMENT = 2  # for one that the Home Agent has by configuration


class MobileNetworkCode(enum.IntEnum):
    """What became of one mobile network (RFC 5177, 3)."""

    SUCCESS = 0
    INVALID_PREFIX_LENGTH = 1
    UNAUTHORIZED = 2
    FORWARDING_SETUP_FAILED = 3


class GeneralizedSubtype(enum.IntEnum):
    """Whose the Generalized Authentication Extension is (RFC 4721, 5)."""

    MOBILE_AAA = 1


class ReplyCode(enum.IntEnum):
    """Code of a Registration Reply, with its meaning in the words of its RFC."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ReplyCode:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    # Accepted (RFC 5944, 3.4)
    ACCEPTED = 0, "registration accepted"
    ACCEPTED_ONE_BINDING = 1, "registration accepted, simultaneous mobility bindings unsupported"
    # Denied by the Foreign Agent (RFC 5944, 3.4, where nothing else is said)
    FOREIGN_UNSPECIFIED = 64, "reason unspecified"
    FOREIGN_PROHIBITED = 65, "administratively prohibited"
    FOREIGN_NO_RESOURCES = 66, "insufficient resources"
    FOREIGN_MOBILE_NODE_AUTHENTICATION = 67, "mobile node failed authentication"
    FOREIGN_HOME_AGENT_AUTHENTICATION = 68, "home agent failed authentication"
    FOREIGN_LIFETIME_TOO_LONG = 69, "requested Lifetime too long"
    FOREIGN_POORLY_FORMED_REQUEST = 70, "poorly formed Request"
    FOREIGN_POORLY_FORMED_REPLY = 71, "poorly formed Reply"
    FOREIGN_ENCAPSULATION = 72, "requested encapsulation unavailable"
    FOREIGN_VAN_JACOBSON = 73, "requested Van Jacobson compression unavailable"  # RFC 2002
    FOREIGN_REVERSE_TUNNEL = 74, "requested reverse tunnel unavailable"  # RFC 3024
    FOREIGN_REVERSE_TUNNEL_MANDATORY = 75, "reverse tunnel is mandatory and 'T' bit not set"
    FOREIGN_TOO_DISTANT = 76, "mobile node too distant"  # RFC 3024
    FOREIGN_INVALID_CARE_OF_ADDRESS = 77, "invalid care-of address"
    FOREIGN_TIMEOUT = 78, "registration timeout"
    FOREIGN_DELIVERY_STYLE = 79, "delivery style not supported"  # RFC 3024
    HOME_NETWORK_UNREACHABLE = 80, "home network unreachable"
    HOME_AGENT_HOST_UNREACHABLE = 81, "home agent host unreachable"
    HOME_AGENT_PORT_UNREACHABLE = 82, "home agent port unreachable"
    HOME_AGENT_UNREACHABLE = 88, "home agent unreachable"
    FOREIGN_VENDOR = 89, "vendor-specific reason"
    NONZERO_HOME_AGENT_REQUIRED = 90, "non-zero home agent address required"  # RFC 4433
    NONZERO_HOME_ADDRESS_REQUIRED = 96, "non-zero home address required"  # RFC 2794
    MISSING_NAI = 97, "missing NAI"  # RFC 2794
    MISSING_HOME_AGENT = 98, "missing home agent"  # RFC 2794
    MISSING_HOME_ADDRESS = 99, "missing home address"  # RFC 2794
    FOREIGN_VENDOR_OF_MOBILE_NODE = 100, "unsupported CVSE from the mobile node"  # RFC 3115
    FOREIGN_VENDOR_OF_HOME_AGENT = 101, "unsupported CVSE from the home agent"  # RFC 3115
    UNKNOWN_CHALLENGE = 104, "unknown challenge"  # RFC 4721
    MISSING_CHALLENGE = 105, "missing challenge"  # RFC 4721
    STALE_CHALLENGE = 106, "stale challenge"  # RFC 4721
    MISSING_KEY_NONCE_REPLY = 107, "missing MN-FA key generation nonce reply"  # RFC 3957
    FOREIGN_AAA_AUTHENTICATION = 108, "mobile node failed AAA authentication"  # RFC 4721
    HOME_AGENT_WRONG_CHALLENGE = 109, "home agent sent a wrong challenge"  # RFC 4721
    FOREIGN_EXPERIMENTAL = 127, "experimental"  # RFC 4064
    # Denied by the Home Agent
    UNSPECIFIED = 128, "reason unspecified"
    PROHIBITED = 129, "administratively prohibited"
    NO_RESOURCES = 130, "insufficient resources"
    MOBILE_NODE_AUTHENTICATION = 131, "mobile node failed authentication"
    FOREIGN_AGENT_AUTHENTICATION = 132, "foreign agent failed authentication"
    IDENTIFICATION_MISMATCH = 133, "registration Identification mismatch"
    POORLY_FORMED_REQUEST = 134, "poorly formed Request"
    TOO_MANY_BINDINGS = 135, "too many simultaneous mobility bindings"
    UNKNOWN_HOME_AGENT = 136, "unknown home agent address"
    REVERSE_TUNNEL = 137, "requested reverse tunnel unavailable"  # RFC 3024
    REVERSE_TUNNEL_MANDATORY = 138, "reverse tunnel is mandatory and 'T' bit not set"  # RFC 3024
    ENCAPSULATION = 139, "requested encapsulation unavailable"  # RFC 3024
    VENDOR_OF_MOBILE_NODE = 140, "unsupported CVSE from the mobile node"  # RFC 3115
    VENDOR_OF_FOREIGN_AGENT = 141, "unsupported CVSE from the foreign agent"  # RFC 3115
    UDP_ENCAPSULATION = 142, "requested UDP tunnel encapsulation unavailable"  # RFC 3519
    REDIRECT_HOME_AGENT = 143, "register with the redirected home agent"  # RFC 4433
    AAA_AUTHENTICATION = 144, "mobile node failed AAA authentication"  # RFC 4721
    PROXY_UNSUPPORTED = 149, "Proxy Mobile IPv4 unsupported"  # RFC 5563
    PROXY_DISALLOWED = 150, "Proxy Mobile IPv4 disallowed"  # RFC 5563
    EXPERIMENTAL = 192, "experimental"  # RFC 4064
    # Denied by the Foreign Agent, though its number is out of that range (RFC 5944, 3.4)
    INVALID_HOME_AGENT = 194, "invalid home agent address"


ACCEPTING = frozenset({ReplyCode.ACCEPTED, ReplyCode.ACCEPTED_ONE_BINDING})
"""The codes that make a binding; every other one, known or not, is a denial."""

FIRST_FOREIGN_AGENT_CODE = 64
FIRST_HOME_AGENT_CODE = 128


def denied_by_foreign_agent(code: int) -> bool:
    """Whether this denial never reached, or did not come from, the Home Agent."""
    return (
        FIRST_FOREIGN_AGENT_CODE <= code < FIRST_HOME_AGENT_CODE
        or code == ReplyCode.INVALID_HOME_AGENT
    )
