"""Faults: each is set, bites, and is over when it is cleared."""

from __future__ import annotations

import pytest

from lab.ios import Console, Device, Faults, Session
from lab.ios.control import BadRequest, set_faults
from lab.ios.files import FlashFull
from lab.ios.scp import Sink, Source, parse_command
from lab.ios.terminal import Terminal

LINES = [
    "interface Gi0/1",
    "description a",
    "ip address 10.0.0.1 255.0.0.0",
    "standby 1 priority 9",
]


def router(**faults: object) -> Device:
    device = Device("r", interfaces=["GigabitEthernet0/1"])
    set_faults(device, dict(faults))
    return device


def push(device: Device) -> tuple[list[bool], Console]:
    """Type the lines; which of them were refused, and the console afterwards."""
    console = Console(device)
    console("configure terminal", *LINES)
    return [entry.refused for entry in device.journal[1:]], console


def test_the_line_dies_after_so_many_lines_and_they_count() -> None:
    device = router(drop_after=3)
    _, console = push(device)
    assert console.session.closed
    assert " ip address 10.0.0.1 255.0.0.0" in device.running_config()
    assert "priority 9" not in device.running_config()


def test_the_line_dies_in_the_middle_of_a_push_and_the_last_line_does_not_count() -> None:
    device = router(drop_before=3)
    refused, console = push(device)
    assert console.session.closed
    assert refused == [False, False, True]
    assert " ip address 10.0.0.1" not in device.running_config()


def test_a_line_is_rejected_by_number_once_and_by_text_always() -> None:
    assert push(router(reject_line=2))[0] == [False, True, False, False]
    assert push(router(reject_text="ip address"))[0] == [False, False, True, False]


def test_no_password_is_right() -> None:
    device = Device("r", users={"u": "p"}, enable="e")
    assert device.login("u", "p") == 1
    device.faults.wrong_password = True
    assert device.login("u", "p") is None


def test_latency_and_a_slow_prompt_are_told_to_the_shell() -> None:
    terminal = Terminal(Session(router(latency=0.5, slow_prompt=2.0), privilege=15))
    first, second, third = terminal.receive(b"show privilege\n", 0.0)
    assert (first.delay, first.data) == (0.0, b"show privilege\r\n")
    assert (second.delay, second.data) == (0.5, b"Current privilege level is 15\r\n")
    assert (third.delay, third.data) == (2.0, b"Router#")


def test_an_echo_is_cut() -> None:
    terminal = Terminal(Session(router(truncate_echo=5), privilege=15))
    (shown,) = terminal.receive(b"show privilege\n", 0.0)
    assert b"show privilege" not in shown.data
    assert b"Current privilege level" in shown.data


def test_a_router_without_power_hears_nothing_and_forgets_what_was_not_saved() -> None:
    device = router()
    _, console = push(device)
    device.power_off()
    assert console("show clock") == ""
    assert console.session.closed
    device.power_on(9.0)
    assert "description a" not in device.running_config()


def test_what_the_control_channel_is_told_is_checked() -> None:
    device = router()
    with pytest.raises(BadRequest, match="unknown fault 'latencies'"):
        set_faults(device, {"latencies": 1})
    with pytest.raises(BadRequest, match="latency: 'long' is not a float"):
        set_faults(device, {"latency": "long"})
    assert device.faults == Faults()


def test_scp_sink_and_source_speak_the_protocol_in_any_pieces() -> None:
    device = router()
    asked = parse_command("scp -v -t flash:x.cfg")
    assert asked is not None
    assert asked.sink
    sink = Sink(device, asked.path)
    said = sink.start()
    for byte in b"C0644 5 x.cfg\nhello\0":
        said += sink.receive(bytes([byte]), 0.0)
    assert said == b"\0\0\0"
    assert device.flash.read("x.cfg") == b"hello"
    source = Source(device, "flash:x.cfg")
    assert source.start() + b"".join(source.receive(b"\0", 0.0) for _ in range(3)) == (
        b"C0644 5 x.cfg\nhello\0"
    )
    assert Source(device, "flash:none").start().startswith(b"\1")
    assert parse_command("rm -rf /") is None


def test_scp_onto_a_full_flash_leaves_what_was_there() -> None:
    device = router()
    device.flash.write("x", b"old", 0.0)
    device.flash.size = 4
    with pytest.raises(FlashFull):
        device.flash.write("y", b"too much", 0.0)
    sink = Sink(device, "flash:x")
    assert b"No space left on device" in sink.receive(b"C0644 5 x\nhello\0", 0.0)
    assert device.flash.read("x") == b"old"
