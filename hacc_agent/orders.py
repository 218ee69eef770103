"""`hacc-agent drain`, `undrain`, `failover` and `why`, as a controller answers them.

And what anybody may say to any daemon: that a drill is going on (`announce`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from .control import Answer, Refused
from .engine.effects import Moment
from .engine.health import Order
from .engine.table import Table
from .events import Events
from .fleet import Fleet
from .roles import Controller

PHASES: Final = ("begins", "fault", "mended", "ends")
"""Of a drill, as those see it who watch the cluster."""

LONGEST: Final = 200  # characters that an announcement may have in a field


class Orders:
    """Given to the controller that leads: the others have them by its log."""

    def __init__(self, fleet: Fleet, controller: Controller, clock: Callable[[], Moment]) -> None:
        self._fleet, self._controller, self._clock = fleet, controller, clock

    def give(self, order: Order, asked: Mapping[str, Any]) -> Answer:
        name, names = asked.get("member"), self._fleet.names
        if name not in names:
            raise Refused(f"there is no member {name!r}; members are: {', '.join(names)}")
        leader = self._fleet.follows
        if leader is not None:
            raise Refused(f"{leader} decides, and this controller follows it: order it there")
        self._fleet.order(names.index(name), order, str(asked.get("by") or ""))
        yield {
            "member": name,
            "order": order.value,
            "decides": self._fleet.supervision.leads,
        }

    def why(self, asked: Mapping[str, Any]) -> Answer:
        """First what is known of the mobile node, then the members as it would find them."""
        mobile = str(asked.get("mobile"))
        address, nai = identity(mobile)
        serving = None
        for table, state in zip(self._controller.tables, ("bound", "pending"), strict=True):
            row = table.find(address, nai)
            if row:
                found = self._known(table, row, mobile, state)
                serving = found["member"]
                yield found
        if serving is None:
            yield {"mobile": mobile, "state": "unknown", "member": None, "slot": None}
        yield from self._candidates()

    def _known(self, table: Table, row: int, mobile: str, state: str) -> dict[str, Any]:
        slots = self._controller.slots
        slot = table.get(row).slot
        return {
            "mobile": mobile,
            "state": state,
            "member": self._fleet.names[int(slots.member_of[slot])],
            "slot": slot,
            "slot_of": self._fleet.names[slots.home_of(slot)],
        }

    def _candidates(self) -> Iterator[Mapping[str, Any]]:
        candidates = self._fleet.supervision.candidates(self._clock())
        open_ = [each for each in candidates if not each.closed]
        best = min(open_, key=lambda each: (each.backup, each.load, each.member), default=None)
        for each in candidates:
            yield {
                "candidate": self._fleet.names[each.member],
                "state": each.state.value,
                "load": round(each.load, 4),
                "served": each.served,
                "capacity": each.capacity,
                "backup": each.backup,
                "not": each.closed,
                "chosen": each is best,
            }


def announce(events: Events, asked: Mapping[str, Any]) -> Answer:
    """Somebody does something to the cluster on purpose, and who watches it should know."""
    told = {name: str(asked.get(name) or "") for name in ("drill", "phase", "what")}
    if not told["drill"] or told["phase"] not in PHASES:
        raise Refused(f"a drill has a name and a phase: {', '.join(PHASES)}")
    for name, text in told.items():
        if len(text) > LONGEST or not text.isprintable():
            raise Refused(f"{name!r} is at most {LONGEST} printable characters")
    events.note("drill", **told)
    yield told


def identity(mobile: str) -> tuple[int, bytes | None]:
    """Home address and NAI of what an operator typed. Raises `Refused`."""
    if "@" in mobile:
        return 0, mobile.encode()
    try:
        return int(IPv4Address(mobile)), None
    except AddressValueError:
        raise Refused(f"{mobile!r} is neither an IPv4 address nor an NAI") from None
