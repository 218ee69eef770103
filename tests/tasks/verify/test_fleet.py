"""The way that users go: the fleet's SSH sessions, Netmiko, a server with routers behind it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tasks.devices.fleet import Fleet
from tasks.devices.session import Target
from tasks.hostkeys import HostKeys
from tasks.model import ClusterModel
from tasks.render import render
from tasks.rendered import Platform
from tasks.secrets import resolve
from tasks.verify import Status, verify
from tasks.verify.observation import SnmpAnswer
from tasks.verify.observe import observer
from tasks.verify.snmp import Access, Silent

ROOT = Path(__file__).resolve().parent.parent.parent.parent
OPENED = {"env:VERIFY_KEY": "0" * 32, "env:VERIFY_OSPF": "ospf", "env:VERIFY_SNMP": "snmp-pass-1"}


@pytest.fixture(scope="module")
def pair(cluster: ClusterModel) -> ClusterModel:
    """The cluster's IOS routers alone."""
    return dataclasses.replace(
        cluster, devices=tuple(d for d in cluster.devices if d.platform is Platform.IOS)
    )


@pytest.fixture(scope="module")
def ports(pair: ClusterModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Both routers, configured as rendered, on ports of the loopback."""
    folder = tmp_path_factory.mktemp("ios")
    devices = []
    for device in pair.devices:
        (file,) = render(device).files
        text = resolve(file.text, OPENED).replace(
            "interface GigabitEthernet0/1\n", "interface GigabitEthernet0/1\n no shutdown\n"
        )
        devices.append(
            {
                "name": device.host,
                "address": "127.0.0.1",
                "interfaces": {device.ports[0].name: device.ports[0].lan},
                "text": f"hostname {device.host}\n{text}",
                "users": {"admin": "let-me-in"},
                "enable": "more",
            }
        )
    (folder / "routers.json").write_text(json.dumps({"devices": devices}))
    server = subprocess.Popen(
        [sys.executable, "-m", "lab.ios", "--config", str(folder / "routers.json")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())["ready"]
        yield {name: port for name, (_, port) in ready.items()}
    finally:
        server.terminate()
        server.wait(10)
        if server.stdout:
            server.stdout.close()


def targets(ports: dict[str, int], **passwords: str) -> list[Target]:
    return [
        Target(
            host, Platform.IOS, "127.0.0.1", "admin", passwords.get(host, "let-me-in"), "more", port
        )
        for host, port in ports.items()
    ]


def ask(targets: Mapping[str, tuple[str, Access]]) -> dict[str, SnmpAnswer | Silent]:
    """Simulators that share an address cannot share its port 161."""
    return {host: SnmpAnswer(host, 1.0) for host in targets}


def test_ios_routers_are_verified_over_ssh(
    pair: ClusterModel, ports: dict[str, int], tmp_path: Path
) -> None:
    with Fleet(targets(ports), HostKeys(tmp_path / "known_hosts")) as fleet:
        look = observer(fleet, OPENED, ask)
        [verdict] = verify([pair], look, clock=time.monotonic, sleep=time.sleep, deadline_s=20)
    assert verdict.ok, "\n".join(verdict.lines())
    assert {result.check for result in verdict.of(Status.PASSED)} >= {
        "reachable",
        "one-owner",
        "loopback",
        "home-agent",
        "bindings",
        "discovery",
    }


def test_a_router_that_refuses_us_is_named_with_the_reason(
    pair: ClusterModel, ports: dict[str, int], tmp_path: Path
) -> None:
    with Fleet(targets(ports, ios2="wrong"), HostKeys(tmp_path / "known_hosts")) as fleet:
        look = observer(fleet, OPENED, ask)
        [verdict] = verify([pair], look, clock=time.monotonic, sleep=time.sleep, deadline_s=20)
    (refused,) = verdict.of(Status.FAILED)
    assert (refused.check, refused.host) == ("reachable", "ios2")
    assert "refused the password" in refused.observed
