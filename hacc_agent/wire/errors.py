"""What is wrong with a message, and what its receiver does about it.

Nearly everything wrong on the wire is discarded silently: a registration carries its proof at its
end, and who cannot read it to the end cannot know who sent it (RFC 5944, 1.8 and 3.8.2.1). What
may be answered says with which code, and to answer it stays the engine's decision: a denial needs
an authenticator too, and never goes out for a message whose own does not hold.
"""

from __future__ import annotations

from .registry import ReplyCode


class WireError(Exception):
    """Base of everything that this room raises. Without codes the message is dropped, counted."""

    home_agent_code: ReplyCode | None = None
    """What a Home Agent may answer; None: silently discard."""

    foreign_agent_code: ReplyCode | None = None
    """What a Foreign Agent may answer the mobile node; None: silently discard."""


class Truncated(WireError):
    """The octets end before the message or one of its extensions does: silently discard."""


class Corrupted(WireError):
    """The ICMP checksum does not hold: silently discard (RFC 1256, 4.2 and 5.2)."""


class NotUnderstood(WireError):
    """Neither known nor skippable: a message type, an extension below 128: silently discard.

    RFC 5944, 1.8: the message that holds such an extension MUST be silently discarded.
    """


class PoorlyFormed(WireError):
    """A known extension that may not be skipped, of a length or value that its RFC excludes.

    In a Registration Request it is code 134 from a Home Agent (RFC 5944, 3.8.2.3) and 70 from a
    Foreign Agent (3.7.2.1); in a Registration Reply the Foreign Agent tells its mobile node 71;
    elsewhere nobody is told. The bounds of all extensions hold, so that `peek` can find the
    authenticator that has to be verified before anything is answered.
    """

    def __init__(
        self,
        message: str,
        *,
        home_agent_code: ReplyCode | None = None,
        foreign_agent_code: ReplyCode | None = None,
    ) -> None:
        super().__init__(message)
        self.home_agent_code = home_agent_code
        self.foreign_agent_code = foreign_agent_code


class Unencodable(WireError, ValueError):
    """A value of ours does not fit its field: our own mistake, never a peer's."""
