"""A configuration from the field loads whole, survives, and means the same when it is read again."""

from __future__ import annotations

from lab.ios import Device
from lab.ios.differences import blocks_of, commands


def test_a_field_configuration_of_300_lines_is_taken_line_by_line(base: str) -> None:
    device = Device.from_text("ha1", "")
    device.hardware = Device.from_text("ha1", base).hardware
    assert len(base.splitlines()) >= 300
    assert device.load(base) == []


def test_it_is_printed_as_it_was_written(base: str) -> None:
    printed = blocks_of(Device.from_text("ha1", base).running_config())
    assert commands(printed, blocks_of(base)) == []


def test_printed_and_loaded_it_is_printed_the_same(base: str) -> None:
    once = Device.from_text("ha1", base).running_config()
    again = Device.from_text("ha1", once)
    assert again.running_config() == once
    assert again.load(once) == []
