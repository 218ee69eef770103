"""The live view in a real browser: beside a cluster under fault, and beside a crowd."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.crowd import EACH, MEMBERS, Crowd, answering
from hacc_agent.control import ask
from tests.hacc_agent.api.served import READER, Served, configured, open_folder, serving
from tests.hacc_agent.pair import certificates
from tests.loopback import Loopback, cluster, status

PATIENCE_MS = 30_000
NODES = 6


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    chromium = shutil.which("chromium")
    assert chromium is not None
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page of a server, and fails for every mistake in its script."""
    with ExitStack() as stack:
        faults: list[str] = []

        def open_page(served: Served, token: str = READER, width: int = 1280) -> Page:
            context = browser.new_context(
                ignore_https_errors=True, viewport={"width": width, "height": 900}
            )
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(served.url)
            page.fill("#token", token)
            page.keyboard.press("Enter")
            return page

        yield open_page
        assert faults == []


@contextmanager
def linked(folder: Path) -> Iterator[tuple[Loopback, Served]]:
    """A controller with a member and a backup on links, and the API beside it."""
    keys = certificates(folder / "keys", "west", "hacc1", "ha1", "ha9")
    with cluster(folder, "ha1", "ha9", "hacc1", keys=keys, complete=True) as west:
        for number in range(NODES):
            with closing(west.mobile_node(f"node{number}@example.net")) as node:
                reply = node.register()
                if reply.code == 133:  # a member that has just come back tells its time
                    node.follow(reply)
                    reply = node.register()
                assert reply.code == 0
        place = folder / "api"
        config = configured(place, west["hacc1"].config.runtime_directory)
        with serving(place, config) as api:
            yield west, api


def test_the_numbers_of_a_cluster_under_fault_are_the_tables(
    opened: Callable[..., Page],
) -> None:
    with open_folder() as folder, linked(folder) as (west, api):
        page = opened(api)
        expect(page.locator("#link")).to_have_text("live")
        expect(page.locator("#bindings")).to_have_text(str(NODES))
        expect(page.locator("[data-member=ha1]")).to_have_attribute("data-state", "up")

        assert west["ha1"].stop(signal.SIGKILL) == -signal.SIGKILL
        expect(page.locator("[data-member=ha1]")).to_have_attribute("data-state", "down")
        expect(page.locator("#timeline li", has_text="member down ha1").first).to_be_visible()
        expect(page.locator("#states")).to_contain_text("down")
        expect(page.locator("[data-member=ha1] [data-field=bindings]")).to_have_text("0")

        told = {each["name"]: each for each in status(west["hacc1"])["members"]}
        for name, member in told.items():
            expect(page.locator(f"[data-member={name}]")).to_have_attribute(
                "data-state", member["state"]
            )
            for field in ("bindings", "pending"):
                expect(page.locator(f"[data-member={name}] [data-field={field}]")).to_have_text(
                    str(member[field])
                )
        expect(page.locator("#bindings")).to_have_text(str(status(west["hacc1"])["bindings"]))
        events = list(ask(Path(west["hacc1"].config.runtime_directory), "events", limit=512))
        for event in events:
            expect(page.locator(f'[data-id="{event["id"]}"]')).to_have_count(1)

        page.fill("#mobile", "node3@example.net")
        page.keyboard.press("Enter")
        expect(page.locator("#found tbody tr")).to_have_count(1)
        expect(page.locator("#found tbody tr")).to_contain_text("node3@example.net")

        assert west["hacc1"].stop(signal.SIGKILL) == -signal.SIGKILL
        expect(page.locator("#link")).to_have_attribute("data-state", "silent")
        expect(page.locator("#link")).to_contain_text("nobody answers")


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[Crowd, Served]]:
    with (
        open_folder() as folder,
        answering(Crowd(), folder) as made,
        serving(folder / "api", configured(folder / "api", str(folder))) as api,
    ):
        yield made, api


def test_without_the_token_there_is_nothing_to_see(
    opened: Callable[..., Page], crowd: tuple[Crowd, Served]
) -> None:
    page = opened(crowd[1], token="guess")
    expect(page.locator("#door-note")).to_contain_text("Nobody has that token")
    expect(page.locator("#door")).to_be_visible()
    assert page.locator("[data-member]").count() == 0
    assert page.locator("#link").inner_text() == "connecting"


def test_a_thousand_members_are_some_rows_and_one_picture(
    opened: Callable[..., Page], crowd: tuple[Crowd, Served]
) -> None:
    page = opened(crowd[1])
    expect(page.locator("#bindings")).to_have_text(f"{MEMBERS * EACH:,}")
    expect(page.locator("#shown")).to_have_text(f"{MEMBERS:,}")
    assert 5 < page.locator("#rows .row:visible").count() < 40
    assert page.locator("#rows").get_attribute("aria-rowcount") == str(MEMBERS)
    assert page.locator("#map").get_attribute("aria-label") == "1000 members: 1000 up"
    page.locator("#rows").evaluate("rows => rows.scrollTop = rows.scrollHeight")
    expect(page.locator("[data-member=ha0999]")).to_be_visible()


def test_the_keyboard_alone_finds_a_member_that_is_down(
    opened: Callable[..., Page], crowd: tuple[Crowd, Served]
) -> None:
    made, api = crowd
    page = opened(api)
    expect(page.locator("#shown")).to_have_text(f"{MEMBERS:,}")
    made.kill("ha0512")
    page.focus("#filter")
    page.keyboard.type("down")
    expect(page.locator("[data-member=ha0512]")).to_be_visible()
    expect(page.locator("#shown")).to_have_text(f"1 of {MEMBERS:,}")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.id") != "rows":
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-member=ha0512]")).to_have_attribute("aria-selected", "true")


def test_on_a_phone_nothing_hangs_over(
    opened: Callable[..., Page], crowd: tuple[Crowd, Served]
) -> None:
    page = opened(crowd[1], width=360)
    expect(page.locator("#link")).to_have_text("live")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_nothing_comes_from_elsewhere_and_nothing_else_runs(
    opened: Callable[..., Page], crowd: tuple[Crowd, Served]
) -> None:
    """Neither a script that got into the page, nor a call to anybody else."""
    api = crowd[1]
    page = opened(api)
    expect(page.locator("#link")).to_have_text("live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.locator("#link")).to_have_text("live")
    assert {url.split("/")[2] for url in asked if not url.startswith("data:")} == {api.host}
    inject = """() => { const made = document.createElement("script");
        made.textContent = "window.ran = true"; document.body.append(made); return !!window.ran }"""
    assert page.evaluate(inject) is False
    fetched = page.evaluate("url => fetch(url).then(() => 'yes', () => 'no')", "https://127.0.0.2/")
    assert fetched == "no"
