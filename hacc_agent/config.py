"""What the compiler writes and the daemon reads: the one contract between the two halves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentConfig:
    name: str
