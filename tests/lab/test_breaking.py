"""Each fault really breaks what it says, and mending makes it whole."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.faults import Fault, FaultKind, ruleset
from lab.lab import Lab
from tests.lab.labs import topology, until


def hears(lab: Lab, router: str, other: int, *, network: str = "198.18.1") -> bool:
    ping = ("ping", "-c1", "-W1", f"{network}.{other}")
    return lab.run(router, *ping).returncode == 0


def carrier(lab: Lab, router: str, interface: str) -> str:
    return lab.run(router, "cat", f"/proc/1/root/sys/class/net/{interface}/carrier").stdout.strip()


@pytest.mark.lab
def test_link_takes_the_carrier_away(mended: Lab) -> None:
    assert carrier(mended, "r1", "lan") == "1"
    fault = mended.break_(Fault(FaultKind.LINK, ("r1",)))
    assert carrier(mended, "r1", "lan") == "0"
    assert carrier(mended, "r1", "mgmt") == "1"
    assert not hears(mended, "r2", 1)
    assert hears(mended, "r2", 1, network="198.18.0")
    mended.mend([fault.number])
    assert carrier(mended, "r1", "lan") == "1"
    until(lambda: hears(mended, "r2", 1))


def icmp(lab: Lab, router: str, name: str) -> int:
    """A counter of /proc/net/snmp: a line of names, then a line of numbers."""
    lines = lab.run(router, "grep", "^Icmp:", "/proc/net/snmp").stdout.splitlines()
    names, numbers = (line.split() for line in lines)
    return int(numbers[names.index(name)])


@pytest.mark.lab
@pytest.mark.parametrize("direction", ["in", "out"])
def test_oneway_stops_one_direction_and_keeps_the_carrier(mended: Lab, direction: str) -> None:
    until(lambda: hears(mended, "r1", 2))  # so that neither has to ask for a hardware address
    mended.break_(Fault(FaultKind.ONEWAY, ("r1",), direction=direction))
    asked, answered = icmp(mended, "r2", "InEchos"), icmp(mended, "r1", "InEchoReps")
    assert not hears(mended, "r1", 2)
    assert icmp(mended, "r1", "InEchoReps") == answered
    assert icmp(mended, "r2", "InEchos") == asked + (1 if direction == "in" else 0)
    assert carrier(mended, "r1", "lan") == "1"
    assert hears(mended, "r2", 3)
    mended.mend()
    until(lambda: hears(mended, "r1", 2))


@pytest.mark.lab
def test_partition_separates_two_sets_and_nobody_else(mended: Lab) -> None:
    mended.break_(Fault(FaultKind.PARTITION, ("r1",), others=("r2",)))
    assert not hears(mended, "r1", 2)
    assert not hears(mended, "r2", 1)
    assert hears(mended, "r1", 3)
    assert hears(mended, "r3", 2)
    mended.mend()
    until(lambda: hears(mended, "r1", 2))


@pytest.mark.lab
def test_loss_loses_a_share_and_counts_it(mended: Lab) -> None:
    """300 pings at 30 % each way: 153 lost on average, 8.7 is one standard deviation."""
    hears(mended, "r1", 2)
    mended.break_(Fault(FaultKind.LOSS, ("r1",), permille=300))
    done = mended.run("r1", "ping", "-q", "-i", "0.002", "-c", "300", "-W", "1", "198.18.1.2")
    received = int(done.stdout.split(" received")[0].split()[-1])
    assert 300 * 0.49 - 60 < received < 300 * 0.49 + 60
    rules = mended.run_managed(["nft", "list", "table", "bridge", "hacc_lab"]).stdout
    assert 'iifname "r1.lan"' in rules
    assert "counter packets 0" not in rules
    mended.mend()
    assert mended.run("r1", "ping", "-q", "-i", "0.002", "-c", "50", "198.18.1.2").returncode == 0


@pytest.mark.lab
def test_kill_is_sigkill_and_mending_starts_the_service_again(mended: Lab) -> None:
    unit = "[Service]\nExecStart=/bin/sleep 600\n"
    mended.run("r1", "sh", "-c", "cat > /etc/systemd/system/victim.service", text_in=unit)
    mended.run("r1", "systemctl", "start", "victim")
    fault = mended.break_(Fault(FaultKind.KILL, ("r1",), daemon="sleep"))
    assert fault.unit == "victim.service"
    until(lambda: mended.run("r1", "systemctl", "is-failed", "victim").returncode == 0)
    assert [str(f) for f in mended.status().faults] == ["kill r1 sleep"]
    mended.mend()
    assert mended.run("r1", "systemctl", "is-active", "victim").returncode == 0
    mended.run("r1", "systemctl", "stop", "victim")


@pytest.mark.lab
def test_a_router_that_was_off_has_its_kernel_settings_again(mended: Lab) -> None:
    wanted = "net.ipv4.ip_forward = 1\nnet/ipv4/conf/lan/rp_filter = 2\n"
    mended.run("r3", "sh", "-c", "cat > /etc/sysctl.d/90-test.conf", text_in=wanted)
    mended.break_(Fault(FaultKind.POWER, ("r3",)))
    mended.mend()
    asked = ("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.conf.lan.rp_filter")
    assert mended.run("r3", *asked).stdout.split() == ["1", "2"]
    mended.run("r3", "rm", "/etc/sysctl.d/90-test.conf")


@pytest.mark.lab
def test_services_find_their_interfaces_at_boot(mended: Lab) -> None:
    """keepalived ends for good where an interface of its file is missing."""
    look = (
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'ls /proc/sys/net/ipv4/conf > /etc/seen'\n"
    )
    mended.run("r3", "sh", "-c", "cat > /etc/systemd/system/look.service", text_in=look)
    links = "/etc/systemd/system/multi-user.target.wants"
    mended.run("r3", "sh", "-c", f"mkdir -p {links}; ln -s ../look.service {links}/")
    mended.break_(Fault(FaultKind.POWER, ("r3",)))
    mended.mend()
    assert {"lan", "mgmt"} <= set(mended.run("r3", "cat", "/etc/seen").stdout.split())
    mended.run("r3", "rm", f"{links}/look.service", "/etc/systemd/system/look.service")


@pytest.mark.lab
def test_a_daemon_in_python_is_killed_by_the_name_of_its_service(mended: Lab) -> None:
    unit = "[Service]\nExecStart=/bin/sh -c 'while :; do sleep 600; done'\nRestart=always\n"
    mended.run("r1", "sh", "-c", "cat > /etc/systemd/system/agent.service", text_in=unit)
    mended.run("r1", "systemctl", "start", "agent")
    before = main_pid(mended)
    fault = mended.break_(Fault(FaultKind.KILL, ("r1",), daemon="agent"))
    assert fault.unit == "agent.service"
    until(lambda: main_pid(mended) not in ("0", before))
    again = main_pid(mended)
    mended.mend()
    assert main_pid(mended) == again  # its supervisor has brought it back: nothing to do
    mended.run("r1", "systemctl", "stop", "agent")


def main_pid(lab: Lab) -> str:
    return lab.run("r1", "systemctl", "show", "-p", "MainPID", "--value", "agent").stdout.strip()


@pytest.mark.lab
def test_a_service_that_is_stopped_stays_so_until_mended(mended: Lab) -> None:
    mended.break_(Fault(FaultKind.STOP, ("r3",), unit="ssh"))
    assert mended.run("r3", "systemctl", "is-active", "ssh").returncode != 0
    mended.break_(Fault(FaultKind.POWER, ("r3",)))
    mended.mend([2])
    assert mended.run("r3", "systemctl", "is-active", "ssh").returncode != 0  # after a boot, too
    mended.mend()
    assert mended.run("r3", "systemctl", "is-active", "ssh").returncode == 0


def free_percent(lab: Lab, router: str) -> float:
    lines = lab.run(router, "cat", "/proc/meminfo").stdout.splitlines()
    told = {line.split()[0]: int(line.split()[1]) for line in lines}
    return 100 * told["MemAvailable:"] / told["MemTotal:"]


@pytest.mark.lab
def test_an_overloaded_router_says_so_and_its_neighbours_do_not(mended: Lab) -> None:
    mended.break_(Fault(FaultKind.OVERLOAD, ("r1",)))
    assert free_percent(mended, "r1") == pytest.approx(1, abs=0.1)
    assert free_percent(mended, "r2") > 3
    mended.mend()
    assert free_percent(mended, "r1") > 3


@pytest.mark.lab
def test_an_owner_mends_its_own_faults_alone(mended: Lab) -> None:
    mine = mended.break_(Fault(FaultKind.LINK, ("r1",), owner="drill/one"))
    other = mended.break_(Fault(FaultKind.LINK, ("r2",)))
    assert [fault.number for fault in mended.mend(owner="drill/one")] == [mine.number]
    assert mended.mend(owner="drill/one") == ()
    assert [fault.number for fault in mended.faults()] == [other.number]


@pytest.mark.lab
def test_what_could_not_be_broken_is_not_listed(mended: Lab) -> None:
    with pytest.raises(LabError):
        mended.break_(Fault(FaultKind.ORDER, ("r1",), order="drain", member="ha1"))
    assert mended.faults() == ()


@pytest.mark.lab
def test_power_is_off_until_mended_and_the_disk_survives(mended: Lab) -> None:
    mended.run("r3", "sh", "-c", "echo kept > /etc/kept; echo gone > /run/gone")
    mended.break_(Fault(FaultKind.POWER, ("r3",)))
    assert not hears(mended, "r1", 3, network="198.18.0")
    assert "r3" not in mended.routers()
    assert mended.status().routers[2].state == "off"
    assert mended.up() == 0  # what is off on purpose is not repaired
    mended.mend()
    assert mended.run("r3", "cat", "/etc/kept").stdout == "kept\n"
    assert mended.run("r3", "test", "-e", "/run/gone").returncode == 1
    mended.run("r3", "ip", "addr", "add", "198.18.1.3/24", "dev", "lan")
    until(lambda: hears(mended, "r1", 3))


@pytest.mark.lab
def test_freeze_stops_the_programs_and_not_the_kernel(mended: Lab) -> None:
    banner = 'exec 3<>/dev/tcp/198.18.0.2/22; read -t 1 -u 3 line; [ -n "$line" ]'
    assert mended.run("r1", "bash", "-c", banner).returncode == 0
    mended.break_(Fault(FaultKind.FREEZE, ("r2",)))
    assert hears(mended, "r1", 2)
    assert mended.run("r1", "bash", "-c", banner).returncode != 0
    assert mended.status().routers[1].state == "frozen"
    mended.mend()
    assert mended.run("r1", "bash", "-c", banner).returncode == 0
    assert mended.status().routers[1].state == "running"


@pytest.mark.lab
def test_faults_are_numbered_and_mended_one_by_one(mended: Lab) -> None:
    first = mended.break_(Fault(FaultKind.LINK, ("r1",)))
    second = mended.break_(Fault(FaultKind.LINK, ("r1",), interface="mgmt"))
    assert (first.number, second.number) == (1, 2)
    mended.mend([1])
    assert [f.number for f in mended.status().faults] == [2]
    assert carrier(mended, "r1", "lan") == "1"
    assert carrier(mended, "r1", "mgmt") == "0"
    with pytest.raises(LabError, match="no fault 7"):
        mended.mend([7])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(FaultKind.LINK, ("r9",)), "r9: no such router"),
        (Fault(FaultKind.LINK, ("r1",), interface="eth7"), "r1: no interface eth7"),
        (Fault(FaultKind.LOSS, ("r1",), permille=0), "more than 0%"),
        (Fault(FaultKind.PARTITION, ("r1", "r2"), others=("r2",)), "r2: on both sides"),
    ],
    ids=["router", "interface", "loss", "partition"],
)
def test_what_cannot_be_broken_is_refused(fault: Fault, message: str) -> None:
    with pytest.raises(LabError, match=message):
        Lab(topology("none", 2)).break_(fault)


def test_no_fault_is_an_empty_table() -> None:
    assert "drop" not in ruleset(topology("none", 2), ())
