"""What the templates render, typed into a bare router, changed into another cluster's, and back.

The same laws as in `test_diff_law`, on the texts that users get: with ownership patterns, tokens
for secrets, and SNMP users, which a router does not show and the fetch appends.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lab.ios import Device, Session, withdrawals
from tasks.diff import Command, diff, reveal
from tasks.errors import Place
from tasks.rendered import SECRET, File, Line, Owner, Platform
from tasks.secrets import resolve

NOW = 1_000_000_000.0  # any time: nothing here depends on it

RENDERED = sorted(
    (Path(__file__).resolve().parent.parent / "golden" / "render").glob("*/ios*/running-config")
)

BARE = """\
hostname r1
interface GigabitEthernet0/0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 no ip address
 shutdown
"""


def rendered(path: Path) -> File:
    """A golden text of the renderer: its lines, and below them what it owns."""
    lines = path.read_text().splitlines()
    owns = tuple(line.removeprefix("# owns ") for line in lines if line.startswith("# owns "))
    texts = [line for line in lines if line and not line.startswith("#")]
    return File(
        "running-config",
        0o600,
        Owner.LINES,
        owns,
        tuple(Line(text, Place("golden", number), ()) for number, text in enumerate(texts, 1)),
    )


def secrets_of(files: list[File]) -> dict[str, str]:
    """A value for each secret: keys of 16 octets, and words short enough for HSRP."""
    tokens = [token for file in files for token in SECRET.finditer(file.text)]
    keys = {token["ref"] for token in tokens if token["form"] == "hex"}
    refs = sorted({token["ref"] for token in tokens})
    return {
        ref: f"{number:032x}" if ref in keys else f"word{number}"
        for number, ref in enumerate(refs, 1)
    }


def fetched(device: Device) -> str:
    """The running configuration as the fetch hands it on, users with their keys hidden."""
    users = re.findall(r"^snmp-server user .*$", device.private_config(), re.M)
    hidden = [re.sub(r"(auth sha|priv aes 128) \S+", r"\1 *", user) for user in users]
    return device.running_config() + "".join(f"{user}\n" for user in hidden)


def type_into(device: Device, commands: tuple[Command, ...], opened: dict[str, str]) -> None:
    session = Session(device, user="admin", privilege=15)
    session.feed("configure terminal", NOW)
    start = len(device.journal)
    for command in commands:
        for line in (*command.context, command.text):
            reply = session.feed(resolve(line, opened), NOW)
            assert not device.journal[-1].refused, (line, reply.text)
        for _ in command.context:
            session.feed("exit", NOW)
    session.feed("end", NOW)
    assert not withdrawals(device.journal[start:])


def gone_for_good(line: str, commands: set[str]) -> bool:
    """A user whose keys the router hides: no undo can type it again, and the plan says so."""
    return any(line.startswith(command.removeprefix("no ")) for command in commands)


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(*pair, id=f"{pair[0].parts[-3]}-to-{pair[1].parts[-3]}-{pair[1].parts[-2]}")
     for pair in pairwise((*RENDERED, *RENDERED[:1]))],
)  # fmt: skip
def test_from_bare_to_one_to_another_and_back(first: Path, second: Path) -> None:
    files = [rendered(first), rendered(second)]
    opened = secrets_of(files)
    device = Device("r1", interfaces=[f"GigabitEthernet0/{port}" for port in range(4)])
    assert not device.load(BARE, NOW)
    behind = []

    for file in files:
        before = fetched(device)
        changes = diff(before, file, Platform.IOS, opened)
        assert changes.commands
        type_into(device, changes.commands, {**opened, **reveal(before, Platform.IOS)})
        assert not diff(fetched(device), file, Platform.IOS, opened).lines
        behind.append((before, changes))

    for before, changes in reversed(behind):
        type_into(device, changes.undo, {**opened, **reveal(before, Platform.IOS)})
        for_good = {c.text for c in changes.commands if c.why.startswith("cannot be undone")}
        kept = [line for line in before.splitlines() if not gone_for_good(line, for_good)]
        assert fetched(device).splitlines() == kept


def test_a_new_key_is_the_only_difference() -> None:
    file = rendered(RENDERED[-1])
    opened = secrets_of([file])
    device = Device("r1", interfaces=[f"GigabitEthernet0/{port}" for port in range(4)])
    assert not device.load(BARE, NOW)
    type_into(device, diff(fetched(device), file, Platform.IOS, opened).commands, opened)

    rotated = {**opened, "env:HACC_HSRP_KEY": "rotated"}
    changes = diff(fetched(device), file, Platform.IOS, rotated)

    assert [replace(command, why="", template=None) for command in changes.commands] == [
        replace(command, why="", template=None)
        for command in changes.commands
        if "<secret env:HACC_HSRP_KEY>" in command.text
    ]
    assert changes.commands
