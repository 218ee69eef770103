"""What the golden cases do not say: provenance, refusals, secrets, Linux files, digests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.diff import Impact, diff, merge, normalised, reveal, sealed
from tasks.edits import NotOwned
from tasks.errors import Exit, Place
from tasks.platforms.ios_names import canonical
from tasks.platforms.sealing import decode_type_7, encode_type_7
from tasks.rendered import File, Line, Owner, Platform


def file(text: str, *owns: str, path: str = "running-config", whole: bool = True) -> File:
    lines = tuple(
        Line(line, Place("t.j2", number), (Place("west.yaml", 10 + number),))
        for number, line in enumerate(text.splitlines(), 1)
    )
    owner = Owner.WHOLE if whole else Owner.LINES
    return File(path, 0o644, owner, owns, lines)


# --- provenance and refusals ---


def test_commands_and_lines_say_where_they_come_from() -> None:
    changes = diff("hostname old\n", file("hostname new\n"), Platform.IOS, {})
    assert changes.commands[0].template == Place("t.j2", 1)
    assert changes.commands[0].intent == (Place("west.yaml", 11),)
    added = next(line for line in changes.lines if line.sign == "+")
    assert (added.template, added.intent) == (Place("t.j2", 1), (Place("west.yaml", 11),))
    assert changes.undo[0].template is None


def test_foreign_line_is_not_overwritten() -> None:
    running = "interface Gi0/1\n standby 1 priority 90\n"
    wanted = file(
        "interface Gi0/1\n standby 1 priority 110\n", "interface * / standby * ip **", whole=False
    )
    with pytest.raises(NotOwned) as caught:
        diff(running, wanted, Platform.IOS, {})
    assert caught.value.exit is Exit.USAGE
    assert str(caught.value) == (
        "t.j2:2: owns: 'standby 1 priority 110' would overwrite line 2 of the running"
        " configuration, 'standby 1 priority 90', which no ownership pattern of the template names"
        " (disagrees with running-config:2)"
        " [hint: add a pattern for it, or take the line out of the template]"
    )


def test_refusal_does_not_show_the_secret_of_the_router() -> None:
    running = "interface Gi0/1\n standby 1 authentication md5 key-string hush\n"
    wanted = file(
        "interface Gi0/1\n standby 1 authentication md5 key-string <secret env:K>\n", whole=False
    )
    with pytest.raises(NotOwned) as caught:
        diff(running, wanted, Platform.IOS, {"env:K": "loud"})
    assert "hush" not in str(caught.value)
    assert "loud" not in str(caught.value)


def test_impacts_are_the_words_of_allow() -> None:
    assert [str(impact) for impact in Impact] == [
        "none",
        "re-election",
        "binding-loss",
        "adjacency-reset",
        "lock-out",
    ]


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("snmp-server **", {"location", "contact"}),
        ("snmp-server location *", {"location"}),
        ("snmp-server location", set()),
        ("snmp-server * **", {"location", "contact"}),
        ("snmp-server location here **", {"location"}),
        ("**", {"location", "contact"}),
    ],
)
def test_ownership_patterns(pattern: str, gone: set[str]) -> None:
    running = "snmp-server location here\nsnmp-server contact me\n"
    changes = diff(running, file("", pattern, whole=False), Platform.IOS, {})
    assert {line.text.split()[1] for line in changes.lines if line.sign == "-"} == gone


# --- secrets ---


@given(clear=st.binary(min_size=1, max_size=25), start=st.integers(0, 15))
def test_type_7_is_decoded(clear: bytes, start: int) -> None:
    assert decode_type_7(encode_type_7(clear, start)) == clear


def test_type_7_of_a_known_pair() -> None:
    assert decode_type_7("0822455D0A16") == b"cisco"  # the pair in every description of it


def test_revealed_secrets_are_as_written() -> None:
    running = (
        "hostname r1\ninterface Gi0/1\n standby 1 authentication md5 key-string 7 0822455D0A16\n"
        "snmp-server user u g v3 auth sha one priv aes 128 two\n"
        "ip mobile secure host 10.0.0.1 spi 100 key hex 12ab algorithm hmac-md5\n"
    )
    assert reveal(running, Platform.IOS) == {
        "running:3": "7 0822455D0A16",
        "running:4": "one",
        "running:4.2": "two",
        "running:5": "hex 12ab",
    }


SECRET_LINES = (
    "enable secret 9 {}",
    "enable password {}",
    "username bob password 7 {}",
    "username bob privilege 15 secret 5 {}",
    "snmp-server community {} RO",
    "snmp-server host 10.0.0.1 version 2c {} hsrp",
    "snmp-server user u g v3 auth sha {} priv aes 128 {}",
    "key chain K\n key 1\n  key-string {}",
    "interface Gi0/1\n standby 1 authentication {}",
    "interface Gi0/1\n standby authentication md5 key-string {} timeout 30",
    "interface Gi0/1\n ip ospf message-digest-key 1 md5 {}",
    "interface Gi0/1\n ip ospf authentication-key {}",
    "interface Gi0/1\n ppp chap password 0 {}",
    "router bgp 1\n neighbor 10.0.0.1 password {}",
    "ip mobile secure host nai @x.net spi 100 key ascii {} algorithm md5 mode prefix-suffix",
    "tacacs-server host 10.0.0.1 key 7 {}",
    "radius-server key {}",
    "radius server R\n key 7 {}",
    "crypto isakmp key {} address 10.0.0.1",
    "ntp authentication-key 1 md5 {} 7",
    "line vty 0 4\n password {}",
)


@pytest.mark.parametrize("line", SECRET_LINES)
def test_no_secret_of_the_router_is_ever_shown(line: str) -> None:
    """Removed, and put back by the undo, which opens it from the running configuration."""
    running = line.format("S3CR3T-0", "S3CR3T-1") + "\n"
    changes = diff(running, file("hostname r1\n"), Platform.IOS, {})
    assert changes.lines
    assert "S3CR3T" not in repr(changes)
    undone = "\n".join(command.text for command in changes.undo)
    for ref, written in reveal(running, Platform.IOS).items():
        undone = undone.replace(f"<secret {ref}>", written)
    assert all(secret in undone for secret in ("S3CR3T-0", "S3CR3T-1") if secret in running)


def test_secret_outside_the_known_places_is_compared_too() -> None:
    running = "some new-feature credential abc\n"
    wanted = file("some new-feature credential <secret env:C>\n")
    assert not diff(running, wanted, Platform.IOS, {"env:C": "abc"}).lines
    assert diff(running, wanted, Platform.IOS, {"env:C": "xyz"}).lines


# --- names, digests ---


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Gi0/1", "GigabitEthernet0/1"),
        ("gigabitethernet 0/1", "GigabitEthernet0/1"),
        ("te1/0/1.200", "TenGigabitEthernet1/0/1.200"),
        ("Fa0", "FastEthernet0"),
        ("e0/2", "Ethernet0/2"),
        ("lo434", "Loopback434"),
        ("Tu1", "Tunnel1"),
        ("po10", "Port-channel10"),
        ("vl20", "Vlan20"),
        ("west", "west"),
    ],
)
def test_interface_names(typed: str, shown: str) -> None:
    assert canonical(typed) == shown


def test_digest_forgets_what_nobody_changed() -> None:
    first = (
        "Building configuration...\n\nCurrent configuration : 1234 bytes\n!\n"
        "! Last configuration change at 10:00:00 UTC Mon Nov 23 2026 by admin\n"
        "! NVRAM config last updated at 10:00:00 UTC Mon Nov 23 2026\n!\nhostname r1\n"
        "ntp clock-period 17179869\nend\n"
    )
    second = first.replace("1234", "999").replace("10:00", "11:30").replace("7179869", "7179000")
    assert normalised(first, Platform.IOS) == normalised(second, Platform.IOS)
    assert normalised(first, Platform.IOS) != normalised(
        first.replace("hostname r1", "hostname r2"), Platform.IOS
    )


@pytest.mark.parametrize("name", ["ios_ha_static*", "ios_ha_redundancy*", "ios_hsrp*"])
def test_published_configuration_is_itself(reference: Path, name: str) -> None:
    (found,) = (reference / "ios-configs").glob(name)
    text = found.read_text()
    assert not diff(text, file(text), Platform.IOS, {}).lines
    assert not diff(merge("hostname r1\n", file(text), Platform.IOS, {}), file(text),
                    Platform.IOS, {}).lines  # fmt: skip


# --- Linux ---

FRR = """\
frr version 8.4.4
frr defaults traditional
hostname ha1
!
interface lan
 description theirs
 ip ospf cost 7
 ip ospf message-digest-key 1 md5 old-key
exit
!
router ospf
 network 10.9.0.0/24 area 0
 redistribute connected
exit
!
line vty
!
"""

OWNS = (
    "interface * / ip ospf **",
    "router ospf / redistribute static **",
    "router ospf / ospf router-id *",
    "ip route **",
    "ip prefix-list **",
)


def frr_file(text: str) -> File:
    return file(text, *OWNS, path="/etc/frr/frr.conf", whole=False)


def test_frr_lines_are_merged_and_all_else_stays() -> None:
    wanted = frr_file(
        "interface lan\n ip ospf area 0\n ip ospf message-digest-key 1 md5 <secret env:K>\nexit\n"
        "router ospf\n ospf router-id 10.0.0.1\n redistribute static\nexit\n"
        "ip route 198.19.64.0/18 Null0\n"
    )
    merged = merge(FRR, wanted, Platform.LINUX, {"env:K": "new-key"})
    assert merged == (
        "frr version 8.4.4\nfrr defaults traditional\nhostname ha1\n!\n"
        "interface lan\n description theirs\n"
        " ip ospf message-digest-key 1 md5 <secret env:K>\n ip ospf area 0\nexit\n!\n"
        "router ospf\n network 10.9.0.0/24 area 0\n redistribute connected\n"
        " ospf router-id 10.0.0.1\n redistribute static\nexit\n!\nline vty\n"
        "ip route 198.19.64.0/18 Null0\n!\n"
    )
    assert not diff(merged, wanted, Platform.LINUX, {"env:K": "new-key"}).lines
    assert merge(merged, wanted, Platform.LINUX, {"env:K": "new-key"}) == merged


def test_frr_new_section_is_closed() -> None:
    wanted = frr_file("interface lo\n ip ospf area 0\nexit\n")
    merged = merge(FRR, wanted, Platform.LINUX, {})
    assert "interface lo\n ip ospf area 0\nexit\n" in merged
    assert not diff(merged, wanted, Platform.LINUX, {}).lines


def test_frr_difference_has_no_commands_and_no_secret() -> None:
    wanted = frr_file("interface lan\n ip ospf message-digest-key 1 md5 <secret env:K>\nexit\n")
    changes = diff(FRR, wanted, Platform.LINUX, {"env:K": "new-key"})
    assert [f"{line.sign}{line.text}" for line in changes.lines] == [
        " interface lan",
        "-ip ospf message-digest-key 1 md5 <secret running:8>",
        "+ip ospf message-digest-key 1 md5 <secret env:K>",
        "-ip ospf cost 7",
    ]
    assert not changes.commands
    assert "old-key" not in repr(changes)


def test_whole_file_compares_what_the_secrets_mean() -> None:
    wanted = file(
        "rocommunity <secret env:C> 10.0.0.0/8\nsysName r1\n", path="/etc/snmp/snmpd.conf"
    )
    opened = {"env:C": "hush"}
    assert not diff(
        "rocommunity hush 10.0.0.0/8\nsysName r1\n", wanted, Platform.LINUX, opened
    ).lines
    changes = diff("rocommunity told 10.0.0.0/8\nsysName r1\n", wanted, Platform.LINUX, opened)
    assert [f"{line.sign}{line.text}" for line in changes.lines] == [
        "-rocommunity <secret running:1> 10.0.0.0/8",
        "+rocommunity <secret env:C> 10.0.0.0/8",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "createUser hacc SHA S3CR3T AES S3CR3T",
        'auth_pass "S3CR3T"',
        'key = "S3CR3T"',
        "rwcommunity S3CR3T",
        "  authentication_password: S3CR3T",
    ],
)
def test_whole_file_hides_secrets_in_lines_that_go(line: str) -> None:
    changes = diff(f"{line}\n", file("other\n", path="/etc/x"), Platform.LINUX, {})
    assert [line.sign for line in changes.lines] == ["-", "+"]
    assert "S3CR3T" not in repr(changes)


def test_whole_file_that_is_missing_or_empty() -> None:
    wanted = file("a\nb\n", path="/etc/x")
    assert [line.text for line in diff("", wanted, Platform.LINUX, {}).lines] == ["a", "b"]
    assert merge("anything\n", wanted, Platform.LINUX, {}) == "a\nb\n"


def test_a_change_of_a_whole_file_is_shown_under_its_section() -> None:
    text = "[a]\nx = 1\ny = 2\n\n[b]\nx = 1\n\n[c]\nx = 1\n"
    wanted = text.replace("y = 2", "y = 3").replace("[c]\nx = 1", "[c]\nx = 2")
    lines = diff(text, file(wanted, path="/etc/hacc/agent.toml"), Platform.LINUX, {}).lines
    assert [f"{line.sign}{line.text}" for line in lines] == [
        " [a]", "-y = 2", "+y = 3", " [c]", "-x = 1", "+x = 2",
    ]  # fmt: skip


@pytest.mark.parametrize("platform", Platform)
def test_secrets_within_sections_are_sealed_as_they_are_revealed(platform: Platform) -> None:
    """A plan of a Linux router holds what others have in FRR, sealed: their OSPF keys too."""
    running = "interface eth1\n ip ospf message-digest-key 1 md5 theirs-in-clear\n!\n"
    text = sealed(running, platform)
    assert "theirs-in-clear" not in text
    assert text == running.replace("theirs-in-clear", "<secret running:2>")
    assert reveal(running, platform) == {"running:2": "theirs-in-clear"}
