"""`hacc import`: write what is proposed, and say what is left."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml

from ..devices.fleet import Failure, Fleet
from ..ending import Finished
from ..errors import Exit, HaccError, Place, Problem
from ..hostkeys import HostKeys
from ..inventory import HostFacts, Inventory, load_inventory, nearest
from ..opening import open_all
from ..options import DEFAULT_ROOT, AsJson, InventoryRoot, Strict, print_json
from ..pipeline import Opened, target, work_of
from ..progress import Progress
from ..push import FleetFailed, fetch
from ..rendered import Platform
from ..running import Running
from .comparing import Compared, compared
from .proposal import Proposal, propose
from .reading import read


def propose_intent(
    hosts: Annotated[list[str], typer.Argument(metavar="HOST HOST", help="The pair's routers.")],
    controllers: Annotated[
        list[str] | None,
        typer.Option(
            "--controller", help="A Linux router that is to be a controller; may be repeated."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="The cluster's; default: from its pools.")
    ] = "",
    root: InventoryRoot = DEFAULT_ROOT,
    write: Annotated[
        bool, typer.Option("--write", help="Write clusters/NAME.yaml, if there is none yet.")
    ] = False,
    secrets: Annotated[
        Path | None,
        typer.Option(
            "--secrets",
            metavar="FILE",
            help="Write the secrets that were found, in clear, as `export NAME=...`, for their "
            "owner alone.",
        ),
    ] = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Propose an intent from what a pair of IOS routers runs. Changes nothing on any router.

    What the proposal cannot express is listed line by line: it is what `hacc plan` would change.
    """
    inventory = load_inventory(root)
    pair = _pair(inventory, hosts)
    ends = {one: _addresses(_known(inventory, one)) for one in controllers or ()}
    held = _held(root, pair, strict=strict, as_json=as_json)
    proposal = propose([read(one.host, one.files[0].text or "") for one in held], ends, name)
    found = compared(root, proposal, held)
    if write:
        _create(root / "clusters" / f"{proposal.cluster}.yaml", proposal.text, 0o666)
    if secrets is not None:
        lines = (f"export {name}={_quoted(clear)}\n" for name, clear in proposal.secrets.items())
        _create(secrets, "".join(lines), 0o600)
    if as_json:
        print_json(_value(proposal, found))
    else:
        _show(proposal, found)
    if found.problems:
        raise HaccError(found.problems)
    if any(found.lines.values()):
        raise Finished(Exit.CHANGES)


def _pair(inventory: Inventory, hosts: Sequence[str]) -> list[HostFacts]:
    if len(set(hosts)) != 2:
        raise HaccError(Problem(None, "HOST", f"found {len(set(hosts))}", "two routers, a pair"))
    found = [_known(inventory, host) for host in hosts]
    wrong = [one for one in found if one.platform is not Platform.IOS]
    if wrong:
        raise HaccError(
            Problem(one.place, one.name, f"is {one.platform}", "an IOS router") for one in wrong
        )
    return found


def _known(inventory: Inventory, name: str) -> HostFacts:
    if name not in inventory.hosts:
        raise HaccError(
            Problem(
                Place(str(inventory.root / "hosts.yaml"), 0),
                name,
                "no such host",
                hint=nearest(name, inventory.hosts) or "say how to reach it: hostname and platform",
            )
        )
    return inventory[name]


def _addresses(facts: HostFacts) -> list[str]:
    return [str(port.address.ip) for port in facts.interfaces if port.address]


def _held(root: Path, pair: Sequence[HostFacts], *, strict: bool, as_json: bool) -> list[Running]:
    logins = {
        ref: place
        for one in pair
        for ref, place in ((one.password, one.password_place), (one.enable, one.enable_place))
        if ref is not None
    }
    opened = Opened(open_all(logins, root, os.environ))
    keys = HostKeys(work_of(root) / "known_hosts", strict=strict)
    with (
        Progress(as_json=as_json) as progress,
        Fleet([target(one, opened) for one in pair], keys, listeners=(progress.listen,)) as routers,
    ):
        told = fetch(routers, {one.name: () for one in pair})
    failed = [one for one in told.values() if isinstance(one, Failure)]
    if failed:
        raise FleetFailed(problem for one in failed for problem in one.error.problems)
    return [one for one in told.values() if isinstance(one, Running)]


def _create(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise HaccError(
            Problem(Place(str(path), 0), "file", "is there already", hint="it is left as it is")
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _quoted(clear: str) -> str:
    """For a shell."""
    return "'" + clear.replace("'", "'\\''") + "'"


def _value(proposal: Proposal, found: Compared) -> Mapping[str, object]:
    return {
        "cluster": proposal.cluster,
        "intent": proposal.intent,
        "hosts": proposal.hosts,
        "secrets": sorted(proposal.secrets),
        "problems": [str(problem) for problem in found.problems],
        "not_expressed": found.lines,
        "left_alone": found.kept,
    }


def _show(proposal: Proposal, found: Compared) -> None:
    typer.echo(proposal.text)
    data = {host: {"data": dict(said)} for host, said in proposal.hosts.items()}
    typer.echo("# hosts.yaml must say of these routers:")
    typer.echo(yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=96))
    typer.echo("# secrets to open (--secrets FILE writes those that a router tells):")
    for name, clear in proposal.secrets.items():
        typer.echo(f"#   {name}{'' if clear else '   which no router tells'}")
    for host, lines in found.lines.items():
        typer.echo(
            f"# {host}: " + ("nothing would change" if not lines else "a plan would change:")
        )
        for line in lines:
            typer.echo(f"#   {line}")
    for host, lines in found.kept.items():
        if lines:
            typer.echo(f"# {host}: no intent has words for these, and no plan touches them:")
        for line in lines:
            typer.echo(f"#   {line}")
