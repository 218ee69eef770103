"""One class of bad input each: one clear message, the right exit code, and routers left alone.

What is wrong with a file is found offline. Whatever is wrong with a router, or happens to it while
it is changed, ends with every router holding exactly what it held before (the fixture `fleet` reads
them past `hacc`), and with a `hacc plan` that finds it so.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.commands.fleet import LabDesk
from tests.commands.program import Desk, Done

# --- files: found before any router is asked ---------------


def line_of(desk: Desk, text: str, file: Path | None = None) -> int:
    lines = (file or desk.intent).read_text().splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if text in line)
    return number


def test_yaml_that_is_broken(desk: Desk) -> None:
    desk.edit("  lifetime: 1800", "  lifetime: [1800")
    told = desk.hacc("validate").ends(1)
    assert told.err.startswith("inventory/clusters/west.yaml:")
    assert "Problem" not in told.err


def test_a_key_that_is_unknown(desk: Desk) -> None:
    desk.edit("    hello_ms: 500\n    preempt", "    hello_mss: 500\n    preempt")
    told = desk.hacc("validate").ends(1)
    number = line_of(desk, "hello_mss")
    assert told.err == (
        f"inventory/clusters/west.yaml:{number}: controllers.redundancy.hello_mss: unknown key\n"
        "    hint: did you mean hello_ms?\n"
    )


def test_an_address_that_two_routers_have(desk: Desk) -> None:
    hosts = desk.inventory / "hosts.yaml"
    desk.edit("198.18.1.21/24", "198.18.1.11/24", hosts)
    told = desk.hacc("validate").ends(1)
    numbers = [n for n, text in enumerate(hosts.read_text().splitlines(), 1) if "1.11/24" in text]
    for number in numbers:
        assert f"inventory/hosts.yaml:{number}" in told.err, "both places are named"
    assert "198.18.1.11" in told.err


def test_everything_that_is_wrong_is_told_in_one_run(desk: Desk) -> None:
    desk.edit("    hello_ms: 500\n    preempt", "    hello_mss: 500\n    preempt")
    desk.edit("lifetime: 1800", "lifetime: 18000000")
    desk.edit("group: 20", "group: twenty")
    told = desk.hacc("validate").ends(1)
    places = re.findall(r"^inventory/clusters/west\.yaml:(\d+): ", told.err, re.MULTILINE)
    wanted = [line_of(desk, text) for text in ("18000000", "hello_mss", "twenty")]
    assert [int(place) for place in places] == wanted
    assert told.err.endswith("3 problems\n")


def test_keys_that_the_environment_does_not_have(desk: Desk) -> None:
    for name in ("OSPF_KEY", "HACC_PASSWORD"):
        del desk.secrets[name]
    (desk.inventory / "keys" / "mn7").unlink()
    told = desk.hacc("plan").ends(1)
    defaults = line_of(desk, "HACC_PASSWORD", desk.inventory / "defaults.yaml")
    assert f"inventory/defaults.yaml:{defaults}: env:HACC_PASSWORD: the environment has no" in (
        told.err
    )
    number = line_of(desk, "OSPF_KEY")
    assert f"inventory/clusters/west.yaml:{number}: env:OSPF_KEY: the environment has no" in (
        told.err
    )
    assert f"inventory/clusters/west.yaml:{line_of(desk, 'mn7')}: file:keys/mn7: " in told.err
    assert "hint: export OSPF_KEY=...\n" in told.err
    assert told.err.endswith("3 problems\n")


def test_a_key_of_the_wrong_length(desk: Desk) -> None:
    desk.secrets["PAIR_KEY"] = "short"
    told = desk.hacc("validate", "--secrets").ends(1)
    assert f"west.yaml:{line_of(desk, 'PAIR_KEY')}: " in told.err
    assert ": short" not in told.err


@pytest.mark.parametrize("name", ["hosts.yaml", "clusters/west.yaml"])
def test_a_file_that_cannot_be_read(desk: Desk, name: str) -> None:
    """Even root cannot read a folder as a file."""
    (desk.inventory / name).unlink()
    (desk.inventory / name).mkdir()
    told = desk.hacc("validate").ends(1)
    assert f"inventory/{name}" in told.err


def test_a_file_that_is_no_text(desk: Desk) -> None:
    desk.intent.write_bytes(b"\xff\xfe\x00cluster")
    told = desk.hacc("validate").ends(1)
    assert told.err.startswith("inventory/clusters/west.yaml")


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"format": 99}', b"\xff\xfe"],
    ids=["empty", "half", "no-plan", "of-another-time", "no-text"],
)
def test_a_plan_file_that_is_damaged(desk: Desk, damage: bytes) -> None:
    (desk.place / "plan.json").write_bytes(damage)
    told = desk.hacc("apply", "plan.json").ends(1)
    assert told.err.startswith("plan.json")
    assert len(told.err.splitlines()) <= 3, told.err


# --- routers that are not as we think; nothing is sent ---------------


def change(fleet: LabDesk) -> None:
    """Three more mobile nodes on every router: no impact, a dozen lines on each IOS router."""
    nodes = "".join(
        f'  - {{address: 198.19.96.{n}, security: {{spi: {n + 512}, key: "env:REALM_KEY"}}}}\n'
        for n in range(10, 16)
    )
    fleet.edit("routing:\n", f"{nodes}routing:\n")


def sent(fleet: LabDesk, host: str) -> int:
    """Lines that a simulated router took in configuration mode, from whomever."""
    entries = fleet.ios("journal", host)["entries"]
    return sum(entry["mode"] not in ("user", "enable") for entry in entries)


@pytest.mark.lab
def test_routers_that_cannot_be_reached(fleet: LabDesk) -> None:
    change(fleet)
    fleet.fault("ios1", refuse_connection=True)
    fleet.sh("ha1", "systemctl stop ssh")
    try:
        told = fleet.hacc("apply", "--yes").ends(3)
    finally:
        fleet.sh("ha1", "systemctl start ssh")
    for host, address in (("ios1", "198.18.0.31"), ("ha1", "198.18.0.21")):
        (line,) = (line for line in told.err.splitlines() if line.startswith(f"{host}: "))
        assert address in line
    assert told.err.endswith("2 problems\n")


@pytest.mark.lab
def test_a_password_that_is_wrong(fleet: LabDesk) -> None:
    fleet.secrets["HACC_PASSWORD"] = "forgotten"
    told = fleet.hacc("plan").ends(3)
    refused = re.findall(r"^(\w+): (\S+) refused the password of '(\w+)'$", told.err, re.MULTILINE)
    assert sorted(refused) == [
        ("ha1", "198.18.0.21:22", "root"),
        ("hacc1", "198.18.0.11:22", "root"),
        ("hacc2", "198.18.0.12:22", "root"),
        ("ios1", "198.18.0.31:22", "admin"),
        ("ios2", "198.18.0.32:22", "admin"),
    ]
    assert "forgotten" not in told.err


@pytest.mark.lab
def test_a_host_key_that_is_another(fleet: LabDesk) -> None:
    fleet.fault("ios2", other_host_key=True)
    told = fleet.hacc("plan").ends(3)
    assert "ios2: the host key of 198.18.0.32 has changed" in told.err
    assert len(set(re.findall(r"SHA256:[\w+/]{43}", told.err))) == 2, "both fingerprints are told"
    assert told.err.splitlines()[-1].startswith("    hint: somebody may be in the middle.")


@pytest.mark.lab
def test_host_keys_that_are_not_known_yet_when_they_must_be(fleet: LabDesk) -> None:
    known = fleet.work / "known_hosts"
    kept = known.read_text()
    known.unlink()
    try:
        fleet.hacc("plan", "--strict").ends(3)
        assert not known.exists() or not known.read_text()
    finally:
        known.write_text(kept)


@pytest.mark.lab
def test_a_router_edited_between_plan_and_apply(fleet: LabDesk) -> None:
    change(fleet)
    fleet.hacc("plan", "-o", "plan.json").ends(0)
    fleet.on_console("ios2", "interface GigabitEthernet0/1", "description by the night shift")
    before = sent(fleet, "ios1")
    told = fleet.hacc("apply", "plan.json", "--yes").ends(6)
    assert told.err.splitlines()[-2:] == [
        "ios2: its configuration has changed since the plan was made",
        "    hint: nothing was touched; make a new plan: hacc plan",
    ]
    assert sent(fleet, "ios1") == before
    fleet.on_console("ios2", "interface GigabitEthernet0/1", "no description")


@pytest.mark.lab
def test_a_file_edited_between_plan_and_apply(fleet: LabDesk) -> None:
    change(fleet)
    fleet.hacc("plan", "-o", "plan.json").ends(0)
    fleet.sh("ha1", "echo '# by hand' >> /etc/hacc/agent.toml")
    told = fleet.hacc("apply", "plan.json", "--yes").ends(6)
    assert "ha1: its configuration has changed since the plan was made\n" in told.err
    fleet.sh("ha1", "sed -i '/^# by hand$/d' /etc/hacc/agent.toml")


@pytest.mark.lab
def test_a_plan_of_an_intent_that_has_changed_since(fleet: LabDesk) -> None:
    change(fleet)
    fleet.hacc("plan", "-o", "plan.json").ends(0)
    fleet.edit("lifetime: 1800", "lifetime: 1700")
    told = fleet.hacc("apply", "plan.json", "--yes").ends(6)
    assert told.err == (
        "plan.json: plan: the intent or the templates have changed since this plan was made\n"
        "    hint: nothing was touched; make it again: hacc plan -o plan.json\n"
    )


@pytest.mark.lab
def test_an_impact_that_was_not_allowed(fleet: LabDesk) -> None:
    fleet.edit("hello_ms: 500\n      hold_ms: 1600", "hello_ms: 600\n      hold_ms: 2000")
    told = fleet.hacc("apply", "--yes").ends(1)
    assert "ios1: the plan means re-election\n" in told.err
    assert "    allowed: no impact\n" in told.err
    assert "    hint: look at the plan, then: --allow re-election\n" in told.err


@pytest.mark.lab
def test_nobody_there_to_be_asked(fleet: LabDesk) -> None:
    change(fleet)
    told = fleet.hacc("apply").ends(1)
    assert told.err.endswith(
        "hacc: this needs a confirmation, and there is no terminal to ask on\n"
        "    hint: --yes when nobody is there to answer\n"
    )


@pytest.mark.lab
def test_somebody_who_says_no(fleet: LabDesk) -> None:
    change(fleet)
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            fleet.command("apply"),
            cwd=fleet.place,
            env=fleet.environment() | {"TERM": "xterm"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(ours, b"n\n")
        out, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (process.returncode, "Plan: 5 of 5 routers change" in out) == (1, True), out + err
    assert "Change 5 routers? [y/N]" in err


@pytest.mark.lab
def test_another_run_from_the_same_directory(fleet: LabDesk) -> None:
    change(fleet)
    with (fleet.work / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = fleet.hacc("apply", "--yes").ends(1)
    assert "another run from this directory is under way\n    hint: wait for it to end\n" in (
        told.err
    )


@pytest.mark.lab
def test_a_flash_that_is_full(fleet: LabDesk) -> None:
    change(fleet)
    fleet.fault("ios2", full_flash=True)
    told = fleet.hacc("apply", "--yes", "--json").ends(3)
    assert states(told)["ios2"] in ("not-begun", "returned")
    assert "flash" in problem(told, "ios2")


# --- and what happens to them in the middle; everything is returned ---------------


def states(told: Done) -> dict[str, str]:
    return {host["host"]: host["state"] for host in told.value["hosts"]}


def problem(told: Done, host: str) -> str:
    """The one thing that went wrong on a router."""
    (found,) = (one for one in told.value["hosts"] if one["host"] == host)
    (one,) = found["problems"]
    return str(one["message"])


@pytest.mark.lab
def test_a_line_that_the_router_rejects(fleet: LabDesk) -> None:
    change(fleet)
    fleet.fault("ios1", reject_line=7)  # of the last wave: the others are changed by then
    told = fleet.hacc("apply", "--yes", "--json").ends(3)
    assert set(states(told).values()) == {"returned"}
    assert "% Invalid input" in problem(told, "ios1")


@pytest.mark.lab
def test_a_connection_that_drops_in_the_middle(fleet: LabDesk) -> None:
    change(fleet)
    fleet.fault("ios1", drop_after=5)
    told = fleet.hacc("apply", "--yes", "--json").ends(3)
    assert set(states(told).values()) == {"returned"}
    assert problem(told, "ios1") == "the router closed the connection"


@pytest.mark.lab
def test_ctrl_c_in_the_middle(fleet: LabDesk) -> None:
    change(fleet)
    told = fleet.meanwhile(
        "apply",
        "--yes",
        "--json",
        said='"host": "ha1", "stage": "push"',
        do=lambda process: process.send_signal(signal.SIGINT),
    ).ends(130)
    assert states(told) == {
        "hacc1": "not-begun",
        "hacc2": "returned",
        "ha1": "returned",
        "ios1": "not-begun",
        "ios2": "returned",
    }
    events = [json.loads(line) for line in told.err.splitlines()]
    (stop,) = (event["text"] for event in events if event["stage"] == "stop")
    assert stop == "SIGINT: finishing what is under way; once more to leave at once"


@pytest.mark.lab
def test_a_cluster_that_is_not_well_after_the_change(fleet: LabDesk) -> None:
    """A member answers for the common address while the standby routers are changed."""
    change(fleet)
    lift = "sysctl -qw net.ipv4.conf.all.arp_ignore="
    told = fleet.meanwhile(
        "apply",
        "--yes",
        "--json",
        said='"host": "hacc2", "stage": "push"',
        do=lambda _process: fleet.sh("ha1", f"{lift}0"),
    ).ends(4)
    fleet.sh("ha1", f"{lift}1")
    assert states(told) == {
        "hacc1": "not-begun",
        "hacc2": "returned",
        "ha1": "not-begun",
        "ios1": "not-begun",
        "ios2": "returned",
    }
    assert problem(told, "ha1").startswith("arp: ")
