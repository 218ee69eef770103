"""`hacc-agent` on a router: the daemon, and what it can be asked."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from . import __version__
from .places import API, CACHE, CONFIG, HSRP

LIMIT = 100
ORDERS = {
    "drain": "move all that a member serves to others, slowly (on a controller)",
    "failover": "move all that a member serves to others, at once (on a controller)",
    "undrain": "take such an order back: its slots return, slowly (on a controller)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code: 0 done, 1 usage or a file that is not right,
    3 the daemon does not answer.
    """
    try:
        words = sys.argv[1:] if arguments is None else arguments
        options = _parser(words).parse_args(words)
    except SystemExit as end:  # argparse has said why; its 2 means "changes pending" with us
        return 1 if end.code else 0
    # Each command loads what it needs: numpy and the kernel's interfaces are the daemon's alone,
    # and asking a daemon, which every `hacc verify` does, needs not even the configuration.
    if options.command == "hsrp":
        return _hsrp(options)
    if options.command == "api":
        from .api.commands import run as serve

        return serve(options.do, options.config)
    if options.command in ("check-config", "run"):
        return _with_file(options)
    if options.command == "compile":
        return _compile(options)
    return _ask(options)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Of the command that stands there; of all of them, which takes 7 ms, when none does."""
    parser = argparse.ArgumentParser(prog="hacc-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=f"hacc-agent {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog=parser.prog
    )
    named = words[0] if words and words[0] in COMMANDS else None
    for name, (what, arguments) in COMMANDS.items():
        if named in (None, name):
            arguments(commands.add_parser(name, help=what))
    return parser


def _compiling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(CACHE),
        metavar="FOLDER",
        help=f"usually the service's, {CACHE}",
    )


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")


def _configured(parser: argparse.ArgumentParser, file: str = CONFIG) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path(file), metavar="FILE")


def _run(parser: argparse.ArgumentParser) -> None:
    _configured(parser)
    parser.add_argument(
        "--resync",
        action="store_true",
        help="set the journal aside and take the bindings from the cluster's other routers",
    )


def _asking(parser: argparse.ArgumentParser, file: str = CONFIG) -> None:
    _configured(parser, file)
    parser.add_argument("--json", action="store_true", help="one JSON document a line")


def _limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=LIMIT, metavar="N", help=f"usually {LIMIT}")


def _bindings(parser: argparse.ArgumentParser) -> None:
    _asking(parser)
    parser.add_argument("mobile", nargs="?", metavar="NAI|ADDRESS")
    parser.add_argument("--member", metavar="NAME", help="those that this member serves")
    _limit(parser)


def _dataplane(parser: argparse.ArgumentParser) -> None:
    _asking(parser)
    parser.add_argument("home", nargs="?", metavar="ADDRESS", help="where one's packets go")
    parser.add_argument(
        "--programs", action="store_true", help="the programs or rules that see each packet, too"
    )


def _resync(parser: argparse.ArgumentParser) -> None:
    _asking(parser)
    parser.add_argument("router", nargs="?", metavar="ROUTER", help="usually from all")


def _events(parser: argparse.ArgumentParser) -> None:
    _asking(parser)
    _limit(parser)


def _member(parser: argparse.ArgumentParser) -> None:
    _asking(parser)
    parser.add_argument("member", metavar="MEMBER")


def _announcement(parser: argparse.ArgumentParser) -> None:
    _asking(parser)
    parser.add_argument("drill", metavar="NAME")
    parser.add_argument("phase", metavar="PHASE", help="begins, fault, mended or ends")
    parser.add_argument("what", nargs="?", default="", metavar="WORDS")


def _mobile(parser: argparse.ArgumentParser) -> None:
    _asking(parser)
    parser.add_argument("mobile", metavar="NAI|ADDRESS")


def _speaker(parser: argparse.ArgumentParser) -> None:
    _asking(parser, HSRP)
    parser.add_argument(
        "do",
        nargs="?",
        choices=("show", "run", "check", "resign", "withdraw"),
        default="show",
        help="show the groups (usual); run the speaker; check its file; let the standby routers "
        "have what is active here; take away what a dead speaker has left",
    )
    parser.add_argument("group", nargs="?", metavar="GROUP", help="with resign: not all of them")


def _api(parser: argparse.ArgumentParser) -> None:
    _configured(parser, API)
    parser.add_argument(
        "do", nargs="?", choices=("run", "check"), default="run", help="serve (usual); check a file"
    )


COMMANDS: Final[Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]] = {
    "check-config": ("would the daemon start with this file?", _check),
    "run": ("run the daemon until it is told to stop", _run),
    "compile": (
        "compile what packets pass through under load: after an upgrade, before the restart",
        _compiling,
    ),
    "status": ("what the daemon does, and how much", _asking),
    "bindings": ("who is bound, and where", _bindings),
    "dataplane": ("who moves packets, and how many went where", _dataplane),
    "resync": ("take bindings from the routers that have them", _resync),
    "events": ("what has happened, latest last", _events),
    "neighbours": (
        "who was heard on the LANs, who is missing, and who is not expected there",
        _asking,
    ),
    **{order: (what, _member) for order, what in ORDERS.items()},
    "why": ("which member a mobile node has, or would get, and why", _mobile),
    "announce": ("say among the events that a drill is going on", _announcement),
    "hsrp": ("the standby groups of this router, and their speaker", _speaker),
    "api": ("serve the live view over HTTPS", _api),
}
"""What each does, and the arguments that it takes."""


def _hsrp(options: argparse.Namespace) -> int:
    from .hsrp.commands import run

    return run(options.do, options.config, options.group, as_json=options.json)


def _with_file(options: argparse.Namespace) -> int:
    from .agentfile import Unusable, load

    try:
        if options.command == "run":
            gc.disable()  # what is loaded now stays: to search it for garbage takes 19 ms
            from .service import run

            gc.enable()
            return run(options.config, resync=options.resync)
        found = load(options.file)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{options.file}: {found.name} is a {found.role} of {found.cluster}, "
        f"{len(found.members)} members, {len(found.realms)} realms, {len(found.nodes)} nodes"
    )
    return 0


def _compile(options: argparse.Namespace) -> int:
    try:
        options.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        print(f"{options.cache}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    os.environ["NUMBA_CACHE_DIR"] = str(options.cache)  # before anything of it is loaded
    from .quickening import compile_all

    compile_all()
    return 0


def _ask(options: argparse.Namespace) -> int:
    from . import asking

    if options.command == "status":
        return asking.status(options.config, options.json)
    if options.command == "bindings":
        wanted = {"mobile": options.mobile, "member": options.member, "limit": options.limit}
        return asking.bindings(options.config, options.json, **wanted)
    if options.command == "dataplane":
        wanted = {"home": options.home, "programs": options.programs}
        return asking.dataplane(options.config, options.json, **wanted)
    if options.command == "events":
        return asking.events(options.config, options.json, options.limit)
    if options.command == "neighbours":
        return asking.neighbours(options.config, options.json)
    if options.command == "why":
        return asking.why(options.config, options.json, options.mobile)
    if options.command == "announce":
        told = (options.drill, options.phase, options.what)
        return asking.announce(options.config, options.json, *told)
    if options.command in ORDERS:
        return asking.order(options.config, options.json, options.command, options.member)
    return asking.resync(options.config, options.json, options.router)
