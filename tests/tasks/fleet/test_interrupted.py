"""Ctrl-C during a check with two worker processes, while both wait for their first routers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import pytest

from bench.fleet import KEYS, address_of, write_inventory
from lab.ios.crowd import Crowd
from lab.ios.server import Host
from tasks.errors import Exit

ROUTERS = 200  # in four clusters, each a part
WORKERS = 2
ROOT = Path(__file__).resolve().parents[3]
LONG_S = 120  # enough for any machine


class Gated(Crowd):
    """Routers that answer nobody until the gate is open."""

    def __init__(self) -> None:
        text = f"hostname r\nusername admin privilege 15 secret {KEYS['PASSWORD']}\n"
        super().__init__({address_of(number): text for number in range(ROUTERS)})
        self.gate = threading.Event()
        self.somebody_waits = threading.Event()

    def _called(self, connection: asyncssh.SSHServerConnection) -> Host:
        self.somebody_waits.set()
        assert self.gate.wait(LONG_S)  # and with this caller all others wait, in the same thread
        return super()._called(connection)


@contextmanager
def served(crowd: Gated) -> Iterator[int]:
    """The port of routers that a thread serves."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    acceptor = asyncio.run_coroutine_threadsafe(crowd.listen(0), loop).result(LONG_S)
    try:
        yield acceptor.get_port()
    finally:
        crowd.gate.set()
        asyncio.run_coroutine_threadsafe(ended(acceptor), loop).result(LONG_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LONG_S)
        loop.close()


async def ended(acceptor: asyncssh.SSHAcceptor) -> None:
    """Nothing of what was served outlives the test."""
    acceptor.close()
    await acceptor.wait_closed()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Gated]:
    """The routers of an inventory, whose controllers are refused at once."""
    crowd = Gated()
    with served(crowd) as port:
        write_inventory(tmp_path / "inventory", ROUTERS, port)
        hosts = tmp_path / "inventory/hosts.yaml"
        hosts.write_text(re.sub(r"192\.0\.2\.(\d+)", r"127.0.2.\1", hosts.read_text()))
        yield crowd


def workers_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_ctrl_c_ends_every_worker_and_says_what_was_not_begun(crowd: Gated, tmp_path: Path) -> None:
    words = ("check", "--processes", str(WORKERS), "--only", "configuration")
    process = subprocess.Popen(
        [sys.executable, "-m", "hacc_agent.orchestrator", *words],
        cwd=tmp_path,
        env={**os.environ, **KEYS, "PYTHONPATH": str(ROOT)},
        start_new_session=True,  # a terminal's Ctrl-C is for the whole group
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(LONG_S, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        while not crowd.somebody_waits.wait(1):
            assert process.poll() is None, process.stderr.read()
        while len(workers := workers_of(process.pid)) < WORKERS:
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.readline()
        while "SIGINT" not in said:
            line = process.stderr.readline()
            assert line, f"it never spoke of the signal:\n{said}"
            said += line
        crowd.gate.set()
        said += process.stderr.read()
        assert process.wait() == Exit.INTERRUPTED, said
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()
    words_said = " ".join(said.split())
    for cluster in ("c2", "c3"):  # the first two were given out
        assert f"not begun, because of the interruption: {cluster}-" in words_said
    assert "Traceback" not in said
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
