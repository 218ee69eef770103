"""A lab that only keeps the books: everything that `Lab` decides, and nothing that needs a machine.

Run as a program it is the whole life of a drill that dies at a given moment:

    python books.py FOLDER MOMENT
    python books.py FOLDER guardian OWNER

A moment is a place between two things that `Lab` does; the drill kills itself with SIGKILL there.
What is broken stands in files of the folder, as it would in the routers of a real lab.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hacc_agent.drills.drill import Drill, Fault, Step, Subscribers, Target
from hacc_agent.drills.faults import FaultKind, Role
from hacc_agent.drills.measured import Member, Standing
from lab import faults
from lab.drills import guardian
from lab.drills.stage import Stage
from lab.faults import FaultKind as Kind
from lab.lab import Lab, Progress
from lab.lock import locked
from lab.topology import Kind as RouterKind
from lab.topology import Router, Topology

OWNER = "drill/books"
NAMES = ("hacc1", "hacc2", "ha1", "ha2")


def topology() -> Topology:
    routers = tuple(
        Router(name, RouterKind.LINUX, IPv4Address(f"198.18.0.{number}"), "root", ())
        for number, name in enumerate(NAMES, 1)
    )
    return Topology("books", routers)


class Books(Lab):
    """Effects are files: one for each router that is not as it should be."""

    def __init__(self, folder: Path, dies_at: int = 0) -> None:
        super().__init__(topology())
        self.directory = folder
        self._left = dies_at
        self.effects = folder / "effects"
        self.effects.mkdir(exist_ok=True)

    def moment(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    # What needs a machine, and is a file here --------------------------------------------------

    def _locked(self, *, last: bool = False) -> Any:
        return locked(self.directory, "books", last=last)

    def fabric(self) -> int:
        return 0

    def routers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(NAMES, 1)}

    def _settle(self, _progress: Progress, broken: Sequence[faults.Fault] | None = None) -> int:
        self._apply(self.faults() if broken is None else broken)
        return 0

    def _apply(self, broken: Sequence[faults.Fault]) -> None:
        """The fabric is as the list says, whatever it was before."""
        wanted = {f"{name}.cut" for each in broken for name in each.routers if _cuts(each)}
        for path in self.effects.glob("*.cut"):
            if path.name not in wanted:
                path.unlink()
                self.moment()
        for name in wanted:
            (self.effects / name).touch()
            self.moment()

    def break_(self, fault: faults.Fault) -> faults.Fault:
        self.moment()
        done = super().break_(fault)
        self.moment()
        return done

    def _act(self, fault: faults.Fault) -> None:
        self.moment()
        for name in fault.routers if not _cuts(fault) else ():
            (self.effects / f"{name}.{fault.kind}").touch()
            self.moment()

    def _undo(self, fault: faults.Fault) -> None:
        self.moment()
        for name in fault.routers if not _cuts(fault) else ():
            (self.effects / f"{name}.{fault.kind}").unlink(missing_ok=True)
            self.moment()

    def running(self, name: str, units: Sequence[str]) -> str:  # noqa: ARG002  as a lab does
        return units[0]

    def restart(self, name: str, unit: str) -> None:  # noqa: ARG002  as a lab does
        self.moment()


def _cuts(fault: faults.Fault) -> bool:
    return fault.kind in (Kind.LINK, Kind.PARTITION, Kind.ONEWAY, Kind.LOSS)


def bookkept(lab: Books) -> None:
    """What `Lab.break_` asks the kernel for is a file as well."""
    faults.apply = lambda _topology, broken, *_: lab._apply(broken)


STANDING = Standing(
    ("hacc1", "hacc2"),
    "hacc1",
    (
        Member("ha1", ("ha1",), True, False, "up", 10, 0),
        Member("ha2", ("ha2",), True, False, "up", 20, 0),
        Member("pair", ("ios1", "ios2"), False, False, "up", 0, 0),
    ),
)


def step(
    at_s: float, kind: FaultKind, *targets: Target, for_s: float | None = None, **more: Any
) -> Step:
    return Step(at_s, Fault(kind, targets, **more), for_s)


LINUX = (Target(Role.MEMBER, "ha1"), Target(Role.MEMBER, "ha2"))
BUSIEST = Target(Role.MEMBER, "busiest")
ACTIVE = Target(Role.CONTROLLER, "active")
EVERYBODY = Target(Role.ROUTER, "all")
DRILL = Drill(
    "books",
    "Everything",
    "-",
    Subscribers(1, 1.0),
    (
        step(1, FaultKind.LINK, BUSIEST, for_s=4),
        step(2, FaultKind.SNMP, BUSIEST),
        step(3, FaultKind.OVERLOAD, *LINUX, for_s=1),
        step(4, FaultKind.PARTITION, ACTIVE, for_s=3, others=(Target(Role.CONTROLLER, "standby"),)),
        step(5, FaultKind.SWITCHOVER, ACTIVE),
        step(6, FaultKind.DRAIN, BUSIEST, for_s=2),
        step(6, FaultKind.FLAP, BUSIEST, for_s=4, every_s=2.0),
        step(7, FaultKind.UPGRADE, EVERYBODY, every_s=0.5),
    ),
    settle_s=2,
)


REAL = replace(
    DRILL,
    timeline=(
        step(1, FaultKind.LINK, BUSIEST, for_s=40),
        step(10, FaultKind.OVERLOAD, *LINUX, for_s=60),
        step(20, FaultKind.POWER, BUSIEST, ACTIVE, for_s=60),
        step(30, FaultKind.FREEZE, Target(Role.CONTROLLER, "standby")),
    ),
)
"""For routers that run no daemons of ours."""


IMPATIENT_S = 0.001


class Hurry:
    """A clock that is a quarter of a second later each time somebody looks."""

    def __init__(self) -> None:
        self._looks = 0

    def __call__(self) -> float:
        self._looks += 1
        return self._looks / 4


def stage_of(lab: Any, drill: Drill = DRILL, told: list[tuple[str, str]] | None = None) -> Stage:
    heard = [] if told is None else told
    return Stage(
        drill,
        OWNER,
        lab,
        lambda: STANDING,
        lambda: None,
        Hurry(),
        lambda phase, what: heard.append((phase, what)),
        listens_s=IMPATIENT_S,
    )


def main(folder: str, dies_at: str) -> int:
    place = Path(folder)
    lab = Books(place, int(dies_at))
    bookkept(lab)
    command = [sys.executable, __file__, folder, "guardian", OWNER]
    with guardian.guarded(command, place / "log") as guard:
        (place / "guardian").write_text(str(guard.pid))
        stage = stage_of(lab)
        stage.start()
        over = threading.Event()
        while not stage.played:  # bounded by whoever waits for this process
            over.wait(0.001)
        lab.moment()
        stage.stop()
        lab.moment()
    return 0


if __name__ == "__main__":
    if sys.argv[2] == "guardian":
        guardian.await_end()
        guarded_lab = Books(Path(sys.argv[1]))
        bookkept(guarded_lab)
        sys.exit(guardian.restore(guarded_lab, sys.argv[3]))
    sys.exit(main(*sys.argv[1:]))
