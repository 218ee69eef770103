"""How much a second is let through: token buckets of the cluster and of each member.

Who is refused is told so with code 130 and comes back later; what is let through is what the
members can bear, so that an attach storm after an outage does not become the next outage.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...config import Admission as Limits

BURST = 0.25
"""s: what may come at once is this part of a second's worth, and at least one."""


# Buckets stand in pairs, registrations and new bindings: those of the cluster, then each member's.
_CLUSTER: Final = 0
_FIRST_MEMBER: Final = 2
_NEW: Final = 1


class Admission:
    """Whether registrations may go on to a member.

    A bucket's tokens come back at a steady rate, up to a burst. Compiled code takes them as well.
    """

    def __init__(self, limits: Limits, members: int) -> None:
        of_member = [limits.member_registrations, limits.member_new_bindings]
        rates = [limits.registrations, limits.new_bindings, *of_member * members]
        self._rates: NDArray[Any] = np.array(rates, np.float64)  # /s
        self._bursts = np.maximum(self._rates * BURST, 1.0)
        self.tokens: NDArray[Any] = self._bursts.copy()
        self._tokens = self.tokens.data  # one number is read and written quicker through it
        self._at: float | None = None  # of the last refill, s of the steady clock

    def refill(self, now: float) -> None:
        """Brings all buckets up to this moment; one call serves a whole batch."""
        if now == self._at:
            return
        if self._at is not None:
            self.tokens += (now - self._at) * self._rates
            np.minimum(self.tokens, self._bursts, out=self.tokens)
        self._at = now

    def take(self, member: int, *, new: bool) -> bool:
        """Lets a request through to a member, or not: who is refused uses nothing up."""
        tokens, own = self._tokens, _FIRST_MEMBER + 2 * member
        wanted = (_CLUSTER, own, _CLUSTER + _NEW, own + _NEW) if new else (_CLUSTER, own)
        if any(tokens[bucket] < 1 for bucket in wanted):
            return False
        for bucket in wanted:
            tokens[bucket] -= 1
        return True
