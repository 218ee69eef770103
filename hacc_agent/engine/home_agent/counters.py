"""What was counted, by the names of the MIB that will serve it (RFC 2006, haRegistration 3-19)."""

from __future__ import annotations

from collections import Counter
from typing import Final

from ...wire import ReplyCode

BY_CODE: Final = {
    "haRegistrationAccepted": ReplyCode.ACCEPTED,
    "haMultiBindingUnsupported": ReplyCode.ACCEPTED_ONE_BINDING,
    "haReasonUnspecified": ReplyCode.UNSPECIFIED,
    "haAdmProhibited": ReplyCode.PROHIBITED,
    "haInsufficientResource": ReplyCode.NO_RESOURCES,
    "haMNAuthenticationFailure": ReplyCode.MOBILE_NODE_AUTHENTICATION,
    "haFAAuthenticationFailure": ReplyCode.FOREIGN_AGENT_AUTHENTICATION,
    "haIDMismatch": ReplyCode.IDENTIFICATION_MISMATCH,
    "haPoorlyFormedRequest": ReplyCode.POORLY_FORMED_REQUEST,
    "haTooManyBindings": ReplyCode.TOO_MANY_BINDINGS,
    "haUnknownHA": ReplyCode.UNKNOWN_HOME_AGENT,
}


class Counters:
    """Since the start of the process. Plain lists: counting must cost next to nothing."""

    __slots__ = (
        "codes",
        "discarded",
        "left_out",
        "replies",
        "requests",
        "retransmissions",
        "revocations_acknowledged",
        "revocations_received",
    )

    def __init__(self) -> None:
        self.requests = [0, 0]  # registrations and deregistrations received
        self.replies = [0, 0]  # sent to them
        self.codes = [0] * 256  # replies by their code
        self.retransmissions = 0  # accepted requests that came once more, and were answered so
        self.left_out = 0  # bindings of others that there was no room for
        self.discarded: Counter[str] = Counter()  # by the rule's name, or another reason
        self.revocations_acknowledged = 0  # of ours
        self.revocations_received = 0  # of Foreign Agents, and valid

    def mib(self) -> dict[str, int]:
        """The scalars of haRegistration that a Home Agent without ARP has."""
        counted = {name: self.codes[code] for name, code in BY_CODE.items()}
        return counted | {
            "haRegRequestsReceived": sum(self.requests),
            "haDeRegRequestsReceived": self.requests[1],
            "haRegRepliesSent": sum(self.replies),
            "haDeRegRepliesSent": self.replies[1],
        }
