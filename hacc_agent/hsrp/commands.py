"""`hacc-agent hsrp ...`: each command loads what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

from .file import Unusable, load


def run(command: str, config: Path, group: str | None, *, as_json: bool) -> int:
    """The exit code: 0 done, 1 a file that is not right, 3 nobody answers."""
    try:
        match command:
            case "run":
                from . import service

                return service.run(config)
            case "withdraw":
                from . import service

                return service.clear_away(config)
            case "check":
                found = load(config)
                print(f"{config}: {found.name} has {len(found.groups)} standby groups")
                return 0
            case "resign":
                from . import show

                return show.resign(config, group, as_json=as_json)
            case _:
                from . import show

                return show.show(config, as_json=as_json)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
