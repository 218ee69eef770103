"""The script's output as values: what FRR 8.4, iproute2 6.1 and systemctl print, shortened."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.verify import linux
from tasks.verify.observation import (
    Address,
    AgentStatus,
    ArpRules,
    Forwarding,
    GroupState,
    Held,
    OspfNeighbour,
    OspfRoute,
    Part,
    Unit,
)

OUTPUT = """\
==hacc addresses
[{"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"operstate":"UNKNOWN","addr_info":\
[{"family":"inet","local":"198.19.0.1","prefixlen":32}]},\
{"ifname":"lan","flags":["BROADCAST","UP"],"operstate":"DOWN","addr_info":\
[{"family":"inet","local":"198.18.1.21","prefixlen":24},\
{"family":"inet6","local":"fe80::1","prefixlen":64}]},\
{"ifname":"eth9","flags":[],"operstate":"DOWN","addr_info":[]}]

==end 0
==hacc arp
/proc/sys/net/ipv4/conf/all/arp_ignore:1
/proc/sys/net/ipv4/conf/default/arp_ignore:0
/proc/sys/net/ipv4/conf/lan.7/arp_ignore:2
/proc/sys/net/ipv4/conf/all/arp_announce:0
/proc/sys/net/ipv4/conf/default/arp_announce:0
/proc/sys/net/ipv4/conf/lan.7/arp_announce:2

==end 0
==hacc forwards
1

==end 0
==hacc ways
[{"dst":"198.19.68.0","gateway":"198.18.1.22","dev":"lan","prefsrc":"198.18.1.21","flags":[]}]
[{"type":"local","dst":"198.19.0.1","dev":"lo","flags":[]}]

==end 0
==hacc ospf
{"neighbors":{"198.19.255.12":[{"state":"Full\\/DR","ifaceAddress":"198.18.1.12",
"ifaceName":"lan:198.18.1.21"}],"198.19.255.22":[{"state":"old","nbrState":"2-Way\\/DROther",
"address":"198.18.1.22","ifaceName":"lan:198.18.1.21"}]}}
{"198.18.1.0/24":{"routeType":"N","nexthops":[{"ip":" ","directlyAttachedTo":"lan"}]},
"198.19.255.12":{"routeType":"R ","cost":10,"nexthops":[{"ip":"198.18.1.12","via":"lan"}]},
"198.19.64.0/18":{"routeType":"N E2","nexthops":[{"ip":"198.18.1.12","via":"lan"},\
{"ip":"198.18.1.11","via":"lan"}]}}

==end 0
==hacc units
active
failed
active
inactive
active
inactive
--
zebra               4711
hacc-hsrp             42
snmpd                  5
snmpd                  7

==end 0
==hacc agent
{"name":"ha1","role":"home-agent","cluster":"west","version":"0.1.0","bindings":700,\
"capacity":500000,"pending":0,"members":[],"log":{"leads":true,"trouble":""},"counters":{}}

==end 0
==hacc hsrp
{"interface": "lan", "group": 10, "version": 2, "name": "west-core", "state": "Standby", \
"since_s": 12.5, "changes": 3, "priority": 190, "configured_priority": 190, "preempts": true, \
"address": "198.18.1.254", "own_address": "198.18.1.21", "active": "198.18.1.22", \
"standby": "local", "virtual_mac": "00:00:0c:9f:f0:0a", "hello_ms": 200, "hold_ms": 700, \
"next_hello_s": 0.1}
{"interface": "edge", "group": 11, "version": 2, "name": "west-edge", "state": "Init", \
"since_s": 0.1, "changes": 0, "priority": 0, "configured_priority": 190, "preempts": true, \
"address": null, "own_address": null, "active": null, "standby": null, \
"virtual_mac": "00:00:0c:9f:f0:0b", "hello_ms": 200, "hold_ms": 700, "next_hello_s": null}

==end 0
"""


def test_everything_that_the_script_prints() -> None:
    fields, unread = linux.parts(OUTPUT)
    assert fields == {
        "addresses": (
            Address("lo", IPv4Address("198.19.0.1"), 32, True),
            Address("lan", IPv4Address("198.18.1.21"), 24, False),
        ),
        "arp": (ArpRules("lan.7", 2, 2),),
        "forwards": True,
        "forwarding": (
            Forwarding(IPv4Address("198.19.68.0"), "unicast", IPv4Address("198.18.1.22"), "lan"),
            Forwarding(IPv4Address("198.19.0.1"), "local", None, "lo"),
        ),
        "ospf_neighbours": (
            OspfNeighbour(
                IPv4Address("198.19.255.12"), "lan", IPv4Address("198.18.1.12"), "Full", "DR"
            ),
            OspfNeighbour(
                IPv4Address("198.19.255.22"), "lan", IPv4Address("198.18.1.22"), "2-Way", "DROther"
            ),
        ),
        "ospf_routes": (
            OspfRoute(IPv4Network("198.18.1.0/24"), ()),
            OspfRoute(
                IPv4Network("198.19.64.0/18"),
                (IPv4Address("198.18.1.11"), IPv4Address("198.18.1.12")),
            ),
        ),
        "agent": AgentStatus("ha1", "home-agent", "west", 700, 0, (), "", version="0.1.0"),
        "units": (
            Unit("frr", "active", 4711),
            Unit("keepalived", "failed", None),
            Unit("snmpd", "active", 7),
            Unit("hacc-agent", "inactive", None),
            Unit("hacc-hsrp", "active", 42),
            Unit("hacc-agent-api", "inactive", None),
        ),
        "groups": (
            GroupState(
                "lan",
                10,
                "Standby",
                IPv4Address("198.18.1.254"),
                "198.18.1.22",
                "local",
                190,
                "west-core",
                12,
            ),
            GroupState("edge", 11, "Init", None, "unknown", "unknown", 0, "west-edge", 0),
        ),
    }
    assert unread == []


def test_a_controller_tells_its_table_by_members() -> None:
    members = (
        '[{"name":"ha1","bindings":7,"state":"up","why":"heard"},'
        '{"name":"ha2","bindings":0,"state":"down","why":"it closed the member link"}]'
    )
    told = OUTPUT.replace('"members":[]', f'"members":{members}')
    fields, _ = linux.parts(told)
    assert fields["agent"].members == (("ha1", 7), ("ha2", 0))
    assert fields["agent"].unwell == (("ha2", "down: it closed the member link"),)


def test_a_terminal_in_between_changes_nothing() -> None:
    assert linux.parts(OUTPUT.replace("\n", "\r\n")) == linux.parts(OUTPUT)


@pytest.mark.parametrize(
    ("before", "after", "part", "reason"),
    [
        ('"flags":["BROADCAST","UP"],', "", Part.ADDRESSES, "'flags'"),
        (
            "==hacc ospf\n",
            "==hacc ospf\nExiting: failed to connect to any daemons.\n==end 1\n==hacc junk\n",
            Part.OSPF,
            "failed to connect to any daemons",
        ),
        ("active\n--\n", "--\n", Part.UNITS, "zip()"),
        ("zebra               4711\n", "zebra\n", Part.UNITS, "unpack"),
        (
            "==hacc agent\n",
            "==hacc agent\nhacc-agent is not running\n==end 1\n==hacc junk\n",
            Part.HOME_AGENT,
            "hacc-agent is not running",
        ),
        ('"log":{"leads":true,"trouble":""},', "", Part.HOME_AGENT, "'log'"),
        ("conf/lan.7/arp_ignore:2", "conf/lan.7/arp_ignore:", Part.KERNEL, "invalid literal"),
    ],
    ids=[
        "link-without-flags",
        "frr-down",
        "systemctl-cut-short",
        "ps-cut-short",
        "no-agent",
        "agent-of-another-version",
        "sysctl-empty",
    ],
)
def test_what_cannot_be_read_is_a_gap_and_not_nothing(
    before: str, after: str, part: Part, reason: str
) -> None:
    assert before in OUTPUT
    _, unread = linux.parts(OUTPUT.replace(before, after))
    gaps = [gap for gap in unread if not gap.expected]
    assert [gap.part for gap in gaps] == [part]
    assert reason in gaps[0].reason


@given(st.integers(0, len(OUTPUT)))
def test_an_output_that_was_cut_off_is_missed(at: int) -> None:
    """A session that ends in the middle: each section is there whole, or is named as a gap."""
    fields, unread = linux.parts(OUTPUT[:at])
    parts = {gap.part for gap in unread}
    read = {
        "addresses": Part.ADDRESSES,
        "forwards": Part.KERNEL,
        "forwarding": Part.ROUTES,
        "ospf_routes": Part.OSPF,
        "units": Part.UNITS,
        "agent": Part.HOME_AGENT,
    }
    assert all((field in fields) != (part in parts) for field, part in read.items())


@given(
    st.text(), st.sampled_from(["addresses", "arp", "forwards", "ways", "ospf", "units", "agent"])
)
def test_any_text_is_read_or_refused(text: str, section: str) -> None:
    linux.parts(f"==hacc {section}\n{text}\n==end 0\n")


@pytest.mark.skipif(shutil.which("dash") is None, reason="dash is not here")
def test_the_script_is_posix_shell() -> None:
    """Parsed by the strictest shell at hand, with no way and with many."""
    many = [IPv4Address(number) for number in range(300)]
    for script in (
        linux.script([]), linux.script(many), linux.script(many, one_by_one=True),
    ):  # fmt: skip
        done = subprocess.run(
            ["dash", "-n"], input=script, text=True, capture_output=True, timeout=10
        )
        assert (done.returncode, done.stderr) == (0, "")


# What an agent prints with --json, shortened; then what it prints where there are more.
BOUND = """\
{"home_address": "198.19.96.7", "nai": "", "member": "ha1", "state": "binding"}
{"home_address": "198.19.64.1", "nai": "mn1@example.net", "member": null, "state": "binding"}
{"home_address": "198.19.64.2", "nai": "mn2@example.net", "member": "ha1", "state": "pending"}
"""


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (BOUND, (("198.19.96.7", "ha1"), ("198.19.64.1", ""))),
        (BOUND + '{"more": true}\n', None),
        ("", ()),
    ],
    ids=["few", "more", "none"],
)
def test_bindings_are_read_one_by_one_where_they_are_few(
    text: str, held: tuple[tuple[str, str], ...] | None
) -> None:
    fields, unread = linux.parts(f"==hacc held\n{text}\n==end 0\n")
    expected = None if held is None else tuple(Held(IPv4Address(a), b) for a, b in held)
    assert fields["held"] == expected
    assert not any(one.part is Part.BINDINGS for one in unread)


def test_who_is_not_asked_for_its_bindings_lacks_none() -> None:
    fields, unread = linux.parts("==hacc forwards\n1\n==end 0\n")
    assert "held" not in fields
    assert not any(one.part is Part.BINDINGS for one in unread)
