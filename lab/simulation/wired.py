"""The cables of a simulated cluster, and its routers' mains: what is lost, late, or never comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from . import latencies
from .supervised import Supervised
from .world import Router


class Wired(Supervised):
    """A cluster whose frames may be lost by a router's own, and whose processes may stand still."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.lossy: dict[str, float] = {}  # routers, and the share of their frames that is lost
        self.off: set[str] = set()  # routers without power
        self.frozen: set[str] = set()  # their kernels go on
        self.moved = True  # something that packets depend on
        super().__init__(*arguments, **options)

    def boot(self, router: Router) -> None:
        super().boot(router)
        self.moved = True

    def loses(self, shares: Mapping[str, float]) -> None:
        """Of the frames of these routers."""
        self.lossy.update(shares)
        self.moved = True

    def separate(self, pair: frozenset[str]) -> None:
        super().separate(pair)
        self.moved = True

    def join(self, pair: frozenset[str]) -> None:
        super().join(pair)
        self.moved = True

    def hears(self, sender: str, receiver: str) -> bool:
        return not {sender, receiver} & self.frozen and super().hears(sender, receiver)

    def carry(self, sender: str, receiver: str, deliver: Callable[[], None]) -> None:
        if not self.hears(sender, receiver):
            return
        lost = 1 - self.share(sender, receiver)
        if not lost or self.random.random() >= lost:
            super().carry(sender, receiver, deliver)

    def link(
        self, one: Router, other: Router, deliver: Callable[[], None], wait: float = 0.0
    ) -> None:
        """TCP: what is lost comes later."""
        again = latencies.RTO_S
        whole = self.share(one.name, other.name)
        if not whole:
            return
        while whole < 1 and self.random.random() >= whole:
            wait += again
            again *= 2
        super().link(one, other, deliver, wait)

    def share(self, *route: str) -> float:
        """Of frames that pass all these."""
        return math.prod(1 - self.lossy[each] for each in route if each in self.lossy)

    def way(self, sender: str, receiver: str) -> float:
        """Of packets that come through. The kernel goes on where processes are frozen."""
        return self.share(sender, receiver) if super().hears(sender, receiver) else 0.0

    def linked(self, one: Router, other: Router) -> bool:
        return self.hears(one.name, other.name) and self.hears(other.name, one.name)
