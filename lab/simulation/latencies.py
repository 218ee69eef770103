"""How long things take that no engine decides, as on virtual routers.

None of them is fitted to what a drill finds there: each was measured on its own, is told by a
file, or is an estimate and says so. A pair is a range, any value of which is as likely as another.
"""

from __future__ import annotations

from typing import Final

WIRE_S: Final = (0.00005, 0.0002)
"""One way on the LAN: half of a round trip of probes, 0.2 ms (50 %)."""

LINK_S: Final = 0.0005
"""On a TLS connection between two routers, a frame: an estimate, of two ways through the kernel and
a turn of the daemon's loop."""

BLOCK_S: Final = (0.00005, 0.00015)
"""A binding of a transfer, beside LINK_S. On virtual routers 60 and 100 of them were moved, and on
the heir's disk, in 5 to 14 ms, most of which is a fixed part; so the thirty of a drill take as
long here (1 to 20 ms)."""

ROUTE_S: Final = (0.015, 0.030)
"""From a prefix in a member's kernel to the route in everybody else's, by OSPF with hellos of a
second: 24 ms, measured with `ip monitor`, eight times, all within 2 ms. The timers behind it are
`timers throttle spf 10` and nothing else (templates/linux/frr.conf.j2)."""

START_S: Final = (0.4, 1.0)
"""From the start of `hacc-agent` to a daemon that answers: Python, numpy, the journal."""

STOP_S: Final = (0.05, 0.2)
"""From SIGTERM to the end of the daemon: an estimate."""

RESTART_S: Final = 2.0
"""RestartSec of the unit (templates/linux/hacc-agent.service.j2): not measured, told."""

DIAL_S: Final = (0.2, 1.0)
"""Between two attempts of a controller to reach a member (SOONEST and LATEST of
hacc_agent/fleet.py): who is back is reached after one of them."""

BOOT_S: Final = (2.0, 4.0)
"""From the mains to the start of the daemons: an estimate for virtual routers. Those of metal take
minutes, which is for whoever rehearses a power cycle with them to know."""

ADJACENT_S: Final = (2.0, 5.0)
"""From the start of ospfd to a full adjacency: an estimate, of two hellos of a second and the
exchange of databases (RFC 2328, 10)."""

RTO_S: Final = 0.2
"""TCP sends again after this at the soonest (TCP_RTO_MIN of Linux), and then doubles it."""
