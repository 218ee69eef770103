"""One run that has found one of everything, with the characters that break formats."""

from __future__ import annotations

from datetime import date

import pytest

from tasks.errors import Place, Problem
from tasks.findings import (
    Area,
    Checked,
    DeviceLine,
    Finding,
    Severity,
    Skipped,
    Waiver,
    worst_first,
)

# The cluster of the checks that `verify` makes, and what it shows when all is well.
from tests.tasks.verify.conftest import broken as broken
from tests.tasks.verify.conftest import cluster as cluster
from tests.tasks.verify.conftest import healthy as healthy
from tests.tasks.verify.conftest import site as site

INTENT = Place("inventory/clusters/west.yaml", 27)
WAIVER = Waiver(
    "jane", "the console server of <the east wing>", date(2027, 3, 31), Place("inventory/w.yaml", 2)
)

MISSING = Finding(
    "config.missing",
    Area.CONFIGURATION,
    Severity.MAJOR,
    "west",
    "ios1",
    "interface GigabitEthernet0/1 / standby 20 priority 200",
    "`standby 20 priority 200` is missing",
    INTENT,
    DeviceLine("running-config", 0, "interface GigabitEthernet0/1"),
    "hacc apply -c west, which types:\ninterface GigabitEthernet0/1\n standby 20 priority 200",
)
BANNER = Finding(
    "standard.banner",
    Area.STANDARD,
    Severity.MINOR,
    "west",
    "ios1",
    "banner motd ^C\x03",
    "a <script>alert('x')</script> & \x1b[31mred\x00 in a banner ]]> \N{GRINNING FACE}",
    Place("/srv/a b/inventory/hosts.yaml", 3),
    DeviceLine("running-config", 12, "banner motd ^C\x03"),
    "no banner motd",
)
OWNER = Finding(
    "state.one-owner",
    Area.STATE,
    Severity.CRITICAL,
    "west",
    "hacc1, hacc2",
    "198.18.1.254",
    "198.18.1.254: two owners",
    INTENT,
    remedy="stop one of them",
)
TELNET = Finding(
    "standard.no-telnet",
    Area.STANDARD,
    Severity.MAJOR,
    "west",
    "ios2",
    "line vty 0 4 / transport input telnet",
    "telnet",
    INTENT,
    DeviceLine("running-config", 90, "transport input telnet"),
    "transport input ssh",
    WAIVER,
)
CLOCK = Finding(
    "standard.clock", Area.STANDARD, Severity.INFO, "west", "ios2", "clock", "no NTP", INTENT
)
SILENT = Finding(
    "reach.asked", Area.REACH, Severity.CRITICAL, "west", "ha9", "session", "no route", INTENT
)
EXPIRED = Finding(
    "waiver.expired", Area.STANDARD, Severity.MINOR, "", "", "x", "ended", WAIVER.place
)


@pytest.fixture
def checked() -> Checked:
    return Checked(
        started="2026-11-23T19:00:00+00:00",
        seconds=1.5,
        intent_sha256="ab" * 32,
        clusters=("west",),
        hosts=("hacc1", "hacc2", "ha1", "ios1", "ios2"),
        findings=worst_first((MISSING, BANNER, OWNER, TELNET, CLOCK, SILENT, EXPIRED)),
        failed=(Skipped("ha9", (Problem(INTENT, "ha9", "no route", hint="cable?"),)),),
        foreign=(Skipped("sw1", (Problem(INTENT, "sw1", "no intent"),)),),
    )
