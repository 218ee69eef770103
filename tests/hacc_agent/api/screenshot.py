"""The pictures of docs/live-view.md: a crowd of members, one of which has died, in a drill."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.crowd import Crowd, answering
from tests.hacc_agent.api.served import READER, configured, open_folder, serving

DOCS = Path(__file__).parents[3] / "docs"
MEMBERS = 18


def main() -> None:
    crowd = Crowd(MEMBERS)
    with (
        open_folder() as folder,
        answering(crowd, folder),
        serving(folder / "api", configured(folder / "api", str(folder))) as api,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        pages = []
        for scheme, width, height in (("light", 1280, 860), ("dark", 390, 844)):
            context = browser.new_context(
                ignore_https_errors=True,
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            page.goto(api.url)
            page.fill("#token", READER)
            page.keyboard.press("Enter")
            page.wait_for_selector("[data-member=ha0000]")
            pages.append(page)
        crowd.note("drill", drill="member-kill", phase="begins", what="")
        crowd.kill("ha0004")
        crowd.note("drill", drill="member-kill", phase="fault", what="ha0004 loses its power")
        for page, name in zip(pages, ("live-view", "live-view-phone"), strict=True):
            page.wait_for_selector("[data-member=ha0004][data-state=down]")
            page.wait_for_timeout(12_000)  # something to see in the line of rates
            page.evaluate("document.activeElement.blur()")
            page.screenshot(path=DOCS / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
