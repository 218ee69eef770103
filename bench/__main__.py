"""`make bench`: every measurement, one after the other; the last line of each names the machine."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "intent", "render", "diff", "push", "lab_up", "provision", "wire", "cluster", "home_agent",
    "table", "replica", "failover_compute", "snmp", "relay", "failover", "hsrp", "dataplane",
    "fleet", "api",
)  # fmt: skip
ALONE = ("drills",)
"""What takes hours, and runs only when it is named."""


def main() -> int:
    chosen = sys.argv[1:] or BENCHMARKS
    known = (*BENCHMARKS, *ALONE)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        print(f"bench: no benchmark {', '.join(unknown)}; there are: {', '.join(known)}")
        return 1
    codes = []
    for name in chosen:
        print(f"\n== {name}", flush=True)
        code: int = importlib.import_module(f"{__package__}.{name}").main()
        codes.append(code)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
