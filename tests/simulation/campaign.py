"""Many scenarios on all cores: `make simulate`, or python -m tests.simulation.campaign MINUTES.

python -m tests.simulation.campaign --seed 4711        one scenario, with its story
python -m tests.simulation.campaign --seed 4711 --of faults

There are two kinds: registrations in a cluster in trouble, and supervised clusters that fail over.
"""

from __future__ import annotations

import argparse
import functools
import gc
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.simulation import faults, scenario

Play = Callable[[int, list[str]], None]
KINDS: dict[str, tuple[Play, int]] = {  # and how many of them make a batch
    "registrations": (scenario.play, 2000),
    "faults": (faults.play, 400),
}
AT_ONCE = 50  # scenarios that a process is given
STORY = 40  # lines of a failed one that are told


@dataclass(frozen=True, slots=True)
class Failure:
    seed: int
    why: str
    story: tuple[str, ...]

    def told(self) -> str:
        return "\n".join((f"seed {self.seed}: {self.why}", *self.story[-STORY:]))


def one(play: Play, seed: int) -> Failure | None:
    if seed % AT_ONCE == 0:  # worlds are cycles of few but large objects: nothing else hurries
        gc.collect()
    told: list[str] = []
    try:
        play(seed, told)
    except AssertionError as broken:
        return Failure(seed, str(broken), tuple(told))
    except Exception:  # whatever an engine raises is a failure of it, not of the campaign
        return Failure(seed, traceback.format_exc(), tuple(told))
    return None


def campaign(seeds: Iterable[int], play: Play = scenario.play) -> Iterator[Failure]:
    """Plays them on all cores; what fails comes as it is found."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for failure in pool.imap_unordered(functools.partial(one, play), seeds, AT_ONCE):
            if failure is not None:
                yield failure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=60)
    parser.add_argument("--seed", type=int, help="play this one and tell its story")
    parser.add_argument("--of", choices=KINDS, default="registrations", help="its kind")
    parser.add_argument(
        "--first", type=int, default=int(time.time()) * 1000, help="seed to begin with"
    )
    options = parser.parse_args()
    if options.seed is not None:
        told: list[str] = []
        try:
            KINDS[options.of][0](options.seed, told)
        finally:
            print("\n".join(told))
        return 0
    print(f"seeds from {options.first} on", flush=True)
    failures = 0
    # A batch at a time, so that the pool's queue does not run ahead of the clock.
    deadline = time.monotonic() + 60 * options.minutes
    first, played = options.first, 0
    while time.monotonic() < deadline:
        for kind, (play, count) in KINDS.items():
            for failure in campaign(range(first, first + count), play):
                failures += 1
                print(f"{kind}: {failure.told()}", flush=True)
            played += count
        first += max(count for _, count in KINDS.values())
        print(f"{played} scenarios, {failures} failed", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
