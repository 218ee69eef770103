"""`hsrp.toml`: what is written is read, what is wrong is said with its line, all of it at once."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from hacc_agent.hsrp.config import (
    ConfigError,
    Effect,
    Group,
    HsrpConfig,
    Object,
    Track,
    TrackKind,
    parse,
    to_toml,
)

CONFIG = HsrpConfig(
    "hacc1",
    (
        Group(
            "west-lan", "eth1", 2, 10, IPv4Address("198.18.1.254"), (IPv4Address("198.18.1.253"),),
            200, True, 65, 90, 60, 200, 700, None, "0b" * 16, 1,
            (Track("agent", Effect.HAND_OVER, 150), Track("up", Effect.SHUTDOWN)),
            True,
            (IPv4Address("198.19.0.1"),),
            (IPv4Network("198.19.0.1"), IPv4Network("198.19.64.0/18")),
        ),
        Group("learned", "eth2", 1, 0, text="secret"),
    ),
    (Object("agent", TrackKind.AGENT), Object("up", TrackKind.INTERFACE, "eth0")),
)  # fmt: skip


def test_what_is_written_is_read() -> None:
    assert parse(to_toml(CONFIG), "hsrp.toml") == CONFIG


GROUP = '[[groups]]\nname = "g"\ninterface = "eth1"\nversion = 1\ngroup = 1\n'


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ("version = 3\n", 5, "version"),
        ("group = 256\n", 6, "256 is no group of version 1"),
        ("hello_ms = 200\n", 2, "both"),
        ("hello_ms = 700\nhold_ms = 700\n", 8, "700 ms is not above hello_ms"),
        ('text = "123456789"\n', 7, "9 characters"),
        ('text = "a"\nmd5 = "0b"\n', 8, "not both"),
        ('[[groups.tracks]]\nobject = "x"\n', 8, "objects are: none"),
        ('[[groups]]\nname = "h"\ninterface = "eth1"\nversion = 1\ngroup = 1\n', 11, "twice"),
        ('[[objects]]\nname = "x"\nkind = "interface"\n', 7, "an interface is named"),
    ],
    ids=["version", "group", "half-the-timers", "hold", "text", "two-proofs", "object", "twice",
         "no-interface"],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(lines: str, line: int, words: str) -> None:
    text = 'name = "r"\n' + GROUP
    key = lines.split(" = ")[0]
    if key in ("version", "group"):
        kept = [one for one in text.splitlines() if not one.startswith(f"{key} =")]
        at = 4 if key == "version" else 5
        text = "\n".join([*kept[:at], lines.strip(), *kept[at:]]) + "\n"
    else:
        text += lines
    with pytest.raises(ConfigError, match=words) as caught:
        parse(text, "hsrp.toml")
    assert caught.value.problems[0].line == line


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = 'name = "r"\n' + GROUP + 'hello_ms = 200\ntext = "a"\nmd5 = "0b"\n'
    with pytest.raises(ConfigError) as caught:
        parse(text, "hsrp.toml")
    assert len(caught.value.problems) == 2
