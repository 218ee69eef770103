"""Outputs of IOS as values: real ones where there are any, and texts of our own for each form."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.platforms.ios_names import canonical
from tasks.verify import ios
from tasks.verify.observation import Binding, CdpNeighbour, HomeAgentGlobals, MobileRoute, Part

BINDING = """\
Mobility Binding List:
Total 3
198.19.76.5:
    Care-of Addr 198.18.9.1, Src Addr 198.18.9.1
    Lifetime granted 00:30:00 (1800), remaining 00:29:12
    Flags sbdmg-T-, Identification E1A2B3C4.00000001
    Tunnel0 src 198.19.0.1 dest 198.18.9.1 reverse-allowed
    Routing Options -
node7@example.net (Bindings 2):
    Home Addr 198.19.76.6
    Care-of Addr 198.18.9.1, Src Addr 198.18.9.1
    Lifetime granted INFINITE (INFINITE), remaining INFINITE
    Flags SbDmg-t-, Identification E1A2B3C4.FFFFFFFF
    Care-of Addr 198.18.9.2, Src Addr 192.0.2.77
    Lifetime granted 10:00:00 (36000), remaining 1d02h
    Flags sbdmg-t-, Identification 0.1
"""


def test_bindings_of_every_form() -> None:
    assert ios.bindings(BINDING) == (
        Binding(
            IPv4Address("198.19.76.5"),
            "",
            IPv4Address("198.18.9.1"),
            IPv4Address("198.18.9.1"),
            1800,
            1752,
            "T",
            0xE1A2B3C4_00000001,
            (),
        ),
        Binding(
            IPv4Address("198.19.76.6"),
            "node7@example.net",
            IPv4Address("198.18.9.1"),
            IPv4Address("198.18.9.1"),
            65535,
            65535,
            "SD",
            0xE1A2B3C4_FFFFFFFF,
            (),
        ),
        Binding(
            IPv4Address("198.19.76.6"),
            "node7@example.net",
            IPv4Address("198.18.9.2"),
            IPv4Address("192.0.2.77"),
            36000,
            26 * 3600,
            "",
            1,
            (),
        ),
    )


def test_a_node_after_one_with_an_nai_does_not_inherit_it() -> None:
    second = BINDING.splitlines()[2:8]
    text = BINDING + "\n".join(second).replace("198.19.76.5", "198.19.76.9") + "\n"
    last = ios.bindings(text)[-1]
    assert (str(last.home), last.nai) == ("198.19.76.9", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "% Invalid input detected at '^' marker.",
        "Mobility Binding List:\nTotal 1\nsomething else entirely\n",
        "Mobility Binding List:\n198.19.76.5:\n  Care-of Addr 999.1.1.1, Src Addr 1.1.1.9\n",
    ],
    ids=["nothing", "refused", "not-indented-and-unknown", "not-an-address"],
)
def test_half_an_output_is_not_read_as_no_bindings(text: str) -> None:
    with pytest.raises(ValueError, match=r"title|Invalid input|State Error|Octet"):
        ios.bindings(text)


def test_the_real_binding_of_a_mobile_router(reference: Path) -> None:
    text = (reference / "show-outputs/ios_show_ip_mobile_binding.real.txt").read_text()
    assert ios.bindings(text) == (
        Binding(
            IPv4Address("150.1.1.1"),
            "",
            IPv4Address("2.2.2.2"),
            IPv4Address("2.2.2.2"),
            60,
            55,
            "",
            0xCE22A5D5_F4C99770,
            (IPv4Network("140.80.1.0/24"),),
        ),
    )


def test_the_real_empty_list(reference: Path) -> None:
    text = (reference / "show-outputs/ios_show_ip_mobile_binding.empty.txt").read_text()
    assert ios.bindings(text) == ()


def test_the_real_mobile_routes(reference: Path) -> None:
    text = (reference / "show-outputs/ios_show_ip_route_mobile.real.txt").read_text()
    assert ios.mobile_routes(text) == (
        MobileRoute(IPv4Address("140.80.1.0"), None, IPv4Address("0.0.0.0"), "Tunnel0", 918),
        MobileRoute(IPv4Address("150.1.1.1"), 32, IPv4Address("2.2.2.2"), "Tunnel1", 918),
    )


def test_mobile_routes_take_the_mask_of_their_parent() -> None:
    text = """\
      198.19.76.0/32 is subnetted, 1 subnets
M        198.19.76.5 [3/1] via 198.18.9.1, 1d02h, Tunnel0
      10.0.0.0/8 is variably subnetted, 2 subnets, 2 masks
M        10.1.0.0/16 [3/1] via 198.18.9.1, 00:00:09, Tunnel0
"""
    assert [(str(r.address), r.length, r.age_s) for r in ios.mobile_routes(text)] == [
        ("198.19.76.5", 32, 93600),
        ("10.1.0.0", 16, 9),
    ]


GLOBALS = """\
IP Mobility global information:

Home Agent

    Registration lifetime: 00:30:00 (1800 secs)
    Broadcast disabled
    Replay protection time: 7 secs
    Reverse tunnel enabled
    ICMP Unreachable enabled
    Virtual networks
        198.19.64.0/18
        198.19.128.0/20
    Standby groups
        west-ios-core (virtual network - address 198.19.0.1)

Foreign Agent is not enabled, no care-of address

0 interfaces providing service
Encapsulations supported: IPIP and GRE
"""


def test_home_agent_globals() -> None:
    assert ios.home_agent(GLOBALS) == HomeAgentGlobals(
        True,
        None,
        1800,
        7,
        (IPv4Network("198.19.64.0/18"), IPv4Network("198.19.128.0/20")),
        ("west-ios-core",),
    )


@pytest.mark.parametrize(
    "text",
    [
        "IP Mobility global information:\n\nHome Agent is not enabled\n\nForeign Agent\n",
        "IP Mobility global information:\n\nForeign Agent is not enabled\n",
        "% Mobile IP is not enabled",
        "",
    ],
)
def test_no_home_agent(text: str) -> None:
    assert not ios.home_agent(text).enabled


@pytest.mark.parametrize("name", ["", "1", "2", "3"])
def test_real_standby_outputs_as_their_published_parse_says(reference: Path, name: str) -> None:
    folder = reference / "show-outputs"
    text = (folder / f"cisco_ios_show_standby{name}.raw").read_text()
    wanted = yaml.safe_load((folder / f"cisco_ios_show_standby{name}.yml").read_text())
    states = ios.standby(text)
    assert [
        (state.interface, state.group, state.state, state.priority, state.name) for state in states
    ] == [
        (
            canonical(row["interface"]),
            int(row["group"]),
            row["state"],
            int(row["priority"] or 0),
            row["group_name"],
        )
        for row in wanted["parsed_sample"]
    ]
    assert all(state.changed_s is not None for state in states if state.state == "Active")


def test_real_standby_brief_with_a_name_that_fills_its_column(reference: Path) -> None:
    text = (reference / "show-outputs/cisco_ios_show_standby_brief.raw").read_text()
    groups = ios.standby_brief(text)
    assert len(groups) == 7
    assert groups[0] == ("Vlan1", 1, "Active")
    assert groups[-1] == ("Vlan4010", 1, "Active")


@pytest.mark.parametrize("name", ["", "2"])
def test_real_cdp_neighbours(reference: Path, name: str) -> None:
    folder = reference / "show-outputs"
    text = (folder / f"cisco_ios_show_cdp_neighbors_detail{name}.raw").read_text()
    wanted = yaml.safe_load((folder / f"cisco_ios_show_cdp_neighbors_detail{name}.yml").read_text())
    rows: list[dict[str, Any]] = wanted["parsed_sample"]
    assert ios.cdp(text) == tuple(
        CdpNeighbour(
            row["neighbor_name"].partition(".")[0],
            canonical(row["local_interface"]),
            canonical(row["neighbor_interface"].strip()),
            row["platform"],
        )
        for row in rows
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:55", 55),
        ("00:15:18", 918),
        ("1d02h", 93600),
        ("27w0d", 27 * 7 * 86400),
        ("2y3w", (2 * 365 + 21) * 86400),
        ("never", None),
        ("INFINITE", None),
        ("", None),
    ],
)
def test_times_of_ios(text: str, seconds: int | None) -> None:
    assert ios.seconds(text) == seconds


@given(st.integers(0, 99 * 3600))
def test_a_clock_reads_back(total: int) -> None:
    text = f"{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}"
    assert ios.seconds(text) == total


ADDRESSES = st.integers(0, 2**32 - 1).map(IPv4Address)
CARE_OF = st.builds(
    lambda care_of, source, granted, remaining, flags, identification: (
        care_of,
        source,
        granted,
        remaining,
        "".join(letter for letter, on in zip("SBDMG", flags, strict=True) if on),
        identification,
    ),
    ADDRESSES,
    ADDRESSES,
    st.integers(1, 65534),
    st.integers(0, 65534),
    st.tuples(*[st.booleans()] * 5),
    st.integers(0, 2**64 - 1),
)


def _print(nodes: list[tuple[IPv4Address, str, list[Any]]]) -> str:
    lines = ["Mobility Binding List:", f"Total {sum(len(b) for _, _, b in nodes)}"]
    for home, nai, bindings in nodes:
        lines += (
            [f"{nai} (Bindings {len(bindings)}):", f"   Home Addr {home}"] if nai else [f"{home}:"]
        )
        for care_of, source, granted, remaining, flags, identification in bindings:
            clock = f"{remaining // 3600:02d}:{remaining // 60 % 60:02d}:{remaining % 60:02d}"
            shown = "".join(c if c in flags else c.lower() for c in "SBDMG")
            lines += [
                f"    Care-of Addr {care_of}, Src Addr {source}",
                f"    Lifetime granted 00:00:00 ({granted}), remaining {clock}",
                f"    Flags {shown}-t-, Identification "
                f"{identification >> 32:X}.{identification & 0xFFFFFFFF:X}",
                "    Tunnel3 src 198.19.0.1 dest 198.18.9.1 reverse-allowed",
            ]
    return "\n".join(lines) + "\n"


@given(
    st.lists(
        st.tuples(
            ADDRESSES,
            st.sampled_from(["", "node@example.net", "7@a.b"]),
            st.lists(CARE_OF, min_size=1, max_size=3),
        ),
        max_size=5,
    )
)
def test_whatever_is_printed_is_read(nodes: list[tuple[IPv4Address, str, list[Any]]]) -> None:
    assert [
        (
            b.home,
            b.nai,
            (b.care_of, b.source, b.granted_s, b.remaining_s, b.flags, b.identification),
        )
        for b in ios.bindings(_print(nodes))
    ] == [(home, nai, binding) for home, nai, bindings in nodes for binding in bindings]


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """A router's banner, half an output, a login prompt: never anything but the one error."""
    answers = {question.command: text for question in ios.QUESTIONS}
    fields, unread = ios.parts(answers, simulator=False)
    assert len(fields) + len(unread) == len(ios.QUESTIONS)


def test_what_is_refused_is_named_with_the_command() -> None:
    refused = "% Invalid input detected at '^' marker."
    answers = {question.command: refused for question in ios.QUESTIONS}
    fields, unread = ios.parts(answers, simulator=True)
    assert fields == {}
    assert {gap.part: (gap.reason, gap.expected) for gap in unread} == {
        question.part: (f"`{question.command}`: {refused}", False)
        for question in ios.QUESTIONS
        if question.part is not Part.OSPF
    } | {Part.OSPF: ("it is the simulator, which speaks no OSPF", True)}
