"""What both paths of the controller work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...config import AgentConfig
from .admission import Admission
from .answers import Answers
from .counters import Counters
from .departures import Departures
from .ledger import Ledger
from .members import Members
from .nonces import Nonces
from .revocation import Revocations
from .selection import Selection

TIMEOUT: Final = 2
"""s that a member has for a reply before the request is sent again. A mobile node waits a second at
least and then twice as long (RFC 5944, 3.6.3), so it is ours that finds another member first."""

FOREVER: Final = 0xFFFF_FFFF
"""`expires` of a lifetime that never ends."""


@dataclass(frozen=True, slots=True)
class State:
    config: AgentConfig
    ledger: Ledger
    members: Members
    admission: Admission
    selection: Selection
    answers: Answers
    revocations: Revocations
    nonces: Nonces
    departures: Departures
    counters: Counters
