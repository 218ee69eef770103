"""The example's cluster, with the link that it needs to hand bindings over."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hacc_agent.drills.drill import Drill, Fault, Step, Subscribers, Target
from hacc_agent.drills.faults import FaultKind, Role
from lab.simulation.blueprint import Blueprint, Texts, blueprint
from tasks.compile import compile_site
from tasks.intent import load_site
from tasks.render import render

ROOT = Path(__file__).resolve().parents[3]
LINK = "\nlink: {certificates: pki/west}\n"
VRRP = """\
    protocol: vrrp
    version: 3
    groups:
      - {lan: core, group: 10, address: 198.18.1.254}
    hello_ms: 200                  # a standby takes over after 3 of these and a skew (RFC 5798)
"""
HSRP = """\
    protocol: hsrp
    version: 2
    groups:
      - {lan: core, group: 10, address: 198.18.1.254}
    hello_ms: 250
    hold_ms: 900
"""


@functools.cache
def texts(*, link: bool = True, hsrp: bool = False) -> Texts:
    """What its routers are told."""
    with TemporaryDirectory() as name:
        root = Path(name) / "inventory"
        shutil.copytree(ROOT / "inventory", root)
        intent = root / "clusters" / "west.yaml"
        told = intent.read_text()
        if hsrp:
            assert VRRP in told
            told = told.replace(VRRP, HSRP)
        intent.write_text(told + LINK if link else told)
        (cluster,) = compile_site(load_site(root))
    return {
        device.host: {file.path: file.text for file in render(device).present}
        for device in cluster.devices
    }


@functools.cache
def west(*, hsrp: bool = False) -> Blueprint:
    return blueprint(texts(hsrp=hsrp))


def drill(fault: Fault, for_s: float | None = None, settle_s: float = 4.0) -> Drill:
    """Thirty subscribers with fifty packets a second each; after two seconds the fault."""
    timeline = (Step(2.0, fault, for_s),)
    return Drill("a", "A drill", "", Subscribers(30, 50.0), timeline, settle_s)


def member(kind: FaultKind, which: str = "busiest") -> Fault:
    return Fault(kind, (Target(Role.MEMBER, which),))


def controller(kind: FaultKind, which: str = "active") -> Fault:
    return Fault(kind, (Target(Role.CONTROLLER, which),))
