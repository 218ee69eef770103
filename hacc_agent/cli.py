"""`hacc-agent` on a router: the daemon, and what it can be asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __version__
from .agentfile import Unusable, load

CONFIG = Path("/etc/hacc/agent.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code: 0 done, 1 usage or a file that is not right."""
    parser = argparse.ArgumentParser(prog="hacc-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=f"hacc-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check-config", help="would the daemon start with this file?")
    check.add_argument("file", type=Path, metavar="FILE")
    run = commands.add_parser("run", help="run the daemon until it is told to stop")
    run.add_argument("-c", "--config", type=Path, default=CONFIG, metavar="FILE")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:  # argparse has said why; its 2 means "changes pending" with us
        return 1 if end.code else 0
    try:
        match options.command:
            case "check-config":
                return _check_config(options.file)
            case "run":
                # Only the daemon needs numpy and the kernel's interfaces.
                from .service import run as serve

                return serve(options.config)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    raise AssertionError(options.command)


def _check_config(file: Path) -> int:
    found = load(file)
    print(
        f"{file}: {found.name} is a {found.role} of {found.cluster}, "
        f"{len(found.members)} members, {len(found.realms)} realms, {len(found.nodes)} nodes"
    )
    return 0
