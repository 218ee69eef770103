"""`docs/hsrp.md`, from the table: python -m tests.hacc_agent.engine.hsrp.document"""

from __future__ import annotations

from pathlib import Path

from hacc_agent.engine.hsrp import Suspicion
from hacc_agent.engine.hsrp.table import PREEMPTING, TABLE, WITHOUT_ADDRESS, Action, Cell, Event
from hacc_agent.wire.hsrp import State

PATH = Path(__file__).resolve().parents[4] / "docs" / "hsrp.md"
STATES = tuple(State)[1:]

HEAD = """\
# HSRP on Linux routers

Linux has no HSRP, so `hacc-agent hsrp run` speaks it: versions 1 (RFC 2281) and 2, text and MD5
authentication, preemption with delays, tracking, timers of milliseconds, learned where none are
configured. A Linux router and an IOS router can share a group. One process serves all groups of a
router; its unit is `hacc-hsrp.service`, its file `/etc/hacc/hsrp.toml`. The orchestrator writes
both where an intent says `protocol: hsrp`: for controllers, and for gateways, the routers of
Foreign Agents, of whatever platforms (IOS gets `standby` lines for the same group). A gateway gets
its addresses, OSPF, SNMP and its groups, and nothing of a Home Agent; what makes it a Foreign Agent
is not ours and is not touched.

```yaml
gateways:
  - name: visited                  # groups are visited-LAN
    hosts: [fa1, ios5]             # the preferred one first
    redundancy:
      protocol: hsrp
      groups: [{lan: core, group: 90, address: 198.18.1.252}]
      authentication: {md5: "env:HSRP_KEY"}
```

```
hacc-agent hsrp                 as `show standby brief`; --json: one document a group
hacc-agent hsrp resign [GROUP]  let the standby router have what is active here
hacc-agent hsrp check -c FILE   would it start with this file?
hacc-agent hsrp withdraw        take away what a speaker that was killed has left
```

While a group is active its addresses are on an interface of their own, `INTERFACE.hGROUP`, a
macvlan with the virtual MAC address, and hellos leave from it. With `own_mac` (IOS: `use-bia`)
they are on the interface itself: so it is on a controller, whose relay takes frames there. With
the group come the addresses in `follows`, on lo, and the blackhole routes in `announces`, which
FRR announces.

## One owner, whatever dies

The speaker has a child, the guard. When the speaker is killed or stands still for a hold time,
the guard takes everything away, and resigns in its place: nobody has to wait. When the guard is
killed, the speaker starts another one; when both are, the unit's `ExecStopPost` does its work,
before systemd starts them again. A controller tracks its own hacc-agent: when that dies, the
priority falls to nothing, and the group goes to a standby router that is better now, at once.
Without such a one it stays: a worse owner is better than none. One that comes back preempts nobody
before its hacc-agent has what the other one has; after ten minutes it does so all the same.

Beside keepalived, at equal timers and in one run (`python -m bench hsrp`): a router without power
is replaced within the same time; a daemon that is stopped or killed within a tenth of a second.

## The state machine

Drawn from the code's own table, which `tests/hacc_agent/engine/hsrp/test_table.py` compares with
RFC 2281, section 5.7, and performs cell by cell. A letter is an action, a number the next state.
"""

NOTES = """\
`+` Without a virtual address it is {without}: the address is learned from the active router.

`*` Where the router may preempt it is {preempting}. It may when it is configured to, when its
priority is higher (a higher address alone is no reason to move a role), and when every delay is
over: `minimum` and `sync` count from when it first hears that the active router is worse,
`reload` from its own start.

Beyond the RFC:

- A timer that expires in a state without a cell for it counts as soon as there is one. An Active
  timer that ends in Speak would else leave the router in Standby for ever.
- Who has sent a Coup is taken for the next active router, so that the Resign which answers it is
  not taken for a vacancy by a third one.
- A first Hello is sent at once on entering Speak. Hellos come up to a tenth of their time early
  (the RFC wants jitter), never late.
- At most one Coup and one contradiction are answered in half a hello time.
- Version 1 cannot say less than a second. Where a hold time is configured in milliseconds, it is
  the router's own that counts; all routers of the group have to be configured so, as on IOS.

## What is not believed

Each is counted, told once, and again once a minute with the number while it goes on.

"""


def _printed(cell: Cell | None) -> str:
    if cell is None:
        return ""
    letters = "".join(action.name for action in cell.actions)
    return letters + (f"/{int(cell.state)}" if cell.state is not None else "")


def text() -> str:
    """The whole page."""
    lines = [HEAD, "| event | " + " | ".join(f"{int(s)} {s.name.title()}" for s in STATES) + " |"]
    lines.append("| --- " * (len(STATES) + 1) + "|")
    for event in Event:
        cells = []
        for state in STATES:
            mark = " +" if (state, event) == (State.INITIAL, Event.A) else ""
            listening = state in (State.LISTEN, State.SPEAK, State.STANDBY)
            mark = " *" if event is Event.H and listening else mark
            cells.append(_printed(TABLE.get((state, event))) + mark)
        lines.append(f"| {event.name.lower()}: {event.value} | " + " | ".join(cells) + " |")
    lines += ["", "| action | |", "| --- | --- |"]
    lines += [f"| {action.name} | {action.value} |" for action in Action]
    notes = NOTES.format(without=_printed(WITHOUT_ADDRESS), preempting=_printed(PREEMPTING))
    lines += ["", notes + "\n".join(f"- {one.value}" for one in Suspicion), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PATH.write_text(text())
