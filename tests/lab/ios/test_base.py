"""A configuration from the field loads whole, and reads the same when it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("file", "rejected"),
    [
        # A router without `router mobile` first, and groups that their version has not.
        ("ios_ha_static.ciscopress_ex4-3.txt", []),
        ("ios_ha_redundancy.hsrpdoc.txt", []),
        (
            "ios_hsrp.batfish_ios-interface-standby.txt",
            [
                "standby 500 ip 2.2.2.2",
                "standby 5000 ip 3.3.3.3",
                "standby 4095 authentication 012345678901234567890123456789012345678",
            ],
        ),
    ],
)
def test_published_configurations(file: str, rejected: list[str], reference: Path) -> None:
    text = (reference / "ios-configs" / file).read_text()
    device = Device.from_text("r", text)
    found = device.load(text)
    assert sorted(one.line.strip() for one in found) == sorted(rejected)
    again = Device.from_text("r", device.running_config())
    assert again.running_config() == device.running_config()
