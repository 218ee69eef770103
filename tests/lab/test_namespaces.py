"""Processes of a lab are gone when it is said that they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lab.namespaces import kill_until_gone, members, unshare
from tests.lab.labs import until

pytestmark = pytest.mark.lab

# Much memory, which the kernel frees before it ends the children; and these carry no mark.
INIT = """
import subprocess, time
memory = bytearray(b"x") * (400 << 20)
children = [subprocess.Popen(["sleep", "600"], env={"PATH": "/usr/bin:/bin"}) for _ in range(20)]
print("ready", flush=True)
time.sleep(600)
"""


def inhabitants(namespace: str) -> list[str]:
    """Processes of a PID namespace that still have a memory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "ns/pid") == namespace and (process / "cmdline").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found


def test_whoever_lives_in_a_router_is_gone_with_it(tmp_path: Path) -> None:
    lab, log = f"t{os.getpid()}-gone", tmp_path / "log"
    unshare(lab, "router/r1", [sys.executable, "-S", "-c", INIT], log)
    try:
        until(lambda: "ready" in log.read_text())
        (router,) = (each.pid for each in members(lab) if each.is_init)
        namespace = os.readlink(f"/proc/{router}/ns/pid")
        assert len(inhabitants(namespace)) == 21
    finally:
        kill_until_gone(lab)
    assert inhabitants(namespace) == []
