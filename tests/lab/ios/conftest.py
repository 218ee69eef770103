"""What the simulator's tests share: a realistic configuration, and a way to talk to a router."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.ios import Console, Device

NOW = 1_795_000_000.0  # a moment in November 2026


@pytest.fixture
def console() -> Callable[[str], Console]:
    """A console of a router that has a configuration."""

    def make(text: str = "", name: str = "r1") -> Console:
        return Console(Device.from_text(name, text, now=NOW), NOW)

    return make


def realistic() -> str:
    """About 300 lines, such as a Home Agent in the field carries."""
    interfaces = "".join(
        f"interface GigabitEthernet0/{number}\n"
        f" description to site {number}\n"
        f" ip address 10.{number}.0.2 255.255.255.0\n"
        f" no ip redirects\n"
        f" no ip proxy-arp\n"
        f" ip access-group EDGE-IN in\n"
        f" standby version 2\n"
        f" standby {number} ip 10.{number}.0.1\n"
        f" standby {number} timers msec 250 msec 800\n"
        f" standby {number} priority 110\n"
        f" standby {number} preempt delay minimum 60 reload 180\n"
        f" standby {number} authentication md5 key-string K{number}secret\n"
        f" standby {number} track 1 decrement 20\n"
        f" ip ospf message-digest-key 1 md5 ospf{number}\n"
        f" ip ospf cost 1{number}\n"
        f" load-interval 30\n"
        f" duplex auto\n"
        f" speed auto\n"
        "!\n"
        for number in range(1, 8)
    )
    access = "".join(f" permit udp 10.{n}.0.0 0.0.0.255 any eq mobile-ip\n" for n in range(40))
    routes = "".join(f"ip route 172.16.{n}.0 255.255.255.0 10.1.0.254\n" for n in range(40))
    hosts = "".join(
        f"ip mobile host 198.19.96.{n} virtual-network 198.19.64.0 255.255.192.0 lifetime 1800\n"
        f"ip mobile secure host 198.19.96.{n} spi {0x100 + n:X} key hex {n:032x} "
        "algorithm hmac-md5\n"
        for n in range(1, 21)
    )
    base = Path(__file__).with_name("base.cfg").read_text()
    return (
        base.replace("@INTERFACES@\n", interfaces)
        .replace("@ACCESS@\n", access)
        .replace("@ROUTES@\n", routes)
        .replace("@HOSTS@\n", hosts)
    )


@pytest.fixture
def base() -> str:
    return realistic()


def _reference() -> Path | None:
    for folder in Path(__file__).resolve().parents:
        found = folder.parent / "shared" / "reference"
        if found.is_dir():
            return found
    return None


@pytest.fixture
def reference() -> Path:
    """Published data beside the checkout; tests that need it skip themselves without it."""
    found = _reference()
    if found is None:
        pytest.skip("no reference data beside the checkout")
    return found
