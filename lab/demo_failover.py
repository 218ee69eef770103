"""The end of the demo: a Home Agent loses its power while packets flow, and who notices what.

The thousand mobile nodes register once more, and answer packets that a correspondent sends to their
home addresses. In the middle of that the Linux member with the most bindings is switched off. What
was with it has to be with others afterwards, and every mobile node registered.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

NODES: Final = 1000
DURATION_S: Final = 9
PACKETS: Final = 4000  # a second: four for each of them, so that a quarter of a second shows
BEFORE_S: Final = 3.0
"""s from when half of them are registered to the fault."""

PATIENCE_S: Final = 60.0
CONTROLLERS: Final = ("hacc1", "hacc2")

Hacc = Callable[..., list[str]]  # from the words of a `hacc lab` command to what runs it


class Failed(Exception):
    """What could not be shown, and why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the controller that decides says of its members."""

    bindings: Mapping[str, int]
    states: Mapping[str, str]
    linked: frozenset[str]  # who can be relieved of what it has: Linux routers
    heard: int  # requests and replies, so far

    @property
    def total(self) -> int:
        return sum(self.bindings.values())

    @property
    def busiest(self) -> str:
        return max(self.linked, key=lambda name: self.bindings[name])


def show(hacc: Hacc, environment: Mapping[str, str]) -> int:
    """Do it, and print what came of it; exit code 1 when anything was lost. Raises `Failed`."""

    def answer(*words: str) -> Any:
        done = subprocess.run(hacc(*words), env=environment, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise Failed(f"hacc lab {' '.join(words)} ended with {done.returncode}")
        return json.loads(done.stdout.splitlines()[0])

    def cluster() -> Cluster:
        for name in CONTROLLERS:
            told = answer("exec", name, "hacc-agent", "status", "--json")
            if told["log"]["leads"]:
                return _cluster(told)
        raise Failed("no controller decides")

    words = ["subscribers", "--count", str(NODES), "--duration", str(DURATION_S)]
    words += ["--rate", "500", "--traffic", str(PACKETS), "--json"]
    already = cluster().heard
    with (
        subprocess.Popen(
            hacc(*words), env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as run,
        ExitStack() as stack,
    ):
        stack.callback(run.kill)
        end = time.monotonic() + PATIENCE_S
        while cluster().heard < already + NODES:  # half of them have asked and were answered
            if time.monotonic() > end or run.poll() is not None:
                raise Failed("mobile nodes do not register")
            time.sleep(0.2)
        time.sleep(BEFORE_S)
        before = cluster()
        struck = before.busiest
        answer("break", "power", struck, "--json")
        octets, _ = run.communicate()
        after = cluster()
    answer("mend", "--json")
    if run.returncode not in (0, 3):  # 3: somebody is not registered, and the report says who
        raise Failed(f"hacc lab {' '.join(words)} ended with {run.returncode}")
    return _told(struck, before, after, json.loads(octets))


def _cluster(told: Mapping[str, Any]) -> Cluster:
    members = told["members"]
    return Cluster(
        {each["name"]: each["bindings"] for each in members},
        {each["name"]: each["state"] for each in members},
        frozenset(each["name"] for each in members if each["linked"]),
        sum(each["received"] for each in told["traffic"].values()),
    )


def _told(struck: str, before: Cluster, after: Cluster, report: Mapping[str, Any]) -> int:
    print(f"{struck} was switched off while {PACKETS} packets a second went to mobile nodes.\n")
    print(f"{'member':<12} {'bindings before':>16} {'after':>8}  state")
    for name, count in before.bindings.items():
        print(f"{name:<12} {count:>16} {after.bindings[name]:>8}  {after.states[name]}")
    print(f"{'':<12} {before.total:>16} {after.total:>8}")
    lost = before.total - after.total
    print(f"\n{lost} bindings lost; {report['registered']} of {report['nodes']} are registered")
    packets = report["packets"]
    outages = packets["outages"]
    print(f"{packets['sent']} packets, {packets['answered']} of them answered")
    if outages["nodes"]:
        told = ", ".join(f"{name} {value:.0f}" for name, value in outages["ms"].items())
        print(f"{outages['nodes']} mobile nodes missed some, for so many ms: {told}")
    if packets["silent_nodes"]:
        print(f"{packets['silent_nodes']} mobile nodes got none at all")
    return int(lost > 0 or after.bindings[struck] > 0 or report["registered"] < report["nodes"])
