"""Files, the archive, replacing, and changes that revert unless they are confirmed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from lab.ios import Console, Device

ARCHIVE = "hostname r\nfile prompt quiet\narchive\n path flash:arch\n maximum 2\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("show archive", "Archive feature not enabled"),
        ("archive config", "%Archive path is not configured"),
        ("configure terminal revert timer 5", "%Archive path must be configured"),
        ("configure confirm", "%No Rollback Confirmed Change pending"),
        ("configure revert now", "%No Rollback Confirmed Change pending"),
        ("configure revert timer 5", "%No Rollback Confirmed Change pending"),
        ("show archive config rollback timer", "%No Rollback Confirmed Change pending"),
        ("configure replace flash:none force", "%Error opening flash:none"),
    ],
)
def test_refused_without_an_archive_or_a_change(
    command: str, said: str, console: Callable[[str], Console]
) -> None:
    router = console("hostname r\n")
    assert said in router(command)
    assert router.prompt == "r#"


def test_saved_configurations_are_numbered_and_the_oldest_goes(
    console: Callable[[str], Console],
) -> None:
    router = console(ARCHIVE)
    router("archive config", "archive config", "archive config")
    shown = router("show archive").splitlines()
    assert shown[1] == "There are currently 2 archive configurations saved."
    assert shown[5].endswith("-2 <- Most Recent")
    assert len(router.device.flash.files) == 2


def test_a_saved_configuration_survives_a_reload_and_an_unsaved_one_does_not(
    console: Callable[[str], Console],
) -> None:
    router = console("hostname r\nsnmp-server user u g v3 auth sha aaaabbbb\n")
    assert router("write memory") == "Building configuration...\n[OK]\n"
    router.configure("hostname lost")
    router.device.reload(router.now)
    assert router.device.hostname == "r"
    assert "u" in router.device.private_config()
    assert router("show clock") == ""  # the session died with the router
    assert router.session.closed


def test_copies(console: Callable[[str], Console]) -> None:
    router = console("hostname r\nfile prompt quiet\n")
    router("copy running-config flash:a.cfg")
    text = router.device.running_config()
    assert router("more flash:a.cfg").splitlines() == text.splitlines()
    assert hashlib.md5(text.encode()).hexdigest() in router("verify /md5 flash:a.cfg")
    router.device.flash.write("b.cfg", b"interface Loopback9\n description merged\nend\n", 0.0)
    router("copy flash:b.cfg running-config")
    assert " description merged" in router.device.running_config()
    router("copy run start")
    assert " description merged" in router("show startup-config")
    assert "b.cfg" in router("dir")
    router("delete /force flash:b.cfg")
    assert "b.cfg" not in router("dir flash:")


def test_copying_asks_for_the_name_unless_prompts_are_quiet(
    console: Callable[[str], Console],
) -> None:
    router = console("hostname r\n")
    router("copy running-config startup-config")
    assert router.prompt == "Destination filename [startup-config]? "
    assert "[OK]" in router("")
    router("copy running-config flash:x", "y.cfg")
    assert list(router.device.flash.files) == ["y.cfg"]


def test_a_full_flash_takes_nothing(console: Callable[[str], Console]) -> None:
    router = console(ARCHIVE)
    router.device.faults.full_flash = True
    assert "(No space left on device)" in router("copy running-config flash:x")
    assert "(No space left on device)" in router("archive config")
    assert "(No space left on device)" in router("configure terminal revert timer 5")
    assert router.device.archive.pending is None
    assert router.device.flash.files == {}


def test_differences(console: Callable[[str], Console]) -> None:
    router = console(f"{ARCHIVE}interface Gi0/1\n description a\n ip address 10.0.0.1 255.0.0.0\n")
    router("copy running-config flash:old")
    router.configure("interface gi0/1", "description b", "hostname new")
    assert router("show archive config differences flash:old").splitlines() == [
        "!Contextual Config Diffs:",
        "+hostname new",
        "interface GigabitEthernet0/1",
        " +description b",
        " -description a",
        "-hostname r",
    ]
    router("copy running-config startup-config")
    assert "!No changes were found" in router("show archive config differences")
    assert router("show archive config incremental-diffs flash:old").splitlines() == [
        "!List of Commands:",
        "hostname r",
        "interface GigabitEthernet0/1",
        " description a",
        "end",
    ]


def test_replace_asks_and_force_does_not(console: Callable[[str], Console]) -> None:
    router = console(ARCHIVE)
    router("copy running-config flash:old")
    old = router.device.running_config()
    router.configure("hostname new", "interface lo4", "ip route 10.0.0.0 255.0.0.0 10.1.1.1")
    said = router("configure replace flash:old")
    assert router.prompt.endswith("proceed. ? [no]: ") or "proceed" in said
    router("no")
    assert router.device.hostname == "new"
    said = router("configure replace flash:old force list")
    assert "Total number of passes: 1\nRollback Done\n" in said
    assert "no interface Loopback4" in said
    assert router.device.running_config() == old


def test_replace_gives_up_after_five_passes(console: Callable[[str], Console]) -> None:
    router = console(ARCHIVE)
    bad = router.device.running_config().replace("!\nend", "no such command\n!\nend")
    router.device.flash.write("bad", bad.encode(), 0.0)
    said = router("configure replace flash:bad force")
    assert "Rollback aborted after 5 passes" in said
    assert "no such command" in said


def test_replace_with_trigger_error_goes_back(console: Callable[[str], Console]) -> None:
    router = console(ARCHIVE)
    before = router.device.running_config()
    bad = before.replace("hostname r", "hostname broken\nno such command")
    router.device.flash.write("bad", bad.encode(), 0.0)
    router("configure replace flash:bad force revert trigger error timer 5")
    assert router.device.running_config() == before
    assert router.device.next_deadline() is None


def test_an_unconfirmed_replacement_goes_back_in_its_own_time(
    console: Callable[[str], Console],
) -> None:
    router = console(ARCHIVE)
    before = router.device.running_config()
    router.device.flash.write("new", before.replace("hostname r", "hostname n").encode(), 0.0)
    router("configure replace flash:new force time 2")
    assert router.device.hostname == "n"
    assert router.device.next_deadline() == router.now + 120
    router.device.handle_timer(router.now + 120)
    assert router.device.running_config() == before


def test_confirm_keeps_the_change(console: Callable[[str], Console]) -> None:
    router = console(ARCHIVE)
    router("configure terminal revert timer 1", "hostname kept", "end")
    assert "Timer value: 1 min" in router("show archive config rollback timer")
    assert router("configure confirm") == ""
    router.device.handle_timer(router.now + 1000)
    assert router.device.hostname == "kept"


def test_revert_now(console: Callable[[str], Console]) -> None:
    router = console(ARCHIVE)
    router("configure terminal revert timer 1", "hostname gone", "end")
    assert "Rollback Done" in router("configure revert now")
    assert router.device.hostname == "r"


def test_an_idle_timer_runs_from_the_last_line_that_was_heard(
    console: Callable[[str], Console],
) -> None:
    router = console(ARCHIVE)
    router("configure terminal revert timer idle 1", "hostname x")
    router.now += 50
    router("interface lo1")
    assert router.device.next_deadline() == router.now + 60
    router("end", "configure revert timer 10")
    assert router.device.next_deadline() == router.now + 600


def test_the_timer_outlives_its_session_and_a_second_one_is_refused() -> None:
    device = Device.from_text("r", ARCHIVE)
    first, second = Console(device), Console(device)
    first("configure terminal revert timer 1", "hostname x", "end", "exit")
    assert "already pending" in second("configure terminal revert timer 1")
    device.handle_timer(60.0)
    assert device.hostname == "r"


def test_a_reload_reverts_to_what_was_saved() -> None:
    device = Device.from_text("r", ARCHIVE)
    device.save()
    Console(device)("configure terminal revert timer 9", "hostname x")
    device.reload(5.0)
    assert (device.hostname, device.next_deadline()) == ("r", None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ip local pool WEST", "ip local pool EAST"),
        ("198.19.64.0 255.255.192.0", "198.19.64.0 255.255.224.0"),
        ("interface GigabitEthernet0/3\n", "interface GigabitEthernet0/3\n vrf forwarding MGMT\n"),
        ("10.2.0.2 255", "10.1.0.77 255"),
        (" permit udp 10.7.0.0 0.0.0.255 any eq mobile-ip\n", ""),
    ],
    ids=["pool in use", "network in use", "VRF move", "address", "access list"],
)
def test_replace_finds_its_way_through_what_depends_on_what(old: str, new: str, base: str) -> None:
    changed = base.replace(old, new)
    if "pool" in old:
        changed = changed.replace("pool local WEST", "pool local EAST")
    device = Device.from_text("r", base)
    other = Device("r", interfaces=device.hardware)
    other.load(changed)
    assert other.running_config() != device.running_config()
    for wanted in (other.running_config(), device.running_config()):
        done = device.archive.replace(wanted, 0.0)
        assert done.done, done.report(listed=True)
        assert device.running_config() == wanted


def test_a_full_flash_does_not_keep_a_configuration_from_being_saved() -> None:
    device = Device.from_text("r", ARCHIVE + " write-memory\n")
    device.faults.full_flash = True
    assert "(No space left on device)" in device.save()
    assert device.startup == device.running_config()
