"""The launcher tells a library that is not here from a program that is broken, and whose it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from hacc_agent import orchestrator

ROOT = Path(__file__).resolve().parent.parent.parent


def hacc(
    *words: str, hide: str = "", cwd: Path, path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the launcher in a process in which a library cannot be imported."""
    program = (
        "import sys\n"
        f"sys.modules[{hide!r}] = None\n"
        f"sys.path[:0] = {[path] if path else []}\n"
        f"sys.argv[1:] = {list(words)}\n"
        "from hacc_agent.orchestrator import main\n"
        "sys.exit(main())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "", "COLUMNS": "120"},
    )


def test_a_missing_library_is_told_with_what_to_install(tmp_path: Path) -> None:
    done = hacc("plan", hide="typer", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("hacc needs the library 'typer': pip install 'hacc[orchestrator]'\n")


def test_without_the_lab_s_libraries_only_the_lab_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = typer.Typer(no_args_is_help=True)
    app.command("plan")(lambda: print("a plan"))
    told: dict[str, tuple[int, str]] = {}

    def run(joined: typer.Typer) -> int:
        for words in (["plan"], ["lab", "up", "--name", "x"]):
            done = CliRunner().invoke(joined, words)
            told[words[0]] = (done.exit_code, done.output)
        return 0

    def load(room: str, _module: str, what: str, extra: str) -> SimpleNamespace:
        if room == "lab":
            raise orchestrator.NotInstalled(what, "asyncssh", extra)
        return SimpleNamespace(app=app, run=run)

    monkeypatch.setattr(orchestrator, "load", load)
    monkeypatch.setattr("sys.argv", ["hacc", "--help"])
    assert orchestrator.main() == 0
    assert told == {
        "plan": (0, "a plan\n"),
        "lab": (1, "hacc lab needs the library 'asyncssh': pip install 'hacc[lab]'\n"),
    }


def test_somebody_elses_tasks_are_never_run(tmp_path: Path) -> None:
    """`tasks.py` is what Invoke's users have in their folder."""
    (tmp_path / "tasks.py").write_text("raise SystemExit('somebody else ran')\n")
    done = hacc("--help", hide="no_such_library", cwd=tmp_path, path=str(tmp_path))
    assert "somebody else ran" not in done.stderr
    assert done.returncode != 0
    assert str(tmp_path / "tasks.py") in done.stderr


def test_a_broken_program_is_not_taken_for_a_missing_library(tmp_path: Path) -> None:
    done = hacc("plan", hide="tasks.cli", cwd=tmp_path)
    assert done.returncode != 0
    assert "ModuleNotFoundError" in done.stderr
    assert "pip install" not in done.stderr


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (("lab", "--help"), {"lab.cli"}),
        (("plan", "--help"), {"tasks.cli"}),
        (("--help",), {"tasks.cli", "lab.cli"}),
        (("labs",), {"tasks.cli", "lab.cli"}),
    ],
    ids=" ".join,
)
def test_a_command_waits_for_its_half_alone(words: tuple[str, ...], loaded: set[str]) -> None:
    program = (
        "import sys\n"
        f"sys.argv = {['hacc', *words]}\n"
        "from hacc_agent.orchestrator import main\n"
        "main()\n"
        "print('loaded', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    modules = {*done.stdout.rpartition("loaded ")[2].split()}
    assert modules & {"tasks.cli", "lab.cli"} == loaded
    assert "lab.ios" not in modules
    assert not any(name.startswith("lab.subscribers.run") for name in modules)
