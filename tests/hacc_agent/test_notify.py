"""The service manager's protocol, with a socket in the manager's place."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hacc_agent.notify import Notifier


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(tmp_path / "notify")
    if request.param == "an abstract name":
        name = f"@hacc-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(5)
        yield listening, name


def test_it_says_what_the_manager_understands(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    with closing(Notifier({"NOTIFY_SOCKET": name})) as notifier:
        notifier.ready("3 bindings")
        assert listening.recv(200) == f"READY=1\nSTATUS=3 bindings\nMAINPID={os.getpid()}".encode()
        notifier.alive("4 bindings")
        assert listening.recv(200) == b"WATCHDOG=1\nSTATUS=4 bindings"
        notifier.reloading()
        assert listening.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        notifier.stopping("bye")
        assert listening.recv(200) == b"STOPPING=1\nSTATUS=bye"


def test_without_a_manager_nothing_is_said_and_a_dead_one_hurts_nobody(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}):
        with closing(Notifier(environment)) as notifier:
            notifier.ready("")
            notifier.alive("")
