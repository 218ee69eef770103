"""The server under the client that matters: Netmiko's `cisco_ios` driver, unmodified."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from netmiko import ConnectHandler, file_transfer
from netmiko.exceptions import (
    ConfigInvalidException,
    NetmikoAuthenticationException,
    ReadException,
)

from lab.ios import Device
from lab.ios.control import Control, ask
from lab.ios.network import Network
from lab.ios.server import Endpoint, Host, Server


class Running:
    """A server in a thread of its own, and a way to call into its loop."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop, control: Path) -> None:
        self.server = server
        self.loop = loop
        self.control = control

    def do(self, **request: Any) -> dict[str, Any]:
        answer = ask(self.control, request)
        assert answer.pop("ok"), answer
        return answer

    def connect(self, name: str = "r1", **more: Any) -> Any:
        options = {"username": "admin", "password": "pass", "secret": "enable", **more}
        return ConnectHandler(
            device_type="cisco_ios",
            host="127.0.0.1",
            port=self.server.port(name),
            **options,
        )


@contextmanager
def running(devices: list[Device], folder: Path, state: Path | None = None) -> Iterator[Running]:
    ready = threading.Event()
    box: dict[str, Any] = {}

    async def main() -> None:
        Network(devices)
        server = Server([Host(device, Endpoint()) for device in devices], state=state)
        box["stop"] = asyncio.Event()
        box["loop"] = asyncio.get_running_loop()
        async with server:
            control = Control(server, folder / "control")
            await control.start()
            box["server"] = server
            ready.set()
            await box["stop"].wait()
            await control.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield Running(box["server"], box["loop"], folder / "control")
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join(10)
        assert not thread.is_alive()


def make(name: str = "r1", text: str = "hostname west-1\n") -> Device:
    device = Device(
        name,
        interfaces={f"GigabitEthernet0/{number}": "lan" for number in range(1, 12)},
        users={"admin": "pass"},
        enable="enable",
        now=time.time(),
    )
    assert device.load(text) == []
    return device


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Running]:
    with running([make()], tmp_path) as server:
        yield server


def test_a_whole_session(router: Running) -> None:
    device = router.server.hosts["r1"].device
    client = router.connect()
    assert client.find_prompt() == "west-1>"
    client.enable()
    assert client.find_prompt() == "west-1#"
    client.send_config_set(
        ["interface Gi0/1", "description by netmiko", "standby 1 priority 120"],
        error_pattern=r"^% ",
    )
    assert " standby 1 priority 120" in device.running_config()
    assert "by netmiko" in client.send_command("show running-config interface Gi0/1")
    with pytest.raises(ConfigInvalidException, match="standby 1 nonsense"):
        client.send_config_set(["interface Gi0/1", "standby 1 nonsense"], error_pattern=r"% ")
    client.exit_config_mode()
    assert "[OK]" in client.save_config()
    assert device.startup == device.running_config()
    client.send_config_set(["hostname another-name-that-is-far-too-long"], exit_config_mode=False)
    client.set_base_prompt()
    assert client.check_config_mode()
    client.exit_config_mode()
    assert client.find_prompt() == "another-name-that-is-far-too-long#"
    client.disconnect()


def test_scp_put_and_replace(router: Running, tmp_path: Path) -> None:
    device = router.server.hosts["r1"].device
    client = router.connect()
    client.enable()
    file = tmp_path / "candidate.cfg"
    file.write_text(device.running_config().replace("west-1", "west-9"))
    done = file_transfer(client, source_file=str(file), dest_file="candidate.cfg")
    assert done == {"file_exists": True, "file_transferred": True, "file_verified": True}
    client.send_command("configure replace flash:candidate.cfg force", expect_string="#")
    assert device.running_config() == file.read_text()
    client.disconnect()


def test_a_configuration_of_300_lines_line_by_line(router: Running, base: str) -> None:
    device = router.server.hosts["r1"].device
    client = router.connect(global_cmd_verify=True)
    client.enable()
    lines = [line for line in base.splitlines() if line.strip(" !") and line != "end"]
    first = next(at for at, line in enumerate(lines) if line.startswith("banner"))
    lines = lines[:first] + lines[first + 4 :]
    client.send_config_set(lines, error_pattern=r"Invalid|Incomplete|Ambiguous")
    wanted = Device.from_text("r1", base)
    kept = device.running_config().splitlines()
    assert {line for line in wanted.running_config().splitlines() if "standby" in line} <= set(kept)
    client.disconnect()


def test_a_pasted_block_comes_back_with_every_line_after_its_prompt(router: Running) -> None:
    client = router.connect()
    client.enable()
    block = ["configure terminal", "interface Loopback1"]
    block += [f"description line {number}" for number in range(50)]
    client.write_channel("\n".join([*block, "end"]) + "\n")
    shown = client.read_until_pattern(r"west-1#end\s+west-1#|\(config-if\)#end\s+west-1#")
    for number in range(50):
        assert f"west-1(config-if)#description line {number}\n" in shown.replace("\r", "")
    client.disconnect()


def test_faults_over_the_control_channel(router: Running) -> None:
    router.do(do="fault", device="r1", set={"wrong_password": True})
    with pytest.raises(NetmikoAuthenticationException):
        router.connect()
    router.do(do="clear", device="r1")
    client = router.connect()
    client.enable()
    router.do(do="fault", device="r1", set={"drop_after": 2})
    with pytest.raises((OSError, ReadException)):
        client.send_config_set(
            ["interface Gi0/1", "description kept", "description lost"], read_timeout=1
        )
    router.do(do="clear", device="r1")
    text = router.do(do="config", device="r1")["text"]
    assert " description kept" in text
    assert router.do(do="edit", device="r1", lines=["hostname edited"])["rejected"] == []
    assert router.connect().find_prompt() == "edited>"
    lines = [entry["line"] for entry in router.do(do="journal", device="r1")["entries"]]
    assert "description kept" in lines
    assert not ask(router.control, {"do": "dance", "device": "r1"})["ok"]


def host_key(router: Running, name: str = "r1") -> str:
    """The host key that a client is shown."""
    client = router.connect(name)
    shown = client.remote_conn_pre.get_transport().get_remote_server_key().get_base64()
    client.disconnect()
    assert isinstance(shown, str)
    return shown


def test_each_router_has_a_host_key_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    shown = []
    for _ in range(2):
        with running([make("r1"), make("r2")], tmp_path, tmp_path / "state") as routers:
            shown.append([host_key(routers, name) for name in ("r1", "r2")])
    assert shown[0] == shown[1]
    assert len({*shown[0]}) == 2
    assert {file.stat().st_mode & 0o077 for file in (tmp_path / "state").glob("*.key")} == {0}


def test_another_host_key_and_power(router: Running) -> None:
    before = host_key(router)
    router.do(do="fault", device="r1", set={"other_host_key": True})
    assert host_key(router) != before
    router.do(do="clear", device="r1")
    assert host_key(router) == before
    router.do(do="power-off", device="r1")
    with pytest.raises(Exception, match=r"(?i)connection to device failed|refused"):
        router.connect(conn_timeout=2)
    router.do(do="power-on", device="r1")
    assert host_key(router) == before


def test_a_slow_login_and_a_closed_door(router: Running) -> None:
    router.do(do="fault", device="r1", set={"login_delay": 0.3})
    client = router.connect()
    assert client.find_prompt() == "west-1>"
    client.disconnect()
    router.do(do="fault", device="r1", set={"refuse_connection": True})
    with pytest.raises(Exception, match=r"(?i)connection to device failed|refused"):
        router.connect(conn_timeout=2)
    (shown,) = router.do(do="list")["devices"]
    assert shown["faults"] == {"login_delay": 0.3, "refuse_connection": True}
    router.do(do="clear", device="r1")
    assert router.connect().find_prompt() == "west-1>"


def test_one_command_without_a_terminal(router: Running) -> None:
    client = router.connect()
    channel = client.remote_conn_pre.get_transport().open_session()
    channel.exec_command("show version")
    assert channel.makefile().read().startswith(b"HACC IOS simulator")
    assert channel.recv_exit_status() == 0
    client.disconnect()


def test_latency_is_felt(router: Running) -> None:
    client = router.connect()
    router.do(do="fault", device="r1", set={"latency": 0.2, "slow_prompt": 0.1})
    assert "privilege level" in client.send_command("show privilege")
    client.disconnect()


def test_a_change_reverts_by_the_servers_own_clock(tmp_path: Path) -> None:
    device = make(text="hostname west-1\narchive\n path flash:a\n")
    now = [1_000_000.0]
    device.archive.arm(1, now[0] - 59.9, "admin")
    device.merge("hostname lost", now[0])
    with running([device], tmp_path) as router:
        router.server.clock = lambda: now[0]
        router.loop.call_soon_threadsafe(router.server.settle, router.server.hosts["r1"])
        for _ in range(100):
            if router.do(do="config", device="r1")["text"].find("west-1") > 0:
                break
            now[0] += 0.1
            time.sleep(0.02)
        assert device.hostname == "west-1"


def test_a_crash_loses_what_a_power_cut_loses(tmp_path: Path) -> None:
    config = tmp_path / "routers.json"
    config.write_text(
        json.dumps(
            {
                "state": "state",
                "devices": [
                    {
                        "name": "r1",
                        "interfaces": {"GigabitEthernet0/1": "lan"},
                        "text": "hostname old\n",
                        "users": {"admin": "pass"},
                        "enable": "enable",
                        "privilege": 15,
                    }
                ],
            }
        )
    )

    def start() -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.ios", "--config", str(config)],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())["ready"]["r1"][1]

    def connect(port: int) -> Any:
        return ConnectHandler(
            device_type="cisco_ios", host="127.0.0.1", port=port, username="admin", password="pass"
        )

    process, port = start()
    try:
        client = connect(port)
        client.send_config_set(["hostname saved"], exit_config_mode=False)
        client.exit_config_mode()
        client.set_base_prompt()
        client.save_config()
        client.send_config_set(["interface Gi0/1", "description lost"])
        process.kill()
        process.wait(10)
        client.disconnect()
    finally:
        process.kill()
        process.communicate()
    process, port = start()
    try:
        client = connect(port)
        assert client.find_prompt() == "saved#"
        assert "lost" not in client.send_command("show running-config")
        client.disconnect()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_bad_definition_is_told_whole(tmp_path: Path) -> None:
    config = tmp_path / "routers.json"
    config.write_text(
        json.dumps(
            {
                "devices": [
                    {"name": "a", "colour": 1, "interfaces": {"Gx0": ""}},
                    {"name": "b", "port": "x", "host_key": 7},
                    {"name": "c", "text": "hostname c\nnonsense\n"},
                ]
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "lab.ios", "--config", str(config)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for part in (
        "unknown key 'colour'",
        "devices[1].host_key: 7 is of the wrong type",
        "'Gx0' is no interface",
        "devices[1].port: 'x'",
        "devices[2]: line 2",
    ):
        assert part in done.stderr


def test_200_routers_in_one_process(tmp_path: Path) -> None:
    with running([make(f"r{number}") for number in range(200)], tmp_path) as server:
        assert len(server.do(do="list")["devices"]) == 200
        for name in ("r0", "r199"):
            client = server.connect(name)
            assert client.find_prompt() == "west-1>"
            client.disconnect()
