"""`hacc schedule`: let systemd, or cron, check at regular times."""

from __future__ import annotations

import re
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from .. import who
from ..check.command import check
from ..errors import HaccError, Place, Problem
from ..history.recording import location_of
from ..options import DEFAULT_ROOT, AsJson, InventoryRoot, print_json
from ..pipeline import work_of
from ..settings import load_settings
from ..spans import span
from .calendar import ALLOWED, every
from .systemd import Manager
from .units import Schedule, cron_line, files

app = typer.Typer(no_args_is_help=True, help="Let systemd, or cron, check at regular times.")

# Settings for a command's remainder: everything after `--` is the check's own.
_REST = {"allow_extra_args": True, "allow_interspersed_args": False}

Every = Annotated[str, typer.Option("--every", help=f"How often: {ALLOWED}.")]
Jitter = Annotated[
    str,
    typer.Option("--jitter", help="Spread runs over so long; default: a fifth, at most 15m."),
]
Within = Annotated[str, typer.Option("--within", help="End a run that takes longer.")]
User = Annotated[
    bool, typer.Option("--user/--system", help="For your own systemd instead of the machine's.")
]
Name = Annotated[
    str, typer.Option("--name", help="Of the units; default: hacc-check- and the folder's name.")
]


@app.command(context_settings=_REST)
def install(
    context: typer.Context,
    root: InventoryRoot = DEFAULT_ROOT,
    often: Every = "1h",
    jitter: Jitter = "",
    within: Within = "30m",
    user: User = False,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Check at regular times, by a timer of systemd. What follows -- goes to the check."""
    schedule = _schedule(context.args, root, often, jitter, within, user, name)
    manager = Manager(user)
    units = files(schedule)
    work_of(root).mkdir(mode=0o700, exist_ok=True)  # the service may write there, not make it
    changed = manager.install(units)
    if as_json:
        print_json({"changed": changed, "units": [str(manager.folder / unit) for unit in units]})
        return
    if not changed:
        typer.echo("nothing to do: it is installed and runs")
        return
    for unit in units:
        typer.echo(str(manager.folder / unit))
    if not schedule.environment.exists():
        typer.echo(f"secrets by env: are read from {schedule.environment}, mode 0600", err=True)
    if user:
        typer.echo("to run when you are not logged in: loginctl enable-linger", err=True)


@app.command(context_settings=_REST)
def cron(
    context: typer.Context,
    root: InventoryRoot = DEFAULT_ROOT,
    often: Every = "1h",
    jitter: Jitter = "",
    within: Within = "30m",
) -> None:
    """Print the same as a line for a crontab: (crontab -l; hacc schedule cron) | crontab -"""
    schedule = _schedule(context.args, root, often, jitter, within, True, "")
    typer.echo(cron_line(schedule, who.machine()))


@app.command()
def show(
    root: InventoryRoot = DEFAULT_ROOT, user: User = False, name: Name = "", as_json: AsJson = False
) -> None:
    """What is installed, and when it runs next."""
    manager = Manager(user)
    found = manager.show(_units(root, name))
    if as_json:
        print_json(found)
        return
    if not found:
        raise _nothing(manager, root, name)
    for unit, text in found.items():
        typer.echo(f"# {unit}\n{text}" if unit == "state" else f"# {manager.folder / unit}\n{text}")


@app.command()
def remove(
    root: InventoryRoot = DEFAULT_ROOT, user: User = False, name: Name = "", as_json: AsJson = False
) -> None:
    """Stop checking at regular times. The history stays."""
    manager = Manager(user)
    removed = manager.remove(_units(root, name))
    if as_json:
        print_json({"removed": removed})
    elif not removed:
        raise _nothing(manager, root, name)


def _nothing(manager: Manager, root: Path, name: str) -> HaccError:
    (service, _) = _units(root, name)
    other = "--system" if manager.user else "--user"
    return HaccError(
        Problem(Place(str(manager.folder / service), 0), "schedule", "nothing is installed",
                hint=f"hacc schedule install; or was it {other}?")
    )  # fmt: skip


def _units(root: Path, name: str) -> tuple[str, str]:
    base = name or _default_name(root)
    return f"{base}.service", f"{base}.timer"


def _default_name(root: Path) -> str:
    site = re.sub(r"[^A-Za-z0-9_.-]+", "-", root.resolve().parent.name).strip("-.")
    return f"hacc-check-{site or 'site'}"


def _schedule(
    arguments: list[str],
    root: Path,
    often: str,
    jitter: str,
    within: str,
    user: bool,
    name: str,
) -> Schedule:
    """What the options say. Raises HaccError for what would fail at every run."""
    if not root.is_dir():
        raise HaccError(Problem(Place(str(root), 0), "inventory", "no such folder"))
    if name and not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name):
        raise HaccError(
            Problem(None, "--name", f"{name!r} is no unit's name", "letters, digits, -")
        )
    root = root.resolve()
    settings = load_settings(root)
    if settings.notify and "--notify" not in arguments:
        arguments = [*arguments, "--notify"]
    regular = every(often)
    kept = [work_of(root)]
    if settings.history.url.startswith("sqlite:"):
        file = location_of(root, "", settings).sqlite
        kept += [file.parent] if file else []
    return Schedule(
        name=name or _default_name(root),
        program=_program(),
        root=root,
        arguments=tuple(arguments),
        every=regular,
        spread=_jitter(jitter, regular.spread),
        within=span(within, "--within"),
        environment=work_of(root) / "environment",
        writable=tuple(dict.fromkeys([*kept, *_written(arguments, root)])),
        run_as="" if user else who.name_of(root.stat().st_uid),
    )


def _written(arguments: list[str], root: Path) -> list[Path]:
    """The folders that a check with these writes into. Raises HaccError for what is wrong."""
    program = typer.Typer()
    program.command()(check)
    if any(word in ("-i", "--inventory") or word.startswith("--inventory=") for word in arguments):
        raise HaccError(
            Problem(None, "--inventory", "is the schedule's own option", hint="write it before --")
        )
    try:
        held = typer.main.get_command(program).make_context("hacc check", [*arguments]).params
    except typer.TyperException as error:
        raise HaccError(
            Problem(None, "hacc check", str(error), hint="what follows -- is for it")
        ) from None
    reports = [word.rpartition("=")[2] for word in held["output"] or ()]
    names = [*(word for word in reports if word != "-"), *filter(None, [held["metrics"]])]
    # The service runs in the inventory's own folder, wherever this is typed.
    folders = [(root.parent / name).resolve().parent for name in names]
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise HaccError(
            Problem(Place(str(folder), 0), "hacc check", "no such folder") for folder in missing
        )
    return folders


def _jitter(text: str, usual: timedelta) -> timedelta:
    if text == "0":
        return timedelta()
    return span(text, "--jitter") if text else usual


def _program() -> tuple[str, ...]:
    """How hacc is started from anywhere on this machine: as it was now."""
    called = Path(sys.argv[0])
    if called.name == "hacc":
        found = shutil.which(str(called))
        if found:
            return (str(Path(found).absolute()),)
    return (sys.executable, "-m", "hacc_agent.orchestrator")
