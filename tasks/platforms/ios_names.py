"""Interface names of IOS: many ways to type, one way to show."""

from __future__ import annotations

import re
from functools import lru_cache

# Full name: the shortest abbreviation that we take. IOS takes any unique prefix; what is unique
# depends on the router's hardware, so these are the ones in everyday use on every router.
_NAMES = {
    "FastEthernet": "fa",
    "GigabitEthernet": "gi",
    "TwoGigabitEthernet": "two",
    "FiveGigabitEthernet": "fi",
    "TenGigabitEthernet": "te",
    "TwentyFiveGigE": "twe",
    "FortyGigabitEthernet": "fo",
    "HundredGigE": "hu",
    "AppGigabitEthernet": "ap",
    "Ethernet": "e",
    "Serial": "s",
    "Loopback": "lo",
    "Tunnel": "tu",
    "Port-channel": "po",
    "Vlan": "vl",
    "BVI": "bv",
    "Dialer": "di",
    "Null": "nu",
    "Virtual-Template": "virtual-t",
    "Multilink": "mu",
}
# They exist because somebody typed them, and go when somebody types `no interface`.
_VIRTUAL = (
    "Loopback", "Tunnel", "Port-channel", "Vlan", "BVI", "Dialer", "Virtual-Template", "Multilink",
)  # fmt: skip
_SPLIT = re.compile(r"([A-Za-z-]+)\s*(\d[\d/.:]*)")


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """`Gi0/1`, `gigabitethernet 0/1` -> `GigabitEthernet0/1`; what is unknown stays as it is."""
    found = _SPLIT.fullmatch(name)
    if not found:
        return name
    word, number = found[1].lower(), found[2]
    for full, short in _NAMES.items():
        if word.startswith(short) and full.lower().startswith(word):
            return full + number
    return name


def is_port(header: str) -> bool:
    """Whether it is the section of a port; loopbacks, tunnels and subinterfaces are none."""
    kind, _, name = header.partition(" ")
    return kind == "interface" and not name.startswith(_VIRTUAL) and "." not in name
