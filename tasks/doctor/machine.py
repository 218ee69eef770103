"""This machine: what an operator's part needs, and what only the lab does."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..errors import HaccError
from ..history.place import Location
from ..history.recording import location_of, waiting
from ..hostkeys import HostKeys
from ..intent import Site, secrets
from ..opening import open_all
from ..secrets import SecretError
from ..settings import Settings
from . import symptom
from .symptom import Symptom

HERE: Final = "this machine"
PYTHON: Final = (3, 11)  # pyproject.toml, requires-python
ROOM: Final = 100_000_000  # octets: some thousand runs of a hundred routers

# Libraries of each extra, what they are for; which of them a site needs is asked of its inventory.
EXTRAS: Final = {
    "postgresql": (("psycopg",), "a history in PostgreSQL"),
    "notify": (("apprise",), "hacc check --notify"),
    "secrets": (("hvac", "keyring"), "secrets by vault: and keyring:"),
    "fleet": (("distributed",), "hacc check --runner dask://"),
    "lab": (("asyncssh",), "hacc lab"),
}
# Programs, what they are for, and Debian's package. Only the first is ever a site's need.
PROGRAMS: Final = (
    ("sops", "secrets by sops:", "see https://getsops.io"),
    ("systemctl", "hacc schedule", "hacc schedule cron does without"),
    ("ip", "hacc lab", "apt install iproute2"),
    ("nft", "hacc lab", "apt install nftables"),
    ("vtysh", "hacc lab", "apt install frr frr-pythontools"),
    ("snmpd", "hacc lab", "apt install snmpd"),
    ("sshd", "hacc lab", "apt install openssh-server"),
    ("keepalived", "hacc lab", "apt install keepalived"),
)
_SBIN: Final = "/usr/sbin:/sbin:/usr/lib/frr"

good, wrong, advice, unknown = (
    partial(make, HERE) for make in (symptom.good, symptom.wrong, symptom.advice, symptom.unknown)
)


def machine(work: Path) -> Iterator[Symptom]:
    """What does not depend on an inventory."""
    yield _python()
    yield from _programs()
    yield _namespaces()
    yield _clock(_kernel_says_synchronised())
    yield _room(work)
    yield from _modes(work)


def of_site(root: Path, work: Path, site: Site, settings: Settings) -> Iterator[Symptom]:
    """What this inventory needs of this machine."""
    uses = secrets(site.clusters, site.inventory.hosts.values())
    uses |= {channel.url: channel.place for channel in settings.notify}
    schemes = {ref.ref.partition(":")[0] for ref in uses}
    needed = {
        "postgresql": settings.history.url.startswith("postgres"),
        "notify": bool(settings.notify),
        "secrets": bool(schemes & {"vault", "keyring"}),
    }
    yield from _extras({name for name, need in needed.items() if need})
    try:
        open_all(uses, root, os.environ)
        yield good("secrets", f"{len(uses)} open")
    except SecretError as error:
        for problem in error.problems:
            yield wrong(
                "secrets", f"{problem.place}: {problem.subject}: {problem.message}", problem.hint
            )
    yield _known_hosts(work, site)
    yield from _history(root, settings)
    yield from _ignored(root, work)


def _python() -> Symptom:
    found = sys.version.split()[0]
    if sys.version_info[:2] < PYTHON:
        return wrong("Python", found, f"Python {'.'.join(map(str, PYTHON))} or later")
    return good("Python", found)


def _extras(needed: Iterable[str]) -> Iterator[Symptom]:
    for extra, (libraries, purpose) in EXTRAS.items():
        missing = [name for name in libraries if find_spec(name) is None]
        remedy = f"pip install 'hacc[{extra}]'"
        if not missing:
            found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
            yield good(f"extra {extra}", found)
        elif extra in needed:
            yield wrong(f"extra {extra}", f"this site needs it for {purpose}", remedy)
        else:
            yield advice(f"extra {extra}", f"not installed: no {purpose}", remedy)


def _programs() -> Iterator[Symptom]:
    path = f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"
    for name, purpose, remedy in PROGRAMS:
        found = shutil.which(name, path=path)
        if found:
            yield good(f"program {name}", found)
        else:
            yield advice(f"program {name}", f"not here: no {purpose}", remedy)


def _namespaces() -> Symptom:
    what = "network namespaces"
    if shutil.which("unshare") is None:
        return unknown(what, "no program unshare to try it with")
    done = subprocess.run(
        ["unshare", "--net", "--mount", "true"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    if done.returncode:
        return advice(what, f"not permitted: {done.stderr.strip()}", "hacc lab needs root")
    return good(what, "permitted")


def _kernel_says_synchronised() -> bool | None:
    """adjtimex(2): TIME_ERROR (5) is a clock that nobody keeps. None: the kernel does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex"):
        return None
    # struct timex has 208 octets on 64-bit Linux; modes, its first field, is 0: a mere question.
    state = libc.adjtimex(ctypes.create_string_buffer(256))
    return None if state < 0 else state != 5


def _clock(synchronised: bool | None) -> Symptom:
    if synchronised is None:
        return unknown("clock", "the kernel does not say whether somebody keeps it")
    if not synchronised:
        return advice("clock", "nobody keeps it: runs and replay protection are timed by it",
                      "apt install chrony, or timedatectl set-ntp true")  # fmt: skip
    return good("clock", "synchronised")


def _room(work: Path) -> Symptom:
    place = next(folder for folder in (work, *work.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    found = f"{free // 1_000_000} MB free at {place}"
    if free < ROOM:
        return wrong("disk", found, "make room: a run without its journal is refused")
    return good("disk", found)


def _modes(work: Path) -> Iterator[Symptom]:
    """What only its owner may read, or write."""
    for name, forbidden in (("", 0o077), ("environment", 0o077), ("known_hosts", 0o022)):
        path = work / name
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        what = f"mode of {path.relative_to(work.parent)}"
        if mode & forbidden:
            letters = "go-rwx" if forbidden == 0o077 else "go-w"
            yield wrong(
                what, f"{mode:04o}: others than its owner may use it", f"chmod {letters} {path}"
            )
        else:
            yield good(what, f"{mode:04o}")


def _known_hosts(work: Path, site: Site) -> Symptom:
    try:
        keys = HostKeys(work / "known_hosts", strict=True)
    except HaccError as error:
        return wrong("host keys", str(error), f"look at {work / 'known_hosts'}")
    hosts = site.inventory.hosts.values()
    new = [host.name for host in hosts if not keys.known(host.hostname, host.port)]
    if new:
        names = ", ".join(new[:5]) + (", ..." if len(new) > 5 else "")
        return advice("host keys", f"{len(new)} of {len(hosts)} routers are not known: {names}",
                      "the first contact keeps a key and shows it; --strict refuses")  # fmt: skip
    return good("host keys", f"all {len(hosts)} routers are known")


def _history(root: Path, settings: Settings) -> Iterator[Symptom]:
    from ..history.store import History
    from ..history.telling import not_delivered

    try:
        location = location_of(root, os.environ.get("HACC_HISTORY", ""), settings)
        yield from _waiting(location)
        if location.sqlite is not None and not location.sqlite.exists():
            yield good("history", "begins with the first run")
            return
        with History.open(location) as history:
            last = history.summaries(last=1)
            mute = [*not_delivered(history, settings.notify)]
        found = f"{location}: {'last run ' + last[0].started if last else 'no runs yet'}"
        yield good("history", found)
        for channel, said in mute:
            what, remedy = f"channel {channel.url.ref}", "look at its URL and at its service"
            yield wrong(what, f"its last message: {said}", remedy)
    except HaccError as error:
        for problem in error.problems:
            yield wrong("history", f"{problem.message}", problem.hint)


def _waiting(location: Location) -> Iterator[Symptom]:
    count = len(waiting(location))
    if count:
        yield advice("history", f"{count} records wait in {location.pending}",
                     "the next run brings them in; if not, it says why")  # fmt: skip


def _ignored(root: Path, work: Path) -> Iterator[Symptom]:
    """Runs and keys do not belong into a repository."""
    if shutil.which("git") is None or not any(
        (p / ".git").exists() for p in root.resolve().parents
    ):
        return
    done = subprocess.run(
        ["git", "-C", str(work.parent), "check-ignore", "-q", str(work)],
        capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    if done.returncode == 1:
        yield wrong(".gitignore", ".hacc would be committed, with what routers hold",
                    f"echo .hacc/ >> {work.parent / '.gitignore'}")  # fmt: skip
    elif done.returncode == 0:
        yield good(".gitignore", ".hacc stays out of the repository")
