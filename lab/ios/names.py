"""Interface names: what a person may type, and the one name that IOS prints."""

from __future__ import annotations

import re
from functools import lru_cache

KINDS: tuple[str, ...] = (
    # The order is the one in which IOS lists them; software interfaces first.
    "Loopback",
    "Tunnel",
    "Port-channel",
    "Ethernet",
    "FastEthernet",
    "GigabitEthernet",
    "TenGigabitEthernet",
    "Serial",
    "BDI",
    "BVI",
    "Vlan",
    "Null",
)
VIRTUAL = frozenset({"Loopback", "Tunnel", "Port-channel", "BDI", "BVI", "Vlan"})  # made by typing
_NAME = re.compile(r"([A-Za-z][A-Za-z-]*?) ?(\d[\d/]*(?:[.]\d+)?)")
_CISCO_SHORT = {"Loopback": "Lo", "Port-channel": "Po", "TenGigabitEthernet": "Te", "BDI": "BD"}


@lru_cache(maxsize=4096)
def full_name(typed: str) -> str | None:
    """`gi0/1`, `Gi 0/1` -> `GigabitEthernet0/1`; None when no kind, or more than one, fits."""
    match = _NAME.fullmatch(typed)
    if match is None:
        return None
    kind = match[1].lower()
    exact = [known for known in KINDS if known.lower() == kind]
    fits = exact or [known for known in KINDS if known.lower().startswith(kind)]
    return fits[0] + match[2] if len(fits) == 1 else None


def kind_of(name: str) -> str:
    """`GigabitEthernet0/1.100` -> `GigabitEthernet`."""
    return name.rstrip("0123456789/.")


def parent_of(name: str) -> str | None:
    """The physical interface under a subinterface: `Gi0/1.100` -> `Gi0/1`; None for others."""
    parent, dot, _ = name.partition(".")
    return parent if dot else None


@lru_cache(maxsize=4096)
def short_name(name: str) -> str:
    """`GigabitEthernet0/1.7` -> `Gi0/1.7`, as the brief tables print it."""
    kind = kind_of(name)
    return _CISCO_SHORT.get(kind, kind[:2]) + name[len(kind) :]


@lru_cache(maxsize=4096)
def place_of(name: str) -> tuple[int, ...]:
    """Sorts interfaces as `show running-config` does: by kind, then by number."""
    kind = kind_of(name)
    order = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return (order, *(int(part) for part in re.split(r"[/.]", name[len(kind) :]) if part))
