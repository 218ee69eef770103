"""What devices say and are told, without a device: texts in, values out."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.devices import ios, linux
from tasks.devices.bringing import bundle
from tasks.devices.fetched import active_groups
from tasks.devices.terminal import BLOCK_LINES, Typed, blocks, refusal
from tasks.diff import Command, Impact
from tasks.plan import FileChange

BRIEF = """\
                     P indicates configured to preempt.
                     |
Interface   Grp  Pri P State   Active          Standby         Virtual IP
Gi0/1       10   110 P Active  local           198.18.1.32     198.18.1.254
Gi0/1       11   100   Standby 198.18.1.32     local           198.18.1.253
Gi0/11      10   100   Active  local           unknown         198.18.2.254
"""
RUNNING = """\
interface GigabitEthernet0/1
 standby 10 ip 198.18.1.254
 standby 10 name west-core
 standby 11 name west-other
interface GigabitEthernet0/11
 standby 10 ip 198.18.2.254
archive
 log config
"""


def test_active_groups_of_ios_have_their_redundancy_names() -> None:
    assert ios.active_groups(RUNNING, BRIEF) == ("Gi0/11/10", "west-core")


def test_an_archive_without_a_path_cannot_revert() -> None:
    assert not ios.has_archive(RUNNING)
    assert ios.has_archive(RUNNING + " path flash:archive\n")


KEEPALIVED = """\
vrrp_instance west-core {
    interface lan
    virtual_ipaddress {
        198.18.1.254/24
        198.19.0.1/32 dev lo
    }
}
vrrp_instance west-edge {
    interface edge
    virtual_ipaddress {
        198.18.2.254/24 dev edge
    }
}
"""


@pytest.mark.parametrize(
    ("held", "active"),
    [
        ({}, ()),
        ({"lan": ["198.18.1.11", "198.18.1.254"]}, ("west-core",)),
        ({"lo": ["198.18.1.254"]}, ()),
        ({"lan": ["198.18.1.254"], "edge": ["198.18.2.254"]}, ("west-core", "west-edge")),
    ],
    ids=["none", "one", "elsewhere", "both"],
)
def test_active_groups_of_linux_are_those_whose_address_is_there(
    held: dict[str, list[str]], active: tuple[str, ...]
) -> None:
    addresses = [
        {"ifname": name, "addr_info": [{"local": address} for address in there]}
        for name, there in held.items()
    ]
    assert active_groups(KEEPALIVED, "", json.dumps(addresses)) == active


SPEAKER = """\
name = "hacc1"
[[groups]]
name = "west-core"
interface = "lan"
group = 10
address = "198.18.1.254"
[[groups]]
name = "west-edge"
interface = "an-edge-of-the-lan"
group = 4095
address = "198.18.2.254"
[[groups]]
name = "west-own"
interface = "own"
group = 12
address = "198.18.3.254"
own_mac = true
"""


@pytest.mark.parametrize(
    ("held", "active"),
    [
        ({"lan": ["198.18.1.254"]}, ()),
        ({"lan.h10": ["198.18.1.254"]}, ("west-core",)),
        ({"an-edge-o.h4095": ["198.18.2.254"]}, ("west-edge",)),
        ({"own": ["198.18.3.254"]}, ("west-own",)),
    ],
    ids=["on-the-interface-below", "short", "long", "own-mac"],
)
def test_active_groups_of_our_speaker_have_an_interface_of_their_own(
    held: dict[str, list[str]], active: tuple[str, ...]
) -> None:
    addresses = [
        {"ifname": name, "addr_info": [{"local": address} for address in there]}
        for name, there in held.items()
    ]
    assert active_groups("", SPEAKER, json.dumps(addresses)) == active


def change(path: str) -> FileChange:
    return FileChange(path=path, mode=0o640, after="", before_sha256=None, lines=())


def test_files_are_brought_into_force_in_the_order_of_the_table() -> None:
    paths = ["/etc/keepalived/keepalived.conf", "/etc/frr/frr.conf", "/etc/sysctl.d/90-hacc.conf"]
    archive = bundle("RUN", [change(path) for path in paths], [b"3", b"2", b"1"], 90)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        texts = {name: tar.extractfile(name) for name in tar.getnames()}
        read = {name: file.read().decode() for name, file in texts.items() if file}
    assert [line.split()[-1] for line in read["manifest"].splitlines()] == paths[::-1]
    assert [read[f"new/{n}"] for n in range(3)] == ["1", "2", "3"]
    assert "{" not in read["check"]
    assert read["units"] == "frr\nkeepalived\n"
    assert [line.split()[0] for line in read["manifest"].splitlines()] == ["0", "1", "2"]


def test_a_file_that_nobody_can_bring_into_force_is_refused() -> None:
    with pytest.raises(KeyError, match="/etc/motd"):
        bundle("RUN", [change("/etc/motd")], [b""], 90)


def command(text: str, *context: str) -> Command:
    return Command(context, text, Impact.NONE, "", None, ())


def test_sections_are_entered_once_and_left_before_a_line_of_another() -> None:
    lo, ospf = "interface Loopback0", "router ospf 1"
    typed = ios.lines_of(
        [
            command("description x", lo),
            command("ip address 198.19.0.1 255.255.255.255", lo),
            command("ip route 198.19.8.0 255.255.248.0 Null0"),
            command(ospf),
            command("router-id 198.19.255.1", ospf),
        ]
    )
    assert [(line.text, line.header) for line in typed] == [
        (lo, True),
        ("description x", False),
        ("ip address 198.19.0.1 255.255.255.255", False),
        ("exit", False),
        ("ip route 198.19.8.0 255.255.248.0 Null0", False),
        (ospf, True),
        ("router-id 198.19.255.1", False),
    ]


LINES = st.sampled_from(["ip route 1", "interface Lo0", "no username a", "banner motd ^C\nx\n^C"])


@given(st.lists(st.tuples(LINES, st.booleans()).map(lambda pair: Typed(*pair)), max_size=200))
def test_blocks_keep_every_line_and_end_where_an_answer_must_be_seen(lines: list[Typed]) -> None:
    made = [*blocks(lines)]
    assert [text for block in made for text in block] == [line.text for line in lines]
    for block in made:
        assert len(block) <= BLOCK_LINES
        asks = [text for text in block if text.startswith(("no username", "banner"))]
        assert not asks or len(block) == 1
    sent = 0
    for block in made:
        assert not any(line.header for line in lines[sent : sent + len(block) - 1])
        sent += len(block)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("", ""),
        ("        ^\n% Invalid input detected at '^' marker.\n", "% Invalid input detected at"),
        ("% Incomplete command.", "% Incomplete command."),
        ("%Error opening flash:x (No space left on device)", "%Error opening"),
        ("Command rejected: an interface is in use", "Command rejected"),
        ("% Warning: use of this address is not in the subnet", ""),
        ("% Interface Gi0/1 IPv4 disabled and address(es) removed due to enabling VRF a", ""),
        ("%SYS-5-CONFIG_I: Configured from console by admin", ""),
        ("Building configuration...\n[OK]", ""),
    ],
)
def test_refusals_are_told_from_notices(reply: str, said: str) -> None:
    assert refusal(reply)[: len(said) or None] == said


def test_the_line_that_tells_is_said_among_the_many_that_do_not() -> None:
    noise = "".join(f"2026-11-23 INFO: Loading line {n}\n" for n in range(30))
    output = f"hacc: failed: frr-reload.py --reload\n{noise}% Unknown command: ip osfp\n{noise}"
    assert linux._said(output.encode()) == (
        "failed: frr-reload.py --reload; % Unknown command: ip osfp"
    )


def test_a_daemon_that_ends_with_a_traceback_tells_its_last_line() -> None:
    output = (
        "hacc: failed: systemctl start x\n"
        'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n'
        "AttributeError: 'X' object has no attribute 'y'\nmain process exited, status=1\n"
    )
    assert linux._said(output.encode()) == (
        "failed: systemctl start x; AttributeError: 'X' object has no attribute 'y'"
    )


def test_without_a_loud_line_the_last_ones_are_said() -> None:
    output = "hacc: failed: systemctl start x\n" + "".join(f"line {n}\n" for n in range(20))
    assert linux._said(output.encode()).startswith("failed: systemctl start x; line 12; line 13;")
    assert linux._said(b"") == "no reason was given"
