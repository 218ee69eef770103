"""The scenarios: what is done to the site, and the times at which what followed was seen. ms."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from .site import Site

BEFORE_S = 2.0  # of probing before the fault
AFTER_S = 4.0
GRACE_S = 0.02
"""What is under way when the fault happens is none of after it."""

Times = Sequence[Sequence[float]]


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
        site.hello("controller1")
        at = time.time()
        site.pull("controller1")
        site.kill("controller1")
        decides = site.event("controller2", "this controller decides", at)
        return {
            "fault to the address moved": _ms(at, site.became_active("controller2")),
            "fault to the standby decides": _ms(at, decides["at"]),
            **_outages(*probe.ended(at), at),
        }


def _member_gone(site: Site, probe: _Probed, at: float) -> Mapping[str, float]:
    down = site.event("controller1", "member down", at)
    moved = site.event("controller1", "slots move", at)
    taken = site.event("member2", "slots taken over", at)
    granted, received = probe.ended(at)
    return {
        "fault to member down": _ms(at, down["at"]),
        "decision to both planes switched": moved["after_ms"],
        "fault to all bindings on the backup": _ms(at, taken["at"]),
        "fault to the first registration answered": min(_ms(at, t) for t in _first(granted, at)),
        **_outages(granted, received, at),
    }


def _outages(granted: Times, received: Times, at: float) -> Mapping[str, float]:
    found = {}
    for what, times in (("registrations", granted), ("packets", received)):
        before = [max((t for t in each if t <= at + GRACE_S), default=-math.inf) for each in times]
        after = _first(times, at)
        outages = sorted(_ms(b, a) for b, a in zip(before, after, strict=True))
        found[f"{what}: outage, median"] = outages[len(outages) // 2]
        found[f"{what}: outage, 90 %"] = outages[len(outages) * 9 // 10]
        found[f"{what}: outage, worst"] = outages[-1]
    return found


def _first(times: Times, at: float) -> list[float]:
    """Of each subscriber, after the fault."""
    return [min((t for t in each if t > at + GRACE_S), default=math.inf) for each in times]


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
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ended(self, at: float) -> tuple[Times, Times]:
        """Times of each subscriber's grants and packets, until AFTER_S after the fault."""
        time.sleep(max(0.0, at + AFTER_S - time.time()))
        self._process.terminate()
        octets, _ = self._process.communicate()
        granted, received = json.loads(octets)
        return granted, received
