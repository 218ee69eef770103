"""The laws of the diff engine, on random configurations and a router that acts like IOS.

For any two configurations A and B of which the same lines are ours:

    sim(A) + commands == sim(B)        and the diff is empty afterwards
    sim(A) + commands + undo == sim(A)
    the router refuses nothing; no step withdraws a virtual address of a group that lives on;
    nothing ever refers to what does not exist;
    lines that are not ours stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from lab.ios import Device, Session, withdrawals
from tasks.diff import Command, Impact, diff, merge, reveal
from tasks.edits import NotOwned
from tasks.errors import Place
from tasks.rendered import File, Line, Owner, Platform

NOW = 1_000_000_000.0  # any time: nothing here depends on it

OWNS = (
    "interface Loopback0",
    "interface Loopback0 / **",
    "interface Loopback434",
    "interface Loopback434 / **",
    "interface Tunnel1",
    "interface Tunnel1 / **",
    *(
        f"interface GigabitEthernet0/{port} / {line}"
        for port in (1, 2)
        for line in (
            "ip address **",
            "vrf forwarding *",
            "standby **",
            "ip ospf **",
            "ip access-group **",
            "shutdown",
        )
    ),
    "vrf definition **",
    "track **",
    "access-list **",
    "ip access-list **",
    "ip access-list * * / **",
    "ip prefix-list **",
    "route-map **",
    "route-map * * * / **",
    "ip local policy **",
    "key chain *",
    "key chain * / **",
    "router mobile",
    "router ospf *",
    "router ospf * / **",
    "ip mobile **",
    "ip local pool **",
    "snmp-server **",
    "cdp timer **",
    "no cdp run",
)

FOREIGN = """\
service timestamps debug datetime msec
hostname r1
username admin privilege 15 secret 5 $1$abcd$0123456789012345678901
ip domain name example.net
interface GigabitEthernet0/0
 description management
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 description towards the cluster
interface GigabitEthernet0/2
 description towards the core
banner motd ^C
 Authorised access only.
 interface GigabitEthernet0/1
^C
line con 0
line vty 0 4
 transport input ssh
"""


def optional(draw: st.DrawFn, line: str) -> list[str]:
    return [line] if draw(st.booleans()) else []


@st.composite
def standby_group(draw: st.DrawFn, group: int, subnet: int, tracks: Sequence[int]) -> list[str]:
    own = f" standby {group}"
    host = draw(st.integers(100, 103)) + 10 * (group % 7)
    lines = [f"{own} ip 10.0.{subnet}.{host}"]
    if draw(st.booleans()):
        lines.append(f"{own} ip 10.0.{subnet}.{host + 5} secondary")
    lines += optional(draw, f"{own} priority {draw(st.sampled_from((90, 100, 110, 200)))}")
    lines += draw(
        st.sampled_from(
            (
                [],
                [f"{own} preempt"],
                [f"{own} preempt delay minimum 60"],
                [f"{own} preempt delay minimum 30 reload 120"],
            )
        )
    )
    lines += draw(
        st.sampled_from(
            (
                [],
                [f"{own} timers 3 10"],
                [f"{own} timers 1 4"],
                [f"{own} timers msec 200 msec 700"],
            )
        )
    )
    lines += draw(
        st.sampled_from(
            (
                [],
                [f"{own} authentication md5 key-string one"],
                [f"{own} authentication md5 key-string 7 0822455D0A16"],
                [f"{own} authentication plain"],
                [f"{own} authentication md5 key-chain HSRP"],
            )
        )
    )
    lines += optional(draw, f"{own} name {draw(st.sampled_from(('west', 'east')))}{group}")
    for track in tracks:
        lines += optional(
            draw, f"{own} track {track}{draw(st.sampled_from(('', ' decrement 20')))}"
        )
    return lines


@st.composite
def port(draw: st.DrawFn, name: str, subnet: int, tracks: Sequence[int]) -> list[str]:
    lines = [f"interface {name}"]
    lines += draw(st.sampled_from(([], [], [" vrf forwarding red"], [" vrf forwarding blue"])))
    if draw(st.integers(0, 5)) == 0:
        return [*lines, " shutdown"]
    host = draw(st.integers(1, 3))
    lines.append(f" ip address 10.0.{subnet}.{host} 255.255.255.0")
    for other in draw(st.sets(st.integers(1, 6), max_size=2)) - {host}:
        lines.append(f" ip address 10.0.{subnet}.{other} 255.255.255.0 secondary")
    lines += optional(draw, " ip access-group EDGE in")
    version = draw(st.sampled_from((1, 2)))
    if version == 2:
        lines.append(" standby version 2")
    numbers = (1, 2) if version == 1 else (1, 2, 300)
    for group in sorted(draw(st.sets(st.sampled_from(numbers), max_size=3))):
        lines += draw(standby_group(group, subnet, tracks))
    lines += draw(
        st.sampled_from(
            (
                [],
                [" ip ospf message-digest-key 1 md5 first"],
                [" ip ospf message-digest-key 1 md5 second"],
                [" ip ospf message-digest-key 2 md5 second"],
            )
        )
    )
    lines += optional(draw, f" ip ospf cost {draw(st.integers(1, 3))}")
    return lines


ENTRIES = (
    "permit 10.1.0.0 0.0.255.255",
    "deny 10.2.0.0 0.0.255.255",
    "permit 10.3.0.5",
    "deny 10.4.0.5",
    "permit any",
)


@st.composite
def lists(draw: st.DrawFn) -> list[str]:
    numbered = draw(st.permutations(ENTRIES))[: draw(st.integers(1, 5))]
    named = draw(st.permutations(ENTRIES))[: draw(st.integers(1, 5))]
    remarks = draw(st.sampled_from(((), (), ("remark our own", "remark ####", "remark ####"))))
    entries = [*named, *remarks]
    if remarks:
        entries = draw(st.permutations(entries))
    return [
        *(f"access-list 10 {entry}" for entry in numbered),
        "ip access-list standard EDGE",
        *(f" {entry}" for entry in entries),
    ]


@st.composite
def routing(draw: st.DrawFn) -> list[str]:
    lines = [
        f"ip prefix-list HOME seq {seq} permit 10.{draw(st.integers(8, 9))}.0.0/16"
        for seq in sorted(draw(st.sets(st.sampled_from((5, 10, 15)), min_size=1)))
    ]
    lines += ["route-map OUT permit 10", " match ip address prefix-list HOME"]
    lines += optional(draw, f" set metric {draw(st.integers(1, 3))}")
    if draw(st.booleans()):
        lines += ["route-map OUT deny 20", *optional(draw, " match ip address 10")]
    for name in sorted(draw(st.sets(st.sampled_from(("OWN", "REPLIES"))))):
        lines += ["ip access-list extended UDP", " permit udp host 10.99.0.1 eq mobile-ip any"]
        lines += [f"route-map {name} permit 10", " match ip address UDP"]
        lines.append(f" set ip next-hop 10.0.{draw(st.integers(1, 2))}.254")
        lines += optional(draw, " set ip precedence 5")
        if not any(line.startswith("ip local") for line in lines):
            lines += optional(draw, f"ip local policy route-map {name}")
    if draw(st.integers(0, 4)):
        lines.append("router ospf 1")
        lines += optional(draw, f" router-id 10.9.9.{draw(st.integers(1, 2))}")
        options = draw(
            st.sampled_from(
                ("", " metric 20", " metric 30 metric-type 1", " route-map OUT", " metric-type 1")
            )
        )
        lines += optional(draw, f" redistribute mobile{options} subnets")
        lines += optional(draw, " redistribute connected subnets")
        lines += optional(draw, " passive-interface GigabitEthernet0/2")
        lines += optional(draw, f" network 10.0.0.0 0.0.255.255 area {draw(st.integers(0, 1))}")
    return lines


@st.composite
def mobile(draw: st.DrawFn, groups: Sequence[str]) -> list[str]:
    if draw(st.integers(0, 5)) == 0:
        return []
    lines = ["router mobile"]
    options = draw(
        st.sampled_from(("", " lifetime 600", " replay 9", " lifetime 600 care-of-access 10"))
    )
    lines.append(f"ip mobile home-agent{options}")
    lines += optional(draw, f"ip mobile home-agent address 10.99.0.{draw(st.integers(1, 2))}")
    for name in groups:
        lines += optional(draw, f"ip mobile home-agent redundancy {name}")
    lines += optional(draw, "ip mobile home-agent revocation timeout 5")
    networks = sorted(draw(st.sets(st.integers(64, 66), min_size=1, max_size=2)))
    for network in networks:
        lines.append(f"ip mobile virtual-network 10.{network}.0.0 255.255.0.0")
    pools = sorted(draw(st.sets(st.sampled_from(("P", "Q")), max_size=2)))
    for number, pool in enumerate(pools):
        low = draw(st.integers(1, 3)) * 10
        high = low + draw(st.integers(5, 25))
        lines.append(
            f"ip local pool {pool} 10.{networks[0]}.{number}.{low} 10.{networks[0]}.{number}.{high}"
        )
    for number in sorted(draw(st.sets(st.integers(1, 4), max_size=3))):
        network = draw(st.sampled_from(networks))
        lines.append(
            f"ip mobile host 10.{network}.200.{number} virtual-network 10.{network}.0.0 255.255.0.0"
            f"{draw(st.sampled_from(('', ' lifetime 300')))}"
        )
        spi = draw(st.sampled_from((100, 101)))
        key = draw(st.sampled_from(("1" * 32, "2" * 32)))
        lines.append(
            f"ip mobile secure host 10.{network}.200.{number} spi {spi} key hex {key}"
            " algorithm hmac-md5"
        )
    for realm in sorted(draw(st.sets(st.sampled_from(("@a.net", "@b.net")), max_size=2))):
        if pools:
            lines.append(
                f"ip mobile host nai {realm} address pool local {draw(st.sampled_from(pools))}"
                f" virtual-network 10.{networks[-1]}.0.0 255.255.0.0"
            )
    return lines


@st.composite
def configuration(draw: st.DrawFn) -> str:
    """What a Home Agent, or a controller, of a cluster holds, without what is not ours."""
    tracks = sorted(draw(st.sets(st.sampled_from((1, 2)))))
    lines = ["vrf definition red", "vrf definition blue"]
    lines += ["key chain HSRP", " key 1", f"  key-string {draw(st.sampled_from(('one', 'two')))}"]
    lines += draw(lists())
    watched = draw(st.sampled_from(("GigabitEthernet0/0", "GigabitEthernet0/2")))
    how = draw(st.sampled_from(("line-protocol", "ip routing")))
    lines += [f"track {track} interface {watched} {how}" for track in tracks]
    for number in sorted(draw(st.sets(st.sampled_from((0, 434))))):
        lines += [
            f"interface Loopback{number}",
            f" ip address 10.99.{number % 256}.{draw(st.integers(1, 2))} 255.255.255.255",
        ]
    if draw(st.booleans()):
        lines += [
            "interface Tunnel1",
            " tunnel source GigabitEthernet0/0",
            f" tunnel destination 192.0.2.{draw(st.integers(7, 8))}",
        ]
    subnets = draw(st.permutations((1, 2, 3)))
    first = draw(port("GigabitEthernet0/1", subnets[0], tracks))
    second = draw(port("GigabitEthernet0/2", subnets[1], tracks))
    lines += [*first, *second]
    names = [line.split()[-1] for line in [*first, *second] if " name " in line]
    lines += draw(mobile(names))
    lines += draw(routing())
    for community in sorted(draw(st.sets(st.sampled_from(("public", "secret", "other"))))):
        lines.append(f"snmp-server community {community} RO{draw(st.sampled_from(('', ' 10')))}")
    lines += optional(draw, f"snmp-server location {draw(st.sampled_from(('here', 'over there')))}")
    lines += optional(draw, f"snmp-server host 192.0.2.9 version 2c {draw(st.sampled_from('ab'))}")
    lines += optional(draw, f"cdp timer {draw(st.sampled_from((30, 60)))}")
    lines += optional(draw, "no cdp run")
    return "".join(f"{line}\n" for line in lines)


def intended(text: str) -> File:
    lines = tuple(
        Line(line, Place("t.j2", number), ()) for number, line in enumerate(text.splitlines(), 1)
    )
    return File("running-config", 0o600, Owner.LINES, OWNS, lines)


def router(text: str) -> Device:
    device = Device("r1", interfaces=[f"GigabitEthernet0/{port}" for port in range(3)])
    rejected = device.load(FOREIGN + text, NOW)
    assume(not rejected and not dangling(device.running_config()))
    return device


REFERENCES = (  # what refers, and how what it refers to begins
    (re.compile(r"^ ip access-group (\S+) ", re.M), "ip access-list standard {}"),
    (re.compile(r" care-of-access (\S+)", re.M), "access-list {} "),
    (re.compile(r"^ match ip address (\d+)", re.M), "access-list {} "),
    (re.compile(r"^ match ip address (UDP)", re.M), "ip access-list extended {}\n permit"),
    (re.compile(r"^ match ip address prefix-list (\S+)", re.M), "ip prefix-list {} "),
    (re.compile(r" route-map (\S+)", re.M), "route-map {} "),
    (re.compile(r" key-chain (\S+)", re.M), "key chain {}"),
    (re.compile(r"^ standby \d+ track (\d+)", re.M), "track {} "),
    (re.compile(r"^ vrf forwarding (\S+)", re.M), "vrf definition {}"),
    (re.compile(r"home-agent redundancy (\S+)", re.M), " name {}"),
    (re.compile(r" pool local (\S+)", re.M), "ip local pool {} "),
    (re.compile(r"host .* virtual-network (\S+ \S+)", re.M), "ip mobile virtual-network {}"),
)


def leaves_a_gap(command: Command) -> bool:
    """What a router cannot do without one: it says so in its impact, and the gap is closed.

    A move between VRFs takes the groups along; an entry of a prefix list is not overwritten.
    """
    return command.impact is Impact.ADJACENCY_RESET and any(
        words in command.text for words in ("vrf forwarding ", "no ip prefix-list ")
    )


def dangling(text: str) -> set[str]:
    """References of a configuration to what does not exist."""
    return {
        found[0]
        for pattern, begins in REFERENCES
        for found in pattern.finditer(text)
        if begins.format(found[1]) not in text
    }


def type_into(device: Device, commands: Iterable[Command], revealed: dict[str, str]) -> None:
    """Types commands as the push does: the sections of one are entered from the top."""
    session = Session(device, user="admin", privilege=15)
    session.feed("configure terminal", NOW)
    gap: set[str] = set()
    for command in commands:
        for line in (*command.context, command.text):
            for ref, written in revealed.items():
                line = line.replace(f"<secret {ref}>", written)
            reply = session.feed(line, NOW)
            assert not device.journal[-1].refused, (line, reply.text)
        broken = dangling(device.running_config())
        if leaves_a_gap(command):
            gap |= broken
        assert broken <= gap, command
        gap &= broken
        for _ in command.context:
            session.feed("exit", NOW)
    session.feed("end", NOW)


def lost_addresses(device: Device, start: int) -> list[str]:
    """The lines that took a surviving group's address; a move between VRFs cannot but do so."""
    return [
        lost.entry.line
        for lost in withdrawals(device.journal[start:])
        if "vrf forwarding" not in lost.entry.line
    ]


@given(before=configuration(), after=configuration())
def test_commands_lead_there_and_undo_leads_back(before: str, after: str) -> None:
    device, target = router(before), router(after)
    origin = device.running_config()
    want = intended(after)
    changes = diff(origin, want, Platform.IOS, {})
    revealed = dict(reveal(origin, Platform.IOS))
    start = len(device.journal)

    type_into(device, changes.commands, revealed)
    assert device.running_config() == target.running_config()
    assert not diff(device.running_config(), want, Platform.IOS, {}).lines
    assert not lost_addresses(device, start)

    there = len(device.journal)
    type_into(device, changes.undo, revealed)
    assert device.running_config() == origin
    assert not lost_addresses(device, there)


WORDS = re.findall(
    r"<[^>]+>|\S+",
    """
    interface Gi0/1 Loopback1 ip address 10.0.0.1 255.255.255.0 secondary standby 1 300 priority
    track version vrf forwarding X access-list 10 permit any host remark access-group in router
    ospf redistribute mobile subnets metric key 7 chain pool local P 10.0.0.9 snmp-server community
    user v3 auth sha * priv aes 128 password banner motd ^C route-map neighbor remote-as mobile
    home-agent nai @x.net secure spi hex 0a1 description shutdown default <secret env:A>
    <secret env:B|hex> ! end hostname username enable secret 5 line vty 0 4 network area
    prefix-list seq
    """,
)
SOUP = st.lists(
    st.builds(
        lambda indent, no, words: " " * indent + no + " ".join(words),
        st.integers(0, 2),
        st.sampled_from(("", "", "no ")),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    ),
    max_size=14,
)


@given(before=SOUP, after=SOUP, whole=st.booleans())
def test_whatever_is_written_is_compared(before: list[str], after: list[str], whole: bool) -> None:
    """No text makes the engine fail, except by saying that a line is not ours."""
    opened = {"env:A": "one", "env:B": "0x0b0b"}
    running = "".join(f"{line}\n" for line in before)
    want = intended("".join(f"{line}\n" for line in after))
    want = replace(want, owner=Owner.WHOLE if whole else Owner.LINES)
    try:
        diff(running, want, Platform.IOS, opened)
    except NotOwned:
        assert not whole


@given(before=configuration(), after=configuration())
def test_what_is_merged_has_no_difference(before: str, after: str) -> None:
    origin = router(before).running_config()
    want = intended(after)
    assert not diff(merge(origin, want, Platform.IOS, {}), want, Platform.IOS, {}).lines
