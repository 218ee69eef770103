"""A new repository works as it is: its example, its hook, its CI, its secrets."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.lab import Lab
from lab.topology import load_topology
from tasks.cli import app
from tests.commands.program import HACC, ROOT, Desk, Done


class New(Desk):
    """A desk in the folder that `hacc init` has made."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.inventory = place / "inventory"
        self.secrets = {}

    def environment(self) -> dict[str, str]:
        """With the secrets, as the README says: read by a shell."""
        known = super().environment()
        file = shlex.quote(str(self.work / "environment"))
        done = subprocess.run(
            ["sh", "-c", f"set -a; . {file}; exec env -0"],
            env=known, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return dict(pair.partition("=")[::2] for pair in done.stdout.split("\0") if pair)


@pytest.fixture
def new(tmp_path: Path, desk: Desk) -> New:
    desk.place = tmp_path
    desk.hacc("init", "the net").ends(0)
    return New(tmp_path / "the net")


def test_its_example_is_valid_with_its_secrets(new: New) -> None:
    assert new.hacc("validate").ends(0).out.startswith("example: 4 routers, ")
    assert new.hacc("validate", "--secrets").ends(0).out.endswith("keys fit\n")
    new.hacc("doctor", "--offline").ends(0)


def test_what_git_keeps(new: New) -> None:
    for command in (("init", "-q"), ("add", "-A")):
        subprocess.run(["git", "-C", str(new.place), *command], check=True, timeout=60)
    listed = subprocess.run(
        ["git", "-C", str(new.place), "ls-files"], capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    files = listed.stdout.split()
    assert {".gitignore", "README.md", "inventory/clusters/example.yaml"} <= {*files}
    assert not [name for name in files if name.startswith(".hacc")], "secrets stay here"
    kept = "".join((new.place / name).read_text() for name in files)
    for line in (new.work / "environment").read_text().splitlines():
        assert line.startswith("#") or line.partition("=")[2] not in kept
    assert stat.S_IMODE((new.work / "environment").stat().st_mode) == 0o600
    assert stat.S_IMODE(new.work.stat().st_mode) == 0o700


def test_the_hook_and_the_ci_do_what_they_say(new: New) -> None:
    hooks = yaml.safe_load((new.place / ".pre-commit-config.yaml").read_text())
    (hook,) = hooks["repos"][0]["hooks"]
    assert re.match(hook["files"], "inventory/clusters/example.yaml")
    steps = yaml.safe_load((new.place / ".github/workflows/hacc.yml").read_text())["jobs"][
        "validate"
    ]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = re.fullmatch(r"pip install 'hacc\[(\w+)\]'", commands[0])
    assert extra is not None
    assert extra[1] in project["optional-dependencies"]
    for command in (hook["entry"], commands[1]):
        words = shlex.split(command)
        assert words[0] == "hacc"
        new.hacc(*words[1:]).ends(0)


def test_every_command_that_the_readme_names_is_there(new: New) -> None:
    known = {one.name or one.callback.__name__ for one in app.registered_commands if one.callback}
    known |= {group.name for group in app.registered_groups if group.name} | {"lab"}
    named = set(re.findall(r"^hacc (\w+)", (new.place / "README.md").read_text(), re.MULTILINE))
    assert len(named) > 6
    assert named <= known


def test_what_is_there_is_never_overwritten(desk: Desk) -> None:
    told: Done = desk.hacc("init", ".").ends(1)
    assert ".: init: is not empty" in told.err
    (desk.place / "file").write_text("mine")
    assert "is not empty" in desk.hacc("init", "file").ends(1).err
    assert (desk.place / "file").read_text() == "mine"


def test_a_fresh_clone_is_empty_enough(desk: Desk) -> None:
    clone = desk.place / "clone"
    (clone / ".git").mkdir(parents=True)
    desk.hacc("init", "clone").ends(0)
    assert (clone / "inventory" / "hosts.yaml").exists()


@pytest.fixture
def running(new: New) -> Iterator[New]:
    name = f"t{os.getpid()}-init"

    def command(*words: str) -> list[str]:
        at = ("--inventory", "inventory", "--name", name)
        if words[0] == "lab":
            return [*HACC, "lab", words[1], *at, *words[2:]]
        return [*HACC, "lab", "run", *at, "--", *HACC, *words]

    new.command = command  # type: ignore[method-assign]  # every word goes to this lab
    try:
        new.hacc("lab", "up").ends(0)
        yield new
    finally:
        Lab(load_topology(new.inventory, name), keep_host_keys=False).down()


@pytest.mark.lab
def test_its_routers_run_and_take_the_example(running: New) -> None:
    running.hacc("apply", "--yes").ends(0)
    running.hacc("plan", "--exit-code").ends(0)
    assert running.hacc("check").code in (0, 2)
    assert len(running.hacc("history", "--json").ends(0).value) == 2
