"""What a user installs: one import package, both commands, run from a folder that is not ours.

A checkout hides two mistakes: an absolute import of `tasks`, and a template that the wheel
forgot. The wheel is built here, and built again from the source distribution, without the index:
the build back-end runs from this environment, and the installed copy sees this environment's
libraries through a path file. Path files of a folder that was added by a path file are not read,
so the checkout itself, if it is installed here in place, stays out of sight.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from hacc_agent import __version__

ROOT = Path(__file__).resolve().parent.parent
BUILD_SECONDS = 120  # bounds a hung build; a build takes a second


def run(*command: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run outside the checkout, with no trace of it in the environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "COLUMNS": "120"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    if check and done.returncode:
        pytest.fail(f"{command[0]} exited with {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def build(source: Path, kind: str, into: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", into, cwd=source)
    return next(into.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


@dataclass(frozen=True, slots=True)
class Installed:
    home: Path

    def __call__(self, command: str, *words: str, check: bool = True, cwd: Path) -> str:
        done = run(self.home / "bin" / command, *words, cwd=cwd, check=check)
        return done.stdout + done.stderr


def install(wheel: Path, home: Path, *, libraries: bool) -> Installed:
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "-q", "--no-deps", "--no-index", wheel, cwd=home)
    if libraries:
        site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (site / "libraries.pth").write_text("".join(f"{path}\n" for path in sorted(here)))
    return Installed(home)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged: a build must not write into the checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("hacc_agent", "tasks", "templates", "lab"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def hacc(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, tmp_path_factory.mktemp("installed"), libraries=True)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if "RECORD" not in name}


def test_one_name_is_taken_in_site_packages(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in contents(wheel)}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"hacc_agent"}


def test_every_source_and_template_travels(source: Path, wheel: Path) -> None:
    packed = set(contents(wheel))
    moved = {"hacc_agent": "hacc_agent"} | {
        room: f"hacc_agent/{room}" for room in ("tasks", "templates", "lab")
    }
    for room, home in moved.items():
        for path in (source / room).rglob("*"):
            if path.is_file():
                assert f"{home}/{path.relative_to(source / room)}" in packed


def test_the_source_distribution_builds_the_same_wheel(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    archive = build(source, "sdist", tmp_path / "sdist")
    # Python's own way asks for a filter, or does not know of any, by its version.
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True, timeout=60)
    unpacked = tmp_path / f"hacc-{__version__}"
    assert contents(build(unpacked, "wheel", tmp_path / "wheel")) == contents(wheel)


def test_the_installed_program_is_the_wheel_and_not_the_checkout(
    hacc: Installed, tmp_path: Path
) -> None:
    told = hacc(
        "python",
        "-c",
        "import hacc_agent.tasks, hacc_agent.lab; print(hacc_agent.tasks.__file__)\n"
        "from importlib.util import find_spec\n"
        "print(find_spec('tasks'), find_spec('lab'))",
        cwd=tmp_path,
    )
    where, shadows = told.splitlines()
    assert Path(where).is_relative_to(hacc.home)
    assert shadows == "None None"


def test_hacc_offers_its_commands_and_those_of_the_lab(hacc: Installed, tmp_path: Path) -> None:
    words = hacc("hacc", "--help", cwd=tmp_path).split()
    assert {"validate", "plan", "apply", "verify", "rollback", "lab"} <= set(words)
    assert {"up", "down", "status"} <= set(hacc("hacc", "lab", "--help", cwd=tmp_path).split())


def test_hacc_validates_an_inventory_that_lies_elsewhere(hacc: Installed, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "inventory", tmp_path / "site")
    hacc("hacc", "validate", "--inventory", "site", cwd=tmp_path)


def test_hacc_renders_with_the_templates_of_the_wheel(hacc: Installed, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory")
    assert "ip mobile home-agent" in hacc("hacc", "render", "ios1", cwd=tmp_path)


def test_the_agent_says_its_version(hacc: Installed, tmp_path: Path) -> None:
    assert __version__ in hacc("hacc-agent", "--version", cwd=tmp_path)


def test_a_home_agent_host_needs_no_library(wheel: Path, tmp_path: Path) -> None:
    """The agent alone: `hacc-agent` runs, and `hacc` says what to install."""
    alone = install(wheel, tmp_path / "alone", libraries=False)
    assert __version__ in alone("hacc-agent", "--version", cwd=tmp_path)
    done = run(alone.home / "bin" / "hacc", "plan", cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'hacc[orchestrator]'" in done.stderr
    assert "Traceback" not in done.stderr
