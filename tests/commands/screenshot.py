"""`make screenshot`: the pictures of docs/check.md, of a real report of virtual routers.

Five routers are provisioned, somebody changes them behind hacc's back, some of it is waived and
some mended, with a check after each step; then the report is opened in Chromium. Needs root.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.commands.fleet import LabDesk
from tests.commands.program import ROOT

DOCS = ROOT / "docs"
WAIVER = """\
waivers:
  - rule: standard.no-telnet
    host: ios2
    owner: jane@example.net
    reason: the console server of the east wing speaks nothing else
    expires: 2999-12-31
"""


def story(desk: LabDesk) -> None:
    """Days of a cluster, in short. What converges is waited for: a check looks once."""
    desk.hacc("verify").ends(0)
    desk.hacc("check").ends(0)
    desk.on_console("ios2", "line vty 0 4", "transport input telnet ssh")
    desk.hacc("check").ends(2)
    desk.sh(
        "ha1", "echo 'rocommunity hush' >> /etc/snmp/snmpd.conf; chmod 644 /etc/snmp/snmpd.conf"
    )
    desk.on_console("ios1", "interface GigabitEthernet0/1", "standby 20 timers 3 10")
    desk.hacc("check", "-o", "then.json").ends(2)
    (desk.inventory / "waivers.yaml").write_text(WAIVER)
    desk.hacc("check").ends(2)
    desk.hacc("apply", "--yes", "--allow", "re-election,binding-loss").ends(0)
    desk.hacc("verify").ends(0)
    desk.hacc("check").ends(0)
    desk.on_console("ios1", "interface GigabitEthernet0/1", "standby 20 priority 90")
    desk.sh("hacc2", "sysctl -qw net.ipv4.ip_forward=0")
    desk.hacc("check", "--baseline", "then.json", "-o", "report.html").ends(2)


def picture(page: Path) -> None:
    """Light as on a desk, dark as on a phone."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, scheme, width, height in (
            ("check", "light", 960, 1100),
            ("check-phone", "dark", 390, 844),
        ):
            shown = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            shown.goto(page.as_uri())
            shown.screenshot(path=DOCS / f"{name}.png")
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        desk = LabDesk(Path(place), f"t{os.getpid()}-picture")
        with desk.provisioned():
            story(desk)
        picture(Path(place) / "report.html")


if __name__ == "__main__":
    main()
