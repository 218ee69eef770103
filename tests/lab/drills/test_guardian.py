"""Whatever becomes of a drill, what it broke is mended: killed at any moment, and for real.

`books` is a lab that keeps the books; between any two things that it does is a moment at which the
drill kills itself. A few more are killed while they break real routers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import faults
from lab.lab import Lab
from lab.topology import load_topology
from tests.conftest import ROOT
from tests.lab.drills import books
from tests.lab.labs import until

PATIENCE_S = 120.0


def lived(folder: Path, dies_at: int) -> int:
    """Its exit code, when its guardian has ended as well."""
    command = [sys.executable, str(ROOT / "tests/lab/drills/books.py"), str(folder), str(dies_at)]
    drill = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    code = drill.wait(PATIENCE_S)
    guardian = Path("/proc") / (folder / "guardian").read_text()
    until(lambda: not guardian.exists() or "(zombie)" in status(guardian), PATIENCE_S)
    return code


def status(process: Path) -> str:
    try:
        return (process / "status").read_text()
    except OSError:
        return "(zombie)"


def left(folder: Path) -> list[str]:
    """Effects, and faults that are listed."""
    listed = [str(one) for one in faults.load(folder / "faults.json")]
    return sorted(path.name for path in (folder / "effects").iterdir()) + listed


def moments(folder: Path) -> int:
    """How many there are in a drill that lives to its end."""
    folder.mkdir()
    lab = books.Books(folder)
    with pytest.MonkeyPatch.context() as patch:
        counted: list[int] = []
        patch.setattr(books.Books, "moment", lambda _self: counted.append(1))
        patch.setattr("lab.faults.apply", lambda _topology, broken, *_: lab._apply(broken))
        stage = books.stage_of(lab)
        stage.start()
        until(lambda: stage.played, PATIENCE_S)
        stage.stop()
        lab.mend(owner=books.OWNER)
    return len(counted)


def test_a_drill_that_ends_leaves_nothing(tmp_path: Path) -> None:
    assert lived(tmp_path, 0) == 0
    assert left(tmp_path) == []
    assert "mended: stop hacc1 keepalived" in (tmp_path / "log").read_text()


def test_a_drill_that_is_killed_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    """At each third of them, and it is told apart from one that was never there."""
    last, hurt = moments(tmp_path / "counted"), 0
    assert last > 60
    for moment in range(1, last, 3):
        folder = tmp_path / str(moment)
        folder.mkdir()
        assert lived(folder, moment) == -signal.SIGKILL
        assert left(folder) == [], f"killed at moment {moment}"
        hurt += "mended" in (folder / "log").read_text()
    assert hurt > last / 6  # most of them had something to mend


HOSTS = """\
{name}:
  hostname: 198.18.0.{number}
  platform: linux
  data: {{interfaces: {{lan: {{lan: core, address: 198.18.1.{number}/24}}}}}}
"""

DYING = """
import sys, threading
from pathlib import Path
from lab.drills import guardian, stage
from lab import faults
from lab.lab import Lab
from lab.topology import load_topology
from tests.lab.drills import books
inventory, name = Path(sys.argv[1]), sys.argv[2]
lab = Lab(load_topology(inventory, name))
command = guardian.command(inventory, name, books.OWNER)
with guardian.guarded(command, lab.directory / "drills.log"):
    drill = books.REAL
    played = stage.Stage(drill, books.OWNER, lab, lambda: books.STANDING, lambda: None,
                         books.Hurry(), lambda phase, what: print(what, flush=True),
                         books.IMPATIENT_S)
    played.start()
    threading.Event().wait()
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Lab]]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    inventory = tmp_path_factory.mktemp("inventory")
    names = enumerate(("hacc1", "hacc2", "ha1", "ha2"), 1)
    text = "".join(HOSTS.format(name=name, number=number) for number, name in names)
    (inventory / "hosts.yaml").write_text(text)
    for empty in ("groups.yaml", "defaults.yaml"):
        (inventory / empty).write_text("{}\n")
    name = f"t{os.getpid()}-guard"
    with Lab(load_topology(inventory, name), keep_host_keys=False) as lab:
        yield inventory, lab


@pytest.mark.lab
@pytest.mark.parametrize("words", ["link", "overload", "power", "freeze"])
def test_real_routers_are_whole_again_after_a_drill_was_killed(
    real: tuple[Path, Lab], words: str
) -> None:
    """Right when it says what it breaks: some of it is done by then, or all, or nothing."""
    inventory, lab = real
    command = [sys.executable, "-c", DYING, str(inventory), lab.topology.name]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as drill:
        assert drill.stdout is not None
        told = next(line.decode() for line in drill.stdout if line.startswith(words.encode()))
        drill.send_signal(signal.SIGKILL)
    assert told
    until(lambda: lab.faults() == () and whole(lab), PATIENCE_S)


def whole(lab: Lab) -> bool:
    """Everybody runs, has its cable in, and says what memory it has."""
    if not all(one.state == "running" for one in lab.status().routers):
        return False
    for name in books.NAMES:
        lan = lab.run(name, "cat", "/proc/1/root/sys/class/net/lan/carrier", seconds=PATIENCE_S)
        mounts = lab.run(name, "grep", "-c", "/proc/meminfo", "/proc/mounts", seconds=PATIENCE_S)
        if lan.stdout.strip() != "1" or mounts.stdout.strip() != "0":
            return False
    return True
