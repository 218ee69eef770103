"""Each ready drill on virtual routers and in simulation: what subscribers notice, side by side.

    make bench-drills                        20 times live, 1,000 times simulated
    HACC_DRILLS=3 make bench-drills          3 times live
    HACC_DRILLS="3 member-kill" ...          and that one alone

The lab is the example inventory's, provisioned as `make demo` does it. Subscribers are a hundred,
with fifty packets a second each, instead of the thousand with four of the drills' files: so an
outage is known to 20 ms. A run is played as a user would (`hacc drill run`), and judged by the
drill's own budget.

Compared are the medians over all runs of each run's median subscriber. They may differ by a
quarter, or by what two of such figures are known to, whichever is more. The simulation knows the
intent's timers and a few latencies that were each measured on their own (lab/simulation/latencies).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.machine import machine
from lab.demo import KEY_FILES, KEYS, LINK, ROOT
from tasks.drills.files import names

LIVE: Final = 20
SIMULATED: Final = 1000
PEOPLE: Final = "subscribers: {number: 100, rate_hz: 50}"
SPACING_MS: Final = 1000 / 50
APART: Final = 0.25  # of the live figure
PATIENCE_S: Final = 900.0
"""For a run: members that failed before are let in, and have what is theirs, a minute later."""

HACC: Final = (sys.executable, "-m", "hacc_agent.orchestrator")
ENDED: Final = (0, 4)  # within its budget, or beyond it


@dataclass(frozen=True, slots=True)
class Played:
    """All runs of a drill on one stage."""

    medians: tuple[float, ...]  # ms
    beyond: int  # runs beyond their budget
    seconds: float
    broken: tuple[str, ...] = ()  # limits, of any of them

    @property
    def median(self) -> float:
        return statistics.median(self.medians) if self.medians else 0.0


class Site:
    """The example's lab, in a folder and under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.inventory = folder / "inventory"
        shutil.copytree(ROOT / "inventory", self.inventory)
        with (self.inventory / "clusters" / "west.yaml").open("a") as intent:
            intent.write(LINK)
        for path in (self.inventory / "drills").glob("*.yaml"):
            told, found = re.subn(r"^subscribers: .*$", PEOPLE, path.read_text(), flags=re.M)
            assert found == 1, path
            path.write_text(told)
        for name in KEY_FILES:
            file = self.inventory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(secrets.token_hex(16) + "\n")
        keys = {name: secrets.token_hex(8) for name in (*KEYS, "HACC_PASSWORD", "HACC_ENABLE")}
        self._environment = {**os.environ, **keys, "HACC_INVENTORY": str(self.inventory)}

    @contextmanager
    def up(self) -> Iterator[None]:
        """Provisioned."""
        try:
            self._done("lab", "up")
            self._done("pki", "init")
            self._done("pki", "issue")
            self._done("lab", "run", "--", *HACC, "apply", "--yes")
            yield
        finally:
            self.hacc("lab", "down")

    def live(self, drill: str, times: int) -> Played:
        return self._played(drill, [("--seed", str(seed)) for seed in range(1, times + 1)])

    def simulated(self, drill: str) -> tuple[Played, Mapping[str, Any]]:
        began = time.monotonic()
        told = self._run(drill, "--sim", "--times", str(SIMULATED))["simulated"]
        seconds = time.monotonic() - began
        medians = (told["medians"]["p50_ms"],)
        return Played(medians, len(told["broken"]), seconds), told

    def _played(self, drill: str, runs: Sequence[tuple[str, ...]]) -> Played:
        began = time.monotonic()
        found = [self._run(drill, *words) for words in runs]
        return Played(
            tuple(one["subscribers"]["p50_ms"] for one in found),
            sum(not one["ok"] for one in found),
            time.monotonic() - began,
            tuple(dict.fromkeys(what for one in found for what in one["broken"])),
        )

    def _run(self, drill: str, *words: str) -> Mapping[str, Any]:
        done = self.hacc("drill", "run", drill, "--json", *words)
        if done.returncode not in ENDED:
            raise SystemExit(f"{drill}: exit {done.returncode}: {done.stderr[-3000:]}")
        told: Mapping[str, Any] = json.loads(done.stdout)
        return told

    def hacc(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*HACC, *words),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def _done(self, *words: str) -> None:
        done = self.hacc(*words)
        if done.returncode:
            raise SystemExit(f"hacc {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def main() -> int:
    if os.geteuid() != 0:
        print("bench.drills: network namespaces need root")
        return 1
    count, *chosen = os.environ.get("HACC_DRILLS", str(LIVE)).split()
    times, missed = int(count), 0
    with tempfile.TemporaryDirectory(prefix="hacc-drills-", dir="/var/tmp") as folder:
        site = Site(Path(folder))
        with site.up():
            print(f"{'drill':<24} {'live':>8} {'simulated':>10} {'apart':>8}   limit", flush=True)
            for drill in chosen or names(site.inventory):
                live = site.live(drill, times)
                simulated, told = site.simulated(drill)
                missed += _tell(drill, live, simulated, told)
    print(
        f"ms, medians of {times} live and {SIMULATED:,} simulated runs, "
        f"100 and 30 subscribers with 50 packets a second each; {machine()}"
    )
    return 1 if missed else 0


def _tell(drill: str, live: Played, simulated: Played, told: Mapping[str, Any]) -> int:
    """Prints both, and how many limits they missed."""
    apart = abs(simulated.median - live.median)
    allowed = max(APART * live.median, 2 * SPACING_MS)
    over = apart > allowed
    print(
        f"{drill:<24} {live.median:8.0f} {simulated.median:10.0f} {apart:8.0f} < {allowed:6.0f}"
        f"{'   MISSED' if over else ''}",
        flush=True,
    )
    worst = told["medians"]
    print(
        f"{'':<24} live {min(live.medians):.0f} to {max(live.medians):.0f}, {live.beyond} of "
        f"{len(live.medians)} beyond the budget, {live.seconds:.0f} s; simulated 95 % "
        f"{worst['p95_ms']:.0f}, longest {worst['max_ms']:.0f}, {simulated.beyond} of "
        f"{SIMULATED} beyond the budget, {simulated.seconds:.0f} s",
        flush=True,
    )
    if live.broken:
        print(f"{'':<24} live, beyond: {'; '.join(live.broken)}")
    for one in told["broken"][:3]:
        print(f"{'':<24} seed {one['seed']}: {one['failed'] or '; '.join(one['broken'])}")
    return over + (live.beyond > 0) + (simulated.beyond > 0)


if __name__ == "__main__":
    sys.exit(main())
