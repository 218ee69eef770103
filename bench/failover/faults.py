"""The scenarios: what is done to the site, and the times at which what followed was seen. ms."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from .site import Site

BEFORE_S = 3.0  # of probing before the fault
AFTER_S = 8.0


def killed(site: Site) -> Mapping[str, float]:
    with _Probed(site) as probe:
        at = time.time()
        site.kill("member1")
        return _member_gone(site, probe, at)


def powered_off(site: Site) -> Mapping[str, float]:
    with _Probed(site) as probe:
        at = time.time()
        site.pull("member1")
        site.kill("member1")
        return _member_gone(site, probe, at)


def controller_powered_off(site: Site) -> Mapping[str, float]:
    with _Probed(site) as probe:
        at = time.time()
        site.pull("controller1")
        site.kill("controller1")
        decides = site.event("controller2", "this controller decides", at)
        return {
            "fault to keepalived has moved the address": _ms(at, site.became_active("controller2")),
            "fault to the standby decides": _ms(at, decides["at"]),
            **_outages(probe.ended(at), at),
        }


def _member_gone(site: Site, probe: _Probed, at: float) -> Mapping[str, float]:
    down = site.event("controller1", "member down", at)
    moved = site.event("controller1", "slots move", at)
    taken = site.event("member2", "slots taken over", at)
    granted = probe.ended(at)
    return {
        "fault to member down": _ms(at, down["at"]),
        "decision to both planes switched": moved["after_ms"],
        "fault to all bindings on the backup": _ms(at, taken["at"]),
        **_outages(granted, at),
    }


def _outages(granted: Sequence[Sequence[float]], at: float) -> Mapping[str, float]:
    # A reply that is under way when the fault happens is none of after it: 20 ms of grace.
    after = [min((t for t in times if t > at + 0.02), default=math.inf) for times in granted]
    before = [max((t for t in times if t <= at + 0.02), default=-math.inf) for times in granted]
    outages = sorted(1000 * (b - a) for a, b in zip(before, after, strict=True))
    return {
        "fault to the first registration answered": _ms(at, min(after)),
        "outage, median": outages[len(outages) // 2],
        "outage, 90 %": outages[len(outages) * 9 // 10],
        "outage, worst": outages[-1],
    }


def _ms(begin: float, end: float) -> float:
    return 1000 * (end - begin)


class _Probed:
    """The subscribers, from BEFORE_S before to AFTER_S after."""

    def __init__(self, site: Site) -> None:
        command = (sys.executable, "-m", "bench.failover.probe")
        self._site = site
        self._process = site.inside("agent", *command, stdout=subprocess.PIPE)

    def __enter__(self) -> _Probed:
        self._site.ready()
        time.sleep(BEFORE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ended(self, at: float) -> list[list[float]]:
        """Times of each subscriber's grants, until AFTER_S after the fault."""
        time.sleep(max(0.0, at + AFTER_S - time.time()))
        self._process.terminate()
        octets, _ = self._process.communicate()
        granted: list[list[float]] = json.loads(octets)
        return granted
