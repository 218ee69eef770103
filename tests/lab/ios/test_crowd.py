"""Many routers behind one listener: each is who it is called as, and they end together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import paramiko
import pytest

CONFIG = """\
hostname {name}
username admin privilege 15 secret {password}
interface GigabitEthernet0/1
 ip address {address} 255.255.255.0
"""
ROUTERS = {
    "127.64.0.1": CONFIG.format(name="r1", password="one", address="10.0.0.1"),
    "127.64.0.2": CONFIG.format(name="r2", password="two", address="10.0.0.2"),
}
LONG_S = 60  # enough for any machine


@contextmanager
def crowd(texts: Mapping[str, str], folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    config = folder / "crowd.json"
    config.write_text(json.dumps(texts))
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.ios.crowd", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())["ready"]
    finally:
        process.kill()  # when all went well it has ended
        process.communicate()


def log_in(address: str, port: int, password: str) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(
        address, port, "admin", password,
        look_for_keys=False, allow_agent=False, timeout=LONG_S, banner_timeout=LONG_S,
    )  # fmt: skip
    return client


def ask(address: str, port: int, password: str) -> str:
    with closing(log_in(address, port, password)) as client:
        _, stdout, _ = client.exec_command("show running-config", timeout=LONG_S)
        return stdout.read().decode()


def test_each_answers_with_what_is_its_own(tmp_path: Path) -> None:
    with crowd(ROUTERS, tmp_path) as (process, port):
        one, two = ask("127.64.0.1", port, "one"), ask("127.64.0.2", port, "two")
        assert "hostname r1" in one
        assert "10.0.0.1" in one
        assert "hostname r2" in two
        assert "10.0.0.2" in two
        _, said = process.communicate(timeout=LONG_S)
        assert (process.returncode, said) == (0, "")


def test_a_password_is_its_routers_alone_and_nobodys_address_has_none(tmp_path: Path) -> None:
    with crowd(ROUTERS, tmp_path) as (_, port):
        for address in ("127.64.0.2", "127.64.0.3"):
            with pytest.raises(paramiko.AuthenticationException):
                log_in(address, port, "one")


def test_it_ends_with_whoever_started_it_though_somebody_is_logged_in(tmp_path: Path) -> None:
    with (
        crowd(ROUTERS, tmp_path) as (process, port),
        closing(log_in("127.64.0.1", port, "one")) as client,
    ):
        client.invoke_shell()
        _, said = process.communicate(timeout=LONG_S)
        assert (process.returncode, said) == (0, "")
