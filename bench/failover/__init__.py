"""A member dies with half a million bindings; a controller dies: what subscribers notice.

    make bench-failover

A LAN of network namespaces: two controllers, a Home Agent that serves 500,000 mobile nodes, its
backup, and a Foreign Agent's host where a hundred of those nodes register again and again, up to
1000 times a second together. The daemons are those of `hacc-agent run` on frames, with TLS between
them and journals on disk; keepalived moves the controllers' address with hellos of 200 ms. A
subscriber's outage is the time between the last reply before the fault and the first one after it,
so nothing below 100 ms can be told apart; who gets none asks again after 300 ms. (Packets through
the tunnels are the data plane's to measure.)

    killed        SIGKILL to the Home Agent's daemon: its connections end at once
    powered off   and its cable pulled before that: nobody says that anything has ended
    controller    powered off: address, log and service go to the standby one

Figures are medians of the rounds; outages are of all subscribers of the median round.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.machine import machine

from .faults import controller_powered_off, killed, powered_off
from .site import Site, prepared

ROUNDS = 3
BINDINGS = 500_000

Figures = Mapping[str, float]  # ms, by name


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a scenario."""

    name: str
    limit: float | None = None  # ms


SCENARIOS: tuple[tuple[str, Callable[[Site], Figures], tuple[Row, ...]], ...] = (
    (
        "member killed",
        killed,
        (
            Row("fault to member down"),
            Row("decision to both planes switched", 5),
            Row("fault to all bindings on the backup", 3000),
            Row("fault to the first registration answered"),
            Row("outage, median"),
            Row("outage, 90 %"),
            Row("outage, worst"),
        ),
    ),
    (
        "member powered off",
        powered_off,
        (
            Row("fault to member down"),
            Row("decision to both planes switched", 5),
            Row("fault to all bindings on the backup", 3000),
            Row("fault to the first registration answered"),
            Row("outage, median"),
            Row("outage, 90 %"),
            Row("outage, worst"),
        ),
    ),
    (
        "controller powered off",
        controller_powered_off,
        (
            Row("fault to keepalived has moved the address"),
            Row("fault to the standby decides"),
            Row("outage, median", 1000),
            Row("outage, 90 %", 1000),
            Row("outage, worst", 1000),
        ),
    ),
)


def main() -> int:
    missed = 0
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place = Path(name)
        state = prepared(place, BINDINGS)
        for title, scenario, rows in SCENARIOS:
            rounds = []
            for number in range(ROUNDS):
                folder = place / f"{title.replace(' ', '-')}-{number}"
                with Site(folder, state, BINDINGS) as site:
                    rounds.append(scenario(site))
            for row in rows:
                value = statistics.median(figures[row.name] for figures in rounds)
                over = row.limit is not None and value > row.limit
                missed += over
                limit = "" if row.limit is None else f"   limit < {row.limit:,.0f}"
                verdict = "   MISSED" if over else ""
                print(f"{title + ': ' + row.name:64} {value:10,.1f} ms{limit}{verdict}", flush=True)
    print(f"{BINDINGS:,} bindings with names, {ROUNDS} rounds; {machine()}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
