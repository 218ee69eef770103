"""What a fault in one router's forwarding plane does to the others: nothing."""

from __future__ import annotations

import pytest

from hacc_agent.config import AgentConfig
from lab.ios import Device
from lab.ios import plane as planes
from lab.ios.home_agent import told


def test_a_fault_in_one_router_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator is one process: it must not take the consoles of all routers along."""
    said: list[str] = []
    devices = {name: Device.from_text(name, f"hostname {name}\n") for name in ("r1", "r2", "r3")}
    asked = []

    def broken(device: Device) -> AgentConfig | None:
        asked.append(device.name)
        if device.name == "r2":
            raise KeyError("half a line")
        return told(device)

    monkeypatch.setattr(planes, "told", broken)
    every = planes.Planes(devices, {}, said.append)
    every.settle()
    every.settle()
    assert asked == ["r1", "r2", "r3"] * 2
    (once,) = said
    assert once.startswith("r2: its forwarding plane: Traceback")
    assert "half a line" in once
