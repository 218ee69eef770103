"""`hacc-agent` on a router. `check-config` tells whether the daemon would start with a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __version__, config


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code: 0 done, 1 usage or a file that is not right."""
    parser = argparse.ArgumentParser(prog="hacc-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=f"hacc-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check-config", help="would the daemon start with this file?")
    check.add_argument("file", type=Path, metavar="FILE")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:  # argparse has said why; its 2 means "changes pending" with us
        return 1 if end.code else 0
    return _check_config(options.file)


def _check_config(file: Path) -> int:
    try:
        text = file.read_text("utf-8")
        found = config.parse(text, str(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        print(f"{file}: {reason}", file=sys.stderr)
        return 1
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    if found.sealed:
        number = next(
            n for n, line in enumerate(text.splitlines(), 1) if config.SEALED.search(line)
        )
        print(
            f"{file}:{number}: a secret is still sealed [hint: hacc apply opens it]",
            file=sys.stderr,
        )
        return 1
    print(
        f"{file}: {found.name} is a {found.role} of {found.cluster}, "
        f"{len(found.members)} members, {len(found.realms)} realms, {len(found.nodes)} nodes"
    )
    return 0
