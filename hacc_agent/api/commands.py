"""`hacc-agent api ...`: each command loads what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

from .file import Unusable, load, tls

EXTRA = "hacc-agent api needs the library {!r}: pip install 'hacc[api]'"


def run(command: str, config: Path) -> int:
    """The exit code: 0 done, 1 a file that is not right, or a library that is not there."""
    try:
        if command == "check":
            found = load(config)
            tls(found, config)
            callers = len(found.tokens) + len(found.clients)
            print(f"{config}: https://{found.address}:{found.port}, {callers} callers")
            return 0
        try:
            from . import service
        except ModuleNotFoundError as missing:
            print(EXTRA.format((missing.name or "").partition(".")[0]), file=sys.stderr)
            return 1
        return service.run(config)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
