"""Rendering 10,000 routers: `python -m bench.render`.

The limit is 1 ms for each on one core. The models are the example cluster's own seven, in turn:
two Linux controllers, three Linux members, two IOS routers. They come from the inventory of the
checkout; reading and compiling it is not in the figure, nor is reading the templates, which
happens once in a run and is shown apart.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import sys
import time
from pathlib import Path

from bench.machine import machine
from tasks.compile import compile_site
from tasks.intent import load_site
from tasks.model import DeviceModel
from tasks.render import environment, render

ROOT = Path(__file__).resolve().parent.parent
DEVICES = 10_000
ROUNDS = 3
LIMIT_MS = 1.0


def main() -> int:
    """Measure, print, and fail above the limit."""
    (cluster,) = compile_site(load_site(ROOT / "inventory"))
    environment.cache_clear()
    start = time.perf_counter()
    for model in cluster.devices:
        render(model)
    first = (time.perf_counter() - start) * 1e3
    rounds = [_round(cluster.devices) for _ in range(ROUNDS)]
    each = statistics.median(seconds / DEVICES * 1e3 for seconds, _ in rounds)
    lines = rounds[0][1] / DEVICES
    print(f"templates, once   {first:.0f} ms: read, marked, compiled, and used for 7 devices")
    print(f"{DEVICES:,} devices   {each * DEVICES / 1e3:.1f} s of CPU, median of {ROUNDS} rounds")
    print(
        f"one device        {each:.3f} ms, {lines:.0f} lines ({each / lines * 1e3:.1f} us a line)"
    )
    print(f"limit             {LIMIT_MS} ms: {LIMIT_MS / each:.1f} times as fast as it must be")
    print(machine())
    return int(each > LIMIT_MS)


def _round(models: tuple[DeviceModel, ...]) -> tuple[float, int]:
    """CPU seconds for all devices, and the lines that came out."""
    gc.collect()
    lines = 0
    start = time.process_time()
    for model in itertools.islice(itertools.cycle(models), DEVICES):
        lines += sum(len(file.lines) for file in render(model).files)
    return time.process_time() - start, lines


if __name__ == "__main__":
    sys.exit(main())
