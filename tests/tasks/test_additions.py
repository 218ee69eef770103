"""What is typed into FRR where a change takes nothing away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.devices.frr import additions

RUNS = """\
frr version 8.4.4
hostname r1
no ip forwarding
!
interface lan
 ip address 198.18.1.1/24
exit
!
router bgp 65001
 address-family ipv4 unicast
  network 10.0.0.0/8
 exit-address-family
exit
!
end
"""

TYPED = {
    "nothing": ("", ""),
    "a line at the top": ("ip route 10.1.0.0/16 Null0\n", "ip route 10.1.0.0/16 Null0\n"),
    "a section that is there": (
        "interface lan\n ip ospf area 0\nexit\n",
        "interface lan\n ip ospf area 0\nexit\n",
    ),
    "a new section, beside one that is there": (
        "interface lo\n ip address 10.0.0.1/32\nexit\nrouter ospf\nexit\n",
        "interface lo\n ip address 10.0.0.1/32\nexit\nrouter ospf\nexit\n",
    ),
    "below two headers": (
        "router bgp 65001\n address-family ipv4 unicast\n  network 11.0.0.0/8\n"
        " exit-address-family\nexit\n",
        "router bgp 65001\n address-family ipv4 unicast\n  network 11.0.0.0/8\n exit\nexit\n",
    ),
}


@pytest.mark.parametrize("more", TYPED)
def test_what_is_new_is_typed_below_its_headers(more: str) -> None:
    wanted, typed = TYPED[more]
    assert additions(RUNS, RUNS.replace("end\n", wanted + "end\n")) == typed


def test_a_no_goes_by_typing_its_opposite() -> None:
    assert additions(RUNS, RUNS.replace("no ip forwarding\n", "")) == "ip forwarding\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" ip address 198.18.1.1/24\n", ""),
        (" ip address 198.18.1.1/24\n", " ip address 198.18.1.2/24\n"),
        ("hostname r1", "hostname r2"),
        ("interface lan\n ip address 198.18.1.1/24\nexit\n", ""),
        ("  network 10.0.0.0/8\n", ""),
    ],
    ids=["a line", "a value", "a setting", "a section", "below two headers"],
)
def test_what_takes_something_away_is_not_for_typing(old: str, new: str) -> None:
    assert old in RUNS
    assert additions(RUNS, RUNS.replace(old, new)) is None


LINES = st.sets(st.sampled_from(["a", "b", "no c", "d 1", "d 2"]))
CONFIGS = st.dictionaries(st.sampled_from(["", "router x", "router y", "no z"]), LINES)
Config = dict[str, set[str]]


def text(config: Config) -> str:
    """Top-level lines under "", and sections."""
    lines = sorted(config.get("", ()))
    for header in sorted(config.keys() - {""}):
        lines += [header, *(f" {line}" for line in sorted(config[header])), "exit"]
    return "".join(f"{line}\n" for line in lines)


def places(config: Config) -> set[tuple[str, ...]]:
    top = {(line,) for line in config.get("", ())}
    headers = {(header,) for header in config if header}
    return top | headers | {(h, line) for h in config if h for line in config[h]}


def typed_into(there: set[tuple[str, ...]], typed: str) -> set[tuple[str, ...]]:
    """What a router holds that takes each line as an addition, in its section."""
    held = set(there)
    section: tuple[str, ...] = ()
    for line in typed.splitlines():
        if line == "exit":
            section = ()
            continue
        place = (*section, line.strip())
        assert line.startswith(" ") == bool(section)
        held.discard((*section, f"no {line.strip()}"))
        held.add(place)
        if line in ("router x", "router y", "no z"):
            section = place
    return held


@given(CONFIGS, CONFIGS)
def test_typing_leads_to_what_is_wanted_or_is_not_tried(runs: Config, wanted: Config) -> None:
    typed = additions(text(runs), text(wanted))
    gone = places(runs) - places(wanted)
    if typed is None:
        assert any(len(place) > 1 or not place[0].startswith("no ") for place in gone)
    else:
        opposites = {(place[0].removeprefix("no "),) for place in gone}
        assert typed_into(places(runs), typed) - opposites == places(wanted) - opposites
        assert all(len(place) == 1 for place in gone)
