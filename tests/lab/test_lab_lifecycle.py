"""Up, down, twice, after kill -9, side by side: nothing missing, nothing left, nothing outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import disk
from lab.lab import STATE, Lab
from lab.namespaces import Member, members
from tests.lab.labs import routers, topology, until

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    one = Lab(topology("one", 2), keep_host_keys=False)
    yield one
    one.down()


def traces(name: str) -> list[str]:
    """Whatever of a lab is still on this machine, found without the lab's own marks."""
    found = [str(p) for p in (STATE / name, STATE / f"{name}.lock") if p.exists()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"/hacc-lab/{name}/" in (process / "mountinfo").read_text():
                found.append(f"{process}: {(process / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


def test_up_boots_sshd_and_frr_and_nothing_else(lab: Lab) -> None:
    assert lab.up() == 2
    units = lab.run("r1", "systemctl", "list-units").stdout.split("\n")
    assert [line.split()[:2] for line in units if line] == [
        ["frr.service", "active"],
        ["ssh.service", "active"],
    ]
    assert lab.run("r1", "hostname").stdout == "r1\n"
    assert lab.run("r1", "vtysh", "-c", "show running-config").stdout.count("interface") == 0
    comms = lab.run("r1", "ps", "-eo", "comm=").stdout.split()
    assert {"sshd", "zebra", "staticd", "ospfd"} <= set(comms)
    addresses = lab.run("r1", "ip", "-4", "-br", "addr", "show", "up").stdout
    assert "198.18.0.1/24" in addresses
    assert "198.18.1.1" not in addresses  # the orchestrator's to configure


def test_up_twice_changes_nothing(lab: Lab) -> None:
    lab.up()
    before = lab.routers()
    assert lab.up() == 0
    assert lab.routers() == before


def test_up_restarts_a_dead_router_with_its_disk_and_host_key(lab: Lab) -> None:
    lab.up()
    lab.run("r1", "sh", "-c", "echo 'hostname changed' > /etc/frr/frr.conf")
    key = lab.run("r1", "cat", "/etc/ssh/ssh_host_ed25519_key.pub").stdout
    survivor = lab.pid("r2")
    os.kill(lab.pid("r1"), signal.SIGKILL)
    until(lambda: "r1" not in lab.routers())
    assert lab.up() == 1
    assert lab.pid("r2") == survivor
    assert lab.run("r1", "cat", "/etc/frr/frr.conf").stdout == "hostname changed\n"
    assert lab.run("r1", "cat", "/etc/ssh/ssh_host_ed25519_key.pub").stdout == key
    assert lab.run("r2", "ping", "-c1", "-W2", "198.18.0.1").returncode == 0


def test_up_after_the_fabric_was_killed(lab: Lab) -> None:
    lab.up()
    os.kill(lab.fabric(), signal.SIGKILL)
    until(lambda: lab.fabric_pid() is None)
    assert lab.up() == 2
    assert lab.run("r2", "ping", "-c1", "-W2", "198.18.0.1").returncode == 0


def test_up_follows_the_inventory(lab: Lab) -> None:
    lab.up()
    survivor = lab.pid("r2")
    changed = Lab(
        replace(lab.topology, routers=routers(3)[1:]), keep_host_keys=False
    )  # r1 leaves, r3 comes
    assert changed.up() == 1
    assert sorted(changed.routers()) == ["r2", "r3"]
    assert changed.pid("r2") == survivor
    assert changed.run("r3", "ping", "-c1", "-W2", "198.18.0.2").returncode == 0
    until(lambda: changed.run("r3", "ping", "-c1", "-W1", "198.18.0.1").returncode != 0)


def test_down_leaves_nothing_and_says_whether_there_was_anything(lab: Lab) -> None:
    lab.up()
    name = lab.topology.name
    assert traces(name)
    assert lab.down() is True
    assert traces(name) == []
    assert members(name) == []
    assert not (disk.KEYS / name).exists()
    assert lab.down() is False


def test_host_keys_outlive_down_so_that_a_known_router_stays_known() -> None:
    lab = Lab(topology("keys", 1))
    try:
        lab.up()
        known = lab.known_hosts()
        lab.down()
        assert traces(lab.topology.name) == []
        lab.up()
        assert lab.known_hosts() == known
        public = lab.run("r1", "cat", "/etc/ssh/ssh_host_ed25519_key.pub").stdout
        assert public.strip() in known
    finally:
        Lab(lab.topology, keep_host_keys=False).down()


INVENTORY = """\
{name}: {{hostname: 198.18.0.{number}, platform: linux, username: root,
  data: {{interfaces: {{lan: {{lan: core, address: 198.18.1.{number}/24}}}}}}}}
"""


def fabric_exists(found: list[Member]) -> bool:
    return any(m.role == "fabric" for m in found)


def one_router_has_forked(found: list[Member]) -> bool:
    return any(m.is_init and m.role.startswith("router/") for m in found)


def all_routers_have_forked(found: list[Member]) -> bool:
    return sum(m.is_init and m.role.startswith("router/") for m in found) == 4


@pytest.mark.parametrize("moment", [fabric_exists, one_router_has_forked, all_routers_have_forked])
@pytest.mark.parametrize("then", ["down", "up"])
def test_kill_9_in_the_middle_of_up(
    tmp_path: Path, moment: Callable[[list[Member]], bool], then: str
) -> None:
    hosts = "".join(INVENTORY.format(name=f"r{n}", number=n) for n in range(1, 5))
    (tmp_path / "hosts.yaml").write_text(hosts)
    name = f"t{os.getpid()}-crash"
    again = Lab(topology("crash", 4), keep_host_keys=False)
    command = [sys.executable, "-m", "lab.cli", "up", "--inventory", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--name", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: moment(members(name)) or process.poll() is not None)
            process.kill()
            process.wait()
            if then == "up":
                again.up()
                assert sorted(again.routers()) == ["r1", "r2", "r3", "r4"]
                for number in (2, 3, 4):
                    ping = ("ping", "-c1", "-W2", f"198.18.0.{number}")
                    assert again.run("r1", *ping).returncode == 0
        finally:
            again.down()
    assert members(name) == []
    assert traces(name) == []


def test_two_labs_side_by_side_do_not_know_each_other() -> None:
    with (
        Lab(topology("left", 1), keep_host_keys=False) as left,
        Lab(topology("right", 1), keep_host_keys=False) as right,
    ):
        assert left.pid("r1") != right.pid("r1")
        left.run("r1", "ip", "addr", "add", "198.18.1.77/24", "dev", "lan")
        assert right.run("r1", "ping", "-c1", "-W1", "198.18.1.77").returncode != 0
        assert left.known_hosts() != right.known_hosts()
        left.down()
        assert right.run("r1", "true").returncode == 0
        assert [row.state for row in right.status().routers] == ["running"]


def test_nothing_can_leave(trio: Lab) -> None:
    """No way out by wire, and no way to change the machine by a careless configuration."""
    outside = subprocess.run(
        ["hostname", "-I"], capture_output=True, text=True, check=True
    ).stdout.split()
    for address in (*outside[:1], "192.0.2.1"):
        refused = trio.run("r1", "ping", "-c1", "-W1", address)
        assert refused.returncode == 2
        assert "unreachable" in (refused.stderr + refused.stdout).lower()
    on_machine = {link.name for link in Path("/sys/class/net").iterdir()}
    in_fabric = trio.run_managed(["ls", "/sys/class/net"])
    devices = trio.run_managed(["ip", "-o", "link"]).stdout
    assert in_fabric.returncode == 0
    assert not {"r1.lan", "br-core"} & on_machine
    assert not [name for name in on_machine - {"lo"} if f" {name}:" in devices]


def test_a_router_cannot_change_the_machine(trio: Lab) -> None:
    """Asked by reading, or by writing what is there already: a failure here must do no harm."""
    for path in (
        "/",
        "/usr/bin",
        "/usr/lib/frr",
        "/proc/sys/kernel/panic",
        "/proc/sys/vm/swappiness",
    ):
        assert trio.run("r1", "test", "-w", path).returncode != 0, path
    for path in ("/etc", "/var/lib", "/run", "/tmp", "/proc/sys/net/ipv4/ip_forward"):
        assert trio.run("r1", "test", "-w", path).returncode == 0, path
    trio.run("r1", "touch", "/etc/hacc-lab-was-here", "/var/hacc-lab-was-here")
    assert not Path("/etc/hacc-lab-was-here").exists()
    assert not Path("/var/hacc-lab-was-here").exists()
    assert trio.run("r1", "sysctl", "-w", "net.ipv4.ip_forward=1").returncode == 0
    assert trio.run("r1", "sysctl", "--system").returncode == 0


@pytest.mark.parametrize("process", ["self", "1"])
def test_neither_the_router_nor_who_enters_it_may_set_the_clock(trio: Lab, process: str) -> None:
    """`nsenter` comes with the machine's capabilities: the clock has no namespace to hide in."""
    status = trio.run("r1", "cat", f"/proc/{process}/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name, bit in (("CAP_SYS_MODULE", 16), ("CAP_SYS_BOOT", 22), ("CAP_SYS_TIME", 25)):
        for kind in ("CapBnd", "CapEff", "CapPrm"):
            assert not int(fields[kind], 16) >> bit & 1, (name, kind)


def test_what_the_machine_has_configured_does_not_shine_through(trio: Lab) -> None:
    for folder in ("/etc/keepalived", "/etc/snmp", "/var/lib/snmp", "/var/lib/hacc"):
        assert trio.run("r1", "ls", "-A", folder).stdout == "", folder
    shadow = trio.run("r1", "cat", "/etc/shadow").stdout.splitlines()
    can_log_in = {line.split(":")[0] for line in shadow if line.split(":")[1].startswith("$")}
    assert can_log_in == {"root", "vty"}
    home = trio.run("r1", "sh", "-c", "ls -A $HOME").stdout.split()
    assert set(home) <= {".history_frr"}  # vtysh's; no start-up file of the machine
    trio.run("r1", "touch", "/tmp/mine")
    assert trio.run("r2", "ls", "/tmp/mine").returncode != 0


def test_status_tells_what_does_not_run(lab: Lab) -> None:
    assert {row.state for row in lab.status().routers} == {"absent"}
    assert lab.status().up is False
    lab.up()
    assert {row.state for row in lab.status().routers} == {"running"}
    lab.run("r1", "sh", "-c", "printf 'broken {' > /etc/keepalived/keepalived.conf")
    lab.run("r1", "sh", "-c", "printf '[Service]\\nExecStart=/bin/false\\n' "
                              "> /etc/systemd/system/bad.service")  # fmt: skip
    lab.run("r1", "systemctl", "start", "bad")
    until(lambda: lab.status().routers[0].state == "degraded")
    assert lab.status().routers[0].detail == "bad.service"
    assert lab.up() == 0  # older troubles are not up's to judge
