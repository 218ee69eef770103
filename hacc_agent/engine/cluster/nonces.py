"""Who told a mobile node its nonce, as long as it is nobody's yet.

A mobile node without a binding is denied first where nonces protect from replays: the denial tells
the nonce for its next request (RFC 5944, 5.7.2). Only the member that told it accepts it, so that
request has to go there, however the loads have changed. Who takes over does not know; then the next
denial tells the next nonce.
"""

from __future__ import annotations

from typing import Final

from ...config import AgentConfig, Replay

KEPT: Final = 120
"""s, as long as a member waits for a nonce that it told (`home_agent.acceptance`)."""

MOST: Final = 65_536
"""Mobile nodes at once, the oldest go: they are denied once more."""


def used(config: AgentConfig) -> bool:
    """Whether any mobile node of the cluster has nonces."""
    securities = [node.security for node in config.nodes]
    securities += [realm.security for realm in config.realms]
    replays = {config.replay, *(security.replay for security in securities if security)}
    return Replay.NONCE in replays


class Nonces:
    """Mobile nodes that were told one, each with the slot that its request was sent by."""

    def __init__(self, config: AgentConfig) -> None:
        self._used = used(config)
        self._slots: dict[tuple[int, bytes | None], tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def told(self, home_address: int, nai: bytes | None, slot: int, now: float) -> None:
        """By the member of this slot."""
        if not self._used:
            return
        key = home_address, nai
        self._slots.pop(key, None)  # to stand last: the order is that of time
        self._slots[key] = slot, now + KEPT
        if len(self._slots) > MOST:
            del self._slots[next(iter(self._slots))]

    def slot_of(self, home_address: int, nai: bytes | None) -> int | None:
        """Of the member that told it one."""
        found = self._slots.get((home_address, nai))
        return None if found is None else found[0]

    def forget(self, home_address: int, nai: bytes | None) -> None:
        """It has a binding, which says where it is served."""
        self._slots.pop((home_address, nai), None)

    def expire(self, now: float) -> None:
        while self._slots:
            oldest = next(iter(self._slots))
            if self._slots[oldest][1] > now:
                break
            del self._slots[oldest]
