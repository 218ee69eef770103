"""Programs that nobody here wrote, as they meet a virtual router: Netmiko, OpenSSH, FRR."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import paramiko
import pytest
from netmiko import ConnectHandler
from netmiko.exceptions import (
    ConfigInvalidException,
    NetmikoAuthenticationException,
    NetmikoTimeoutException,
)

from lab.faults import Fault, FaultKind
from lab.lab import Lab
from lab.topology import DEFAULT_PASSWORD, Kind, Port, Router, Topology
from tests.lab.labs import routers, until

pytestmark = pytest.mark.lab


@pytest.fixture
def login(trio: Lab, tmp_path: Path) -> dict[str, Any]:
    """Netmiko's arguments for r1, host key checked."""
    known = tmp_path / "known_hosts"
    known.write_text(trio.known_hosts())
    return {
        "host": "198.18.0.1",
        "username": "root",
        "password": DEFAULT_PASSWORD,
        "ssh_strict": True,
        "alt_host_keys": True,
        "alt_key_file": str(known),
    }


def test_netmiko_linux(trio: Lab, login: dict[str, Any]) -> None:
    def session() -> tuple[str, str, str]:
        with ConnectHandler(device_type="linux", **login) as connection:
            prompt = connection.find_prompt()
            path = connection.send_command("command -v systemctl")
            return prompt, str(path), str(connection.send_command("grep CapBnd /proc/self/status"))

    prompt, path, capabilities = trio.managed(session)
    assert prompt == "root@r1:~#"
    assert path.strip() == "/usr/local/sbin/systemctl"
    assert not int(capabilities.split()[1], 16) >> 25 & 1  # CAP_SYS_TIME


def test_a_command_without_a_terminal_finds_the_same_programs(
    trio: Lab, login: dict[str, Any]
) -> None:
    def session() -> str:
        with paramiko.SSHClient() as client:
            client.load_host_keys(login["alt_key_file"])
            client.connect("198.18.0.1", username="root", password=DEFAULT_PASSWORD,
                           look_for_keys=False, allow_agent=False)  # fmt: skip
            _, out, _ = client.exec_command("command -v systemctl vtysh ip; hostname")
            return out.read().decode()

    assert trio.managed(session).split() == [
        "/usr/local/sbin/systemctl",
        "/usr/bin/vtysh",
        "/usr/sbin/ip",
        "r1",
    ]


def test_a_wrong_password_is_refused(trio: Lab, login: dict[str, Any]) -> None:
    with pytest.raises(NetmikoAuthenticationException):
        trio.managed(lambda: ConnectHandler(device_type="linux", **login | {"password": "no"}))


def test_a_dead_mans_timer_outlives_its_ssh_session(trio: Lab, login: dict[str, Any]) -> None:
    def session() -> None:
        with ConnectHandler(device_type="linux", **login) as connection:
            connection.send_command(
                "systemd-run --unit=hacc-revert --on-active=1 /bin/sh -c 'touch /run/dead-man'"
            )

    trio.managed(session)
    assert trio.run("r1", "test", "-e", "/run/dead-man").returncode == 1
    until(lambda: trio.run("r1", "test", "-e", "/run/dead-man").returncode == 0)


def test_vtysh_as_login_shell_is_an_ios_like_peer_for_netmiko(
    trio: Lab, login: dict[str, Any]
) -> None:
    """Netmiko's unmodified cisco_ios driver configures a routing daemon that nobody here wrote."""

    def session() -> tuple[str, str, str]:
        with ConnectHandler(device_type="cisco_ios", **login | {"username": "vty"}) as connection:
            assert connection.find_prompt() == "r1#"
            connection.enable()
            connection.send_config_set(
                ["ip route 198.19.16.0/21 Null0", "interface lan", "description core"],
                error_pattern="% ",
            )
            running = connection.send_command("show running-config")
            with pytest.raises(ConfigInvalidException):
                connection.send_config_set(["no such command"], error_pattern="% ")
            connection.exit_config_mode()
            saved = connection.save_config()
            connection.send_config_set(["no ip route 198.19.16.0/21 Null0"])
            return str(running), saved, str(connection.send_command("show running-config"))

    before, saved, after = trio.managed(session)
    assert "ip route 198.19.16.0/21 Null0" in before
    assert "description core" in before
    assert "198.19.16.0" not in after
    assert "OK" in saved
    assert "198.19.16.0" in trio.run("r1", "cat", "/etc/frr/frr.conf").stdout


def test_ospf_between_two_routers_carries_a_virtual_network(trio: Lab) -> None:
    """Timers of the facts: converges in about a second instead of 51."""
    for number, name in ((2, "r2"), (3, "r3")):
        lines = (
            f"ip route 198.19.{number * 8}.0/21 Null0",
            "interface lan",
            " ip ospf area 0",
            " ip ospf network point-to-point",
            " ip ospf hello-interval 1",
            " ip ospf dead-interval 4",
            " ip ospf retransmit-interval 1",
            "router ospf",
            f" ospf router-id 198.19.255.{number}",
            " redistribute static",
            " timers throttle spf 10 50 500",
            " timers throttle lsa all 0",
            " timers lsa min-arrival 0",
        )
        text = "\n".join(lines) + "\n"
        trio.run(name, "sh", "-c", "cat > /run/ospf.conf", text_in=text)
        assert trio.run(name, "vtysh", "-f", "/run/ospf.conf").returncode == 0
    until(lambda: "198.19.16.0/21" in trio.run("r3", "ip", "route", "show", "proto", "ospf").stdout)
    until(lambda: "198.19.24.0/21" in trio.run("r2", "ip", "route", "show", "proto", "ospf").stdout)


def test_a_mixed_lab_has_simulated_ios_routers_that_can_be_powered_off() -> None:
    port = Port("ios1", "GigabitEthernet0/1", "core", None)
    ios = Router("ios1", Kind.IOS, IPv4Address("198.18.0.31"), "admin", (port,))
    lab = Lab(Topology(f"t{os.getpid()}-mixed", (*routers(1), ios)), keep_host_keys=False)

    def prompt() -> str:
        with ConnectHandler(
            device_type="cisco_ios",
            host="198.18.0.31",
            username="admin",
            password=DEFAULT_PASSWORD,
            secret=DEFAULT_PASSWORD,
            conn_timeout=5,
        ) as connection:
            connection.enable()
            return connection.find_prompt()

    def host_key() -> str:
        with paramiko.Transport(("198.18.0.31", 22)) as transport:
            transport.start_client(timeout=5)
            key = transport.get_remote_server_key()
            return f"198.18.0.31 {key.get_name()} {key.get_base64()}"

    with lab:
        assert lab.managed(prompt) == "ios1#"
        assert lab.managed(host_key) in lab.known_hosts().splitlines()
        assert lab.up() == 0
        lab.break_(Fault(FaultKind.POWER, ("ios1",)))
        assert [row.state for row in lab.status().routers] == ["running", "off"]
        with pytest.raises(NetmikoTimeoutException):
            lab.managed(prompt)
        lab.mend()
        assert lab.managed(prompt) == "ios1#"
