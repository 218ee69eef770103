"""How much a second is let through: token buckets of the cluster and of each member.

Who is refused is told so with code 130 and comes back later; what is let through is what the
members can bear, so that an attach storm after an outage does not become the next outage.
"""

from __future__ import annotations

from ...config import Admission as Limits

BURST = 0.25
"""s: what may come at once is this part of a second's worth, and at least one."""


class Bucket:
    """Tokens that come back at a steady rate, up to a burst."""

    __slots__ = ("_at", "burst", "rate", "tokens")

    def __init__(self, rate: int) -> None:
        self.rate = rate  # /s
        self.burst = max(1.0, rate * BURST)
        self.tokens = self.burst
        self._at: float | None = None  # of the last refill, s of the steady clock

    def refill(self, now: float) -> None:
        if self._at is not None:
            self.tokens = min(self.burst, self.tokens + (now - self._at) * self.rate)
        self._at = now


class Admission:
    """Whether registrations may go on to a member, and how many of them at once."""

    def __init__(self, limits: Limits, members: int) -> None:
        self._registrations = Bucket(limits.registrations)
        self._new = Bucket(limits.new_bindings)
        self._of_member = [Bucket(limits.member_registrations) for _ in range(members)]
        self._new_of_member = [Bucket(limits.member_new_bindings) for _ in range(members)]

    def refill(self, now: float) -> None:
        """Brings all buckets up to this moment; one call serves a whole batch."""
        self._registrations.refill(now)
        self._new.refill(now)
        for bucket in self._of_member:
            bucket.refill(now)
        for bucket in self._new_of_member:
            bucket.refill(now)

    def fits(self, requests: int, new: int) -> bool:
        """Whether this many pass, whichever member they are for."""
        return (
            self._registrations.tokens >= requests
            and self._new.tokens >= new
            and all(bucket.tokens >= requests for bucket in self._of_member)
            and all(bucket.tokens >= new for bucket in self._new_of_member)
        )

    def take(self, member: int, requests: int, new: int) -> bool:
        """Lets requests through to a member, or none of them: who is refused uses nothing up."""
        wanted = (
            (self._registrations, requests),
            (self._of_member[member], requests),
            (self._new, new),
            (self._new_of_member[member], new),
        )
        if any(bucket.tokens < count for bucket, count in wanted):
            return False
        for bucket, count in wanted:
            bucket.tokens -= count
        return True
