"""An engineer's week with five routers, told by the commands that she types.

Monday      the fleet that `hacc apply` has provisioned is as intended, and history knows by whom
Tuesday     the night shift has been at a console: found, explained, and told what would mend it
Wednesday   somebody answers for one finding; the other is mended
Thursday    a change by canary meets a router that is not well: it returns, and that is proven
Friday      what was in the way is mended, the same change goes through, the week is a page
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.commands.fleet import LabDesk

pytestmark = pytest.mark.lab

ALLOW = ("--allow", "re-election,binding-loss")
ON_ANY = "sysctl -qw net.ipv4.conf.all.arp_ignore="


def test_an_engineers_week(fleet: LabDesk) -> None:
    as_applied = fleet.states()

    # Monday
    assert (
        fleet.hacc("check").ends(0).out.splitlines()[-1].startswith("west: 5 routers, as intended")
    )

    # Tuesday
    fleet.on_console(
        "ios1",
        "ip mobile home-agent lifetime 60",
        "line vty 0 4",
        "transport input telnet ssh",
    )
    told = fleet.hacc("check", "--output", "json=tuesday.json").ends(2)
    assert "`ip mobile home-agent lifetime 60` instead of `ip mobile home-agent lifetime 1800`" in (
        " ".join(told.out.split())
    )
    assert "standard.no-telnet" in told.out
    why = fleet.hacc("explain", "ios1", "ip mobile home-agent lifetime").ends(0)
    line = fleet.intent.read_text().splitlines().index("  lifetime: 1800") + 1
    assert f"because of inventory/clusters/west.yaml:{line}" in why.out

    # Wednesday
    waivers = fleet.inventory / "waivers.yaml"
    waivers.write_text(
        "waivers:\n"
        "  - {rule: standard.no-telnet, host: ios1, owner: jane, expires: 2999-12-31,\n"
        "     reason: the console server of the east wing}\n"
    )
    fleet.hacc("apply", "--yes").ends(0)
    told = fleet.hacc("check", "--baseline", "tuesday.json").ends(0)
    assert "until 2999-12-31 by jane" in told.out

    # Thursday
    wednesday = fleet.states()
    fleet.edit("lifetime: 1800", "lifetime: 900")
    failed = fleet.meanwhile(
        *("apply", "--yes", "--json", "--canary", "ha1", *ALLOW),
        said='"host": "ha1", "stage": "push"',
        do=lambda _process: fleet.sh("ha1", f"{ON_ANY}0"),
    ).ends(4)
    states = {each["host"]: each["state"] for each in failed.value["hosts"]}
    assert states == {"ha1": "returned"} | dict.fromkeys(
        ("hacc1", "hacc2", "ios1", "ios2"), "not-begun"
    )
    fleet.sh("ha1", f"{ON_ANY}0")  # the way back has set it right: it comes again
    assert fleet.states() == wednesday, "the return is proven from outside as well"

    # Friday
    told = fleet.hacc("check", "--only", "state").ends(2)
    assert "state.arp" in told.out
    fleet.sh("ha1", f"{ON_ANY}1")
    fleet.hacc("apply", "--yes", "--canary", "ha1", *ALLOW).ends(0)
    assert "ip mobile home-agent lifetime 900" in fleet.states()["ios1"]
    fleet.hacc("verify").ends(0)  # what is still electing has done so
    checked = fleet.hacc("check", "-o", "week.html", "--json").ends(0).value
    _read_in_a_browser(fleet.place / "week.html", checked)
    week = [(each["kind"], each["exit"]) for each in fleet.hacc("history", "--json").value]
    provisioned, of_the_week = week[:-9], week[-9:]
    assert ("apply", 0) in provisioned
    assert of_the_week == [
        ("check", 0),
        ("check", 2),
        ("apply", 0),
        ("check", 0),
        ("apply", 4),
        ("check", 2),
        ("apply", 0),
        ("verify", 0),
        ("check", 0),
    ]

    waivers.unlink()
    fleet.on_console("ios1", "no line vty 0 4")
    fleet.edit("lifetime: 900", "lifetime: 1800")
    fleet.hacc("apply", "--yes", *ALLOW).ends(0)
    assert fleet.states() == as_applied


def _read_in_a_browser(page: Path, checked: dict[str, Any]) -> None:
    """The week as the people read it who were not there."""
    chromium = shutil.which("chromium")
    assert chromium is not None
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.goto(page.as_uri())
        open_ones = [one for one in checked["findings"] if one["waiver"] is None]
        assert opened.locator("article[data-severity]:visible").count() == len(open_ones)
        assert opened.get_by_text("jane").count() == 1
        assert opened.locator("svg.drift").count() == 1
        browser.close()
