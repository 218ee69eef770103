"""What `hacc-agent hsrp` tells: rows, printed like `show standby brief`, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..control import Refused, Unanswered, ask
from ..engine.hsrp.group import Group, Neighbour
from ..wire.hsrp import State, virtual_mac
from .file import load

NOT_ANSWERED = 3  # the exit code for a router that failed
Row = Mapping[str, Any]


def row(group: Group, now: float) -> dict[str, Any]:
    """A group, as JSON has it."""
    settings = group.settings
    own, next_hello = group.own_address, group.next_hello

    def who(role: State, neighbour: Neighbour | None) -> str | None:
        if group.state is role:
            return "local"
        return str(neighbour.address) if neighbour is not None and neighbour.until > now else None

    return {
        "interface": settings.interface,
        "group": settings.group,
        "version": settings.version,
        "name": settings.name,
        "state": group.state.name.title() if group.state is not State.INITIAL else "Init",
        "since_s": round(now - group.since, 3),
        "changes": group.changes,
        "priority": group.priority,
        "configured_priority": settings.priority,
        "preempts": settings.preempt,
        "address": str(group.address) if group.address is not None else None,
        "own_address": str(own) if own is not None else None,
        "active": who(State.ACTIVE, group.active),
        "standby": who(State.STANDBY, group.standby),
        "virtual_mac": virtual_mac(settings.version, settings.group).to_bytes(6, "big").hex(":"),
        "hello_ms": group.hello_ms,
        "hold_ms": group.hold_ms,
        "next_hello_s": round(max(0.0, next_hello - now), 3) if next_hello is not None else None,
    }


def brief(rows: Iterable[Row]) -> str:
    """As `show standby brief` prints it."""
    lines = [
        "                     P indicates configured to preempt.",
        "                     |",
        "Interface   Grp  Pri P State   Active          Standby         Virtual IP",
    ]
    lines += [
        f"{one['interface']:<11} {one['group']:<4} {one['priority']:<3} "
        f"{'P' if one['preempts'] else ' '} {one['state']:<7} "
        f"{one['active'] or 'unknown':<15} {one['standby'] or 'unknown':<15} "
        f"{one['address'] or 'unknown'}"
        for one in rows
    ]
    return "\n".join(lines)


def show(config: Path, *, as_json: bool) -> int:
    """Prints the groups of the speaker that runs; the exit code. Raises `Unusable`."""
    return _asked(config, "hsrp", lambda rows: print(brief(rows)), as_json)


def resign(config: Path, group: str | None, *, as_json: bool) -> int:
    """Hands the active role over to the standby routers; the exit code. Raises `Unusable`."""

    def tell(rows: Iterable[Row]) -> None:
        found = [f"{one['group']}: {one['state']}" for one in rows]
        print("\n".join(found or ["Nothing to hand over: not active, or there is no standby."]))

    return _asked(config, "resign", tell, as_json, group=group)


def _asked(config: Path, command: str, tell: Any, as_json: bool, **arguments: Any) -> int:
    folder = Path(load(config).runtime_directory)
    try:
        rows = [*ask(folder, command, **arguments)]
    except (Unanswered, Refused) as error:
        print(error, file=sys.stderr)
        return NOT_ANSWERED
    if as_json:
        for one in rows:
            print(json.dumps(one))
    else:
        tell(rows)
    return 0
