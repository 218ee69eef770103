"""Where a router keeps what is the agent's, unless its file says otherwise."""

from __future__ import annotations

from typing import Final

CONFIG: Final = "/etc/hacc/agent.toml"
HSRP: Final = "/etc/hacc/hsrp.toml"
API: Final = "/etc/hacc/api.toml"
STATE: Final = "/var/lib/hacc"  # the journal
CACHE: Final = "/var/cache/hacc"  # compiled code
RUNTIME: Final = "/run/hacc"  # the control socket
