"""The live view under load: does the relay notice a thousand listeners, is the page fluid?

    make bench-api

The relay is the daemon of `bench relay`, with a million bindings, on the first core; the generator
on the second, where the API and the listeners' own end run too, at the lowest priority: on a router
the API has `Nice=10`, and its listeners are elsewhere. Rounds without and with listeners take
turns; each listener is a TLS connection of its own that reads every frame.

The page is opened in headless Chromium (where there is one) beside a thousand members and five
million bindings, all of whose figures change each second, and is scrolled meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from bench.crowd import MEMBERS, Crowd, answering
from bench.machine import machine
from bench.relay import Measured, Row, measure, warm_up
from bench.relay.deployed import Missing, wait_for
from bench.relay.ours import controller
from bench.relay.peers import compiled
from hacc_agent.api.config import ApiConfig, Token, to_toml
from tasks import pki

ROUNDS: Final = 5
LISTENERS: Final = 1000
LEAST: Final = 0.95  # of the relay's rate with nobody listening
CALLERS: Final = 10
"""Who listen: one of them alone may not call so often at once."""

ALONE, WATCHED = "nobody listens", f"{LISTENERS:,} listeners"
RELAY = Row("hacc-agent", "ours")
SCROLLS: Final = 120
FRAME_MS: Final = 1000 / 60
REQUEST: Final = "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n"
OBSERVE: Final = """
    window.long = []; window.gaps = []; let last = performance.now();
    const note = (list) => list.getEntries().forEach((each) => window.long.push(each.duration));
    new PerformanceObserver(note).observe({type: "longtask", buffered: false});
    const look = (now) => {
        window.gaps.push(now - last); last = now; requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""


def _token(number: int) -> str:
    return f"bench-{number}"


@contextmanager
def served(place: Path, runtime: Path) -> Iterator[int]:
    """The API of a daemon; yields its port."""
    place.mkdir()
    pki.create_authority(place, "bench", datetime.now(UTC))
    pki.issue(place, "bench", "api", datetime.now(UTC))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    config = ApiConfig(
        address=IPv4Address("127.0.0.1"),
        certificate="api.pem",
        key="api.key",
        tokens=tuple(
            Token(name, sha256(name.encode()).hexdigest()) for name in map(_token, range(CALLERS))
        ),
        port=port,
        runtime_directory=str(runtime),
    )
    (place / "api.toml").write_text(to_toml(config))
    log = place / "log"
    command = (sys.executable, "-m", "hacc_agent", "api", "-c", str(place / "api.toml"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            ("taskset", "-c", "1", "nice", "-n", "19", *command), stdout=output, stderr=output
        )
    try:
        wait_for(process, log, "ready")
        yield port
    finally:
        process.terminate()
        process.wait(20)


# ------------------------------------------------------------------ listeners


def main() -> int:
    if sys.argv[1:2] == ["listen"]:
        return asyncio.run(_listen(int(sys.argv[2])))
    with tempfile.TemporaryDirectory(prefix="hacc-bench-") as name:
        place = Path(name)
        place.chmod(0o755)  # the API is nobody, and has to find the daemon's socket
        try:
            missed = _relay(place)
        except Missing as missing:
            print(f"bench api: {missing}")
            missed = True
        _page(place)
    print(machine())
    return int(missed)


def _relay(place: Path) -> bool:
    """Whether the limit is missed."""
    programs = compiled(place)
    found: dict[str, list[Measured]] = {ALONE: [], WATCHED: []}
    frames = []
    with ExitStack() as stack:
        relay = stack.enter_context(controller(place / "ours", 4340, programs))
        port = stack.enter_context(served(place / "api", place / "ours/run"))
        warm_up(RELAY, relay, programs / "generator")
        for _ in range(ROUNDS):
            found[ALONE].append(measure(RELAY, relay, programs / "generator"))
            with _listeners(port) as listeners:
                found[WATCHED].append(measure(RELAY, relay, programs / "generator"))
            frames.append(listeners["frames"])
    print(f"{'':20} {'reg/s':>8} {'us CPU/reg':>10} {'p99 us':>7}   medians of {ROUNDS} rounds")
    for name, rounds in found.items():
        print(
            f"{name:20} {statistics.median(m.per_second for m in rounds):8,.0f} "
            f"{statistics.median(m.cpu_us for m in rounds):10.2f} "
            f"{statistics.median(m.p99_us for m in rounds):7,.0f}"
        )
    pairs = zip(found[WATCHED], found[ALONE], strict=True)
    ratios = sorted(watched.per_second / alone.per_second for watched, alone in pairs)
    middle = statistics.median(ratios)
    bad = middle < LEAST
    print(
        f"rate with {WATCHED} / with nobody: {middle:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}), "
        f"limit >= {LEAST}{'  MISSED' if bad else ''}; "
        f"{statistics.median(frames):,.0f} frames read a round"
    )
    return bad


@contextmanager
def _listeners(port: int) -> Iterator[dict[str, int]]:
    """All of them, connected; what is yielded is filled when they have gone."""
    command = (sys.executable, "-m", "bench.api", "listen", str(port))
    words = ("taskset", "-c", "1", "nice", "-n", "19", *command)
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    told: dict[str, int] = {}
    try:
        if process.stdout.readline().strip() != "listening":
            raise Missing("the listeners could not connect")
        yield told
        process.stdin.close()
        told |= json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


async def _listen(port: int) -> int:
    """A process that plays all listeners; ends with its standard input."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    frames = 0
    connected = 0

    async def one(number: int, patience: asyncio.Semaphore) -> None:
        nonlocal frames, connected
        async with patience:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(REQUEST.format(_token(number % CALLERS)).encode())
            await reader.readuntil(b"event: figures")
            connected += 1
        while piece := await reader.read(65536):
            frames += piece.count(b"event: ")

    patience = asyncio.Semaphore(20)  # handshakes at once
    tasks = [asyncio.create_task(one(number, patience)) for number in range(LISTENERS)]
    while connected < LISTENERS:
        await asyncio.sleep(0.05)
        for task in tasks:
            if task.done():
                task.result()
    print("listening", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({"frames": frames}), flush=True)
    os._exit(0)  # a thousand goodbyes are of no interest


# ------------------------------------------------------------------ the page


def _page(place: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("the page: not measured: there is no chromium here")
        return
    folder = place / "crowd"
    folder.mkdir()
    with answering(Crowd(), folder), served(place / "page", folder) as port:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, width, height in (("desk", 1280, 900), ("phone", 390, 844)):
                context = browser.new_context(
                    ignore_https_errors=True, viewport={"width": width, "height": height}
                )
                page = context.new_page()
                page.goto(f"https://127.0.0.1:{port}")
                page.fill("#token", _token(0))
                page.keyboard.press("Enter")
                page.wait_for_selector("[data-member=ha0000]", timeout=60_000)
                page.evaluate(OBSERVE)
                for _ in range(SCROLLS):
                    page.locator("#rows").evaluate("rows => rows.scrollTop += 90")
                    time.sleep(0.03)
                gaps = sorted(page.evaluate("window.gaps"))
                long = page.evaluate("window.long")
                tardy = sum(gap > 1.5 * FRAME_MS for gap in gaps)
                print(
                    f"the page on a {name}, {MEMBERS:,} members: {len(gaps)} frames, "
                    f"p50 {gaps[len(gaps) // 2]:.1f} ms, p99 {gaps[len(gaps) * 99 // 100]:.1f} ms, "
                    f"{tardy} late; longest task {max(long, default=0):.0f} ms "
                    f"({len(long)} above 50 ms)"
                )
                context.close()
            browser.close()


if __name__ == "__main__":
    sys.exit(main())
