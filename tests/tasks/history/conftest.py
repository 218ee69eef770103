"""The two databases: a file, and a PostgreSQL server of the tests' own on a socket of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tasks.history.place import Location
from tests.tasks.history.records import location


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. Nothing of it is outside its folder, and no port is open."""

    folder: Path
    as_owner: tuple[str, ...]  # it refuses to run as root

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://hacc@/{database}?host={self.folder}"

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [*self.as_owner, *command],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PGHOST": str(self.folder), "PGUSER": "hacc"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, database: str, statement: str) -> str:
        return self.run("psql", "-XAtqc", statement, database).strip()


def _programs() -> Path | None:
    """Debian keeps the server's programs out of the path."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).resolve().parent
    return max((p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), default=None)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server: apt install postgresql")
    _remove_orphans()
    # A socket's path may have 107 octets: this one is short, whatever pytest's own is.
    folder = Path(f"{_FOLDER}{os.getpid()}")
    owner: tuple[str, ...] = ()
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        owner = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
        shutil.chown(folder, "nobody", "nogroup")
    made = Server(folder, owner)
    data = f"{folder}/data"
    try:
        made.run(f"{programs}/initdb", "-D", data, "-U", "hacc", "-A", "trust", "-E", "UTF8",
                 "--no-locale", "--no-sync")  # fmt: skip
        with (folder / "log").open("w") as log, subprocess.Popen(
            # SIGQUIT, its immediate shutdown, when we die: also when we are killed.
            [*(owner or ("setpriv",)), "--pdeathsig=QUIT", f"{programs}/postgres", "-D", data,
             "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"],
            cwd=folder, stdout=log, stderr=log,
        ) as process:  # fmt: skip
            try:
                _wait_for(made, process)
                yield made
            finally:
                process.send_signal(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_FOLDER: Final = "/tmp/hacc-postgresql-t"


def _remove_orphans() -> None:
    """Folders of runs that were killed; their servers have gone with them."""
    for folder in Path("/tmp").glob(f"{Path(_FOLDER).name}*"):
        if not Path(f"/proc/{folder.name.rpartition('t')[2]}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        with suppress(AssertionError):
            server.run("pg_isready", "-q")
            return
        time.sleep(0.1)
    pytest.fail(f"no server: {(server.folder / 'log').read_text()}")


_numbers = count(1)


@pytest.fixture
def postgresql(server: Server, tmp_path: Path) -> Location:
    """A database that nobody has used."""
    name = f"h{next(_numbers)}"
    server.sql("postgres", f"CREATE DATABASE {name}")
    return Location(server.url(name), "west", tmp_path / "pending")


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Location]:
    """What is said of a history is said of both."""
    if request.param == "sqlite":
        return lambda: location(tmp_path)
    held: Location = request.getfixturevalue("postgresql")
    return lambda: held
