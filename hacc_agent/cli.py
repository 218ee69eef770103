"""`hacc-agent` on a router: the daemon, and what it can be asked."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __version__
from .places import CONFIG, HSRP

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
        options = _parser().parse_args(arguments)
    except SystemExit as end:  # argparse has said why; its 2 means "changes pending" with us
        return 1 if end.code else 0
    # Each command loads what it needs: numpy and the kernel's interfaces are the daemon's alone,
    # and asking a daemon, which every `hacc verify` does, needs not even the configuration.
    if options.command == "hsrp":
        return _hsrp(options)
    if options.command in ("check-config", "run"):
        return _with_file(options)
    return _ask(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hacc-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=f"hacc-agent {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog=parser.prog
    )

    check = commands.add_parser("check-config", help="would the daemon start with this file?")
    check.add_argument("file", type=Path, metavar="FILE")

    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument("-c", "--config", type=Path, default=Path(CONFIG), metavar="FILE")
    run = commands.add_parser(
        "run", parents=[configured], help="run the daemon until it is told to stop"
    )
    run.add_argument(
        "--resync",
        action="store_true",
        help="set the journal aside and take the bindings from the cluster's other routers",
    )

    asking = argparse.ArgumentParser(add_help=False, parents=[configured])
    asking.add_argument("--json", action="store_true", help="one JSON document a line")
    commands.add_parser("status", parents=[asking], help="what the daemon does, and how much")
    bindings = commands.add_parser("bindings", parents=[asking], help="who is bound, and where")
    bindings.add_argument("mobile", nargs="?", metavar="NAI|ADDRESS")
    bindings.add_argument("--member", metavar="NAME", help="those that this member serves")
    bindings.add_argument("--limit", type=int, default=LIMIT, metavar="N", help=f"usually {LIMIT}")
    dataplane = commands.add_parser(
        "dataplane", parents=[asking], help="who moves packets, and how many went where"
    )
    dataplane.add_argument("home", nargs="?", metavar="ADDRESS", help="where one's packets go")
    dataplane.add_argument(
        "--programs", action="store_true", help="the programs or rules that see each packet, too"
    )
    resync = commands.add_parser(
        "resync", parents=[asking], help="take bindings from the routers that have them"
    )
    resync.add_argument("router", nargs="?", metavar="ROUTER", help="usually from all")
    events = commands.add_parser("events", parents=[asking], help="what has happened, latest last")
    events.add_argument("--limit", type=int, default=LIMIT, metavar="N", help=f"usually {LIMIT}")
    commands.add_parser(
        "neighbours",
        parents=[asking],
        help="who was heard on the LANs, who is missing, and who is not expected there",
    )
    for order, what in ORDERS.items():
        commands.add_parser(order, parents=[asking], help=what).add_argument(
            "member", metavar="MEMBER"
        )
    why = commands.add_parser(
        "why", parents=[asking], help="which member a mobile node has, or would get, and why"
    )
    why.add_argument("mobile", metavar="NAI|ADDRESS")
    _add_hsrp(commands)
    return parser


def _add_hsrp(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument("-c", "--config", type=Path, default=Path(HSRP), metavar="FILE")
    hsrp = commands.add_parser(
        "hsrp", parents=[configured], help="the standby groups of this router, and their speaker"
    )
    hsrp.add_argument("--json", action="store_true", help="one JSON document a line")
    hsrp.add_argument(
        "do",
        nargs="?",
        choices=("show", "run", "check", "resign", "withdraw"),
        default="show",
        help="show the groups (usual); run the speaker; check its file; let the standby routers "
        "have what is active here; take away what a dead speaker has left",
    )
    hsrp.add_argument("group", nargs="?", metavar="GROUP", help="with resign: not all of them")


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
    if options.command in ORDERS:
        return asking.order(options.config, options.json, options.command, options.member)
    return asking.resync(options.config, options.json, options.router)
