"""The Hot Standby Router Protocol, as decisions: RFC 2281 and its version 2.

table      states, events and actions of the RFC's section 5.7
group      one standby group that walks it
speaker    all groups of a router: `receive`, `next_deadline`, `handle_timer`, `stop`
effects    what a shell is asked to do, in which order
"""

from __future__ import annotations

from .effects import (
    Alarm,
    Changed,
    Effect,
    GratuitousArp,
    Own,
    Place,
    Release,
    Send,
    Suspicion,
)
from .group import Group
from .speaker import Speaker

__all__ = [
    "Alarm",
    "Changed",
    "Effect",
    "GratuitousArp",
    "Group",
    "Own",
    "Place",
    "Release",
    "Send",
    "Speaker",
    "Suspicion",
]
