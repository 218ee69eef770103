"""What a controller counts: one number for each thing that can become of a datagram."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """All since the daemon started. Every datagram is in one line of the first three blocks."""

    # Registration Requests
    relayed: int = 0  # to a member, as a new attempt of the mobile node
    duplicates: int = 0  # relayed again to the member that has it already
    refused: int = 0  # answered ourselves: beyond admission, room or members (130); 129
    repeated: int = 0  # what a member had accepted that died, while the bindings go to its heir
    redirected: int = 0  # answered with 143 ourselves
    unanswered: int = 0  # refused, and without proof that would entitle it to an answer
    # Registration Replies
    accepted: int = 0
    deregistered: int = 0
    denied: int = 0
    unexpected_replies: int = 0  # nobody waits for it; dropped
    wrong_member: int = 0  # from a member that was not asked; dropped
    retracted: int = 0  # it assigned an address that is another mobile node's; not passed on
    # Everything else
    revocations: int = 0  # relayed, and their acknowledgements, both ways
    tunnel_data: int = 0  # packets that the data plane left to us, relayed to a member
    unknown_mobile: int = 0  # of no binding; dropped
    malformed: int = (
        0  # cut off, of an unknown type or with an extension that nobody knows; dropped
    )
    unidentified: int = 0  # a request with neither a home address nor an NAI; dropped
    # What a failover did
    summoned: int = 0  # revocations sent, so that mobile nodes register with a stock heir
    # What time did
    resent: int = 0  # requests once more to the same member
    moved: int = 0  # requests to another member, since theirs did not answer
    given_up: int = 0  # requests that no member answered
    superseded: int = 0  # requests dropped since a newer one of the mobile node was accepted
    expired: int = 0  # bindings whose lifetime ended
