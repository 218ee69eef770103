"""What of a configuration can change while registrations go on (SIGHUP), and what cannot."""

from __future__ import annotations

from typing import Final

from .config import AgentConfig, Role
from .packets import mobile_networks
from .roles import rows_for

NEEDS_RESTART: Final = (
    "cluster",
    "name",
    "role",
    "home_agent_address",
    "lans",
    "controllers",
    "transport",
    "port",
    "link",
    "state_directory",
    "durability",
    "data_plane",
    "runtime_directory",
)
"""Sockets, the log, and what its records mean."""


def why_not(old: AgentConfig, new: AgentConfig, rows: int) -> str:
    """Why the daemon cannot change from one to the other while it runs; nothing if it can.

    `rows` is the room of its table, which cannot grow.
    """
    changed = [name for name in NEEDS_RESTART if getattr(old, name) != getattr(new, name)]
    if changed:
        return f"{', '.join(changed)}: a change of this needs a restart"
    before = [member.name for member in old.members]
    if [member.name for member in new.members[: len(before)]] != before:
        # A binding's slot is a number that counts members in their order.
        return "members: others than before in the same places need a restart with --resync"
    if new.role is not Role.CONTROLLER and mobile_networks(old) != mobile_networks(new):
        return "mobile_networks: the first of them, or none any more, needs a restart"
    if rows_for(new) > rows:
        return f"members, max_bindings: room for {rows_for(new)} bindings needs a restart"
    return ""
