"""`hacc-agent status`, `bindings`, `why` and so on: what the daemon answers, as text or as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .control import Refused, Unanswered, ask
from .places import RUNTIME

NOT_ANSWERED = 3  # the exit code for a router that failed
KNOWN = ("id", "at", "event")  # what every event has; an id is for programs
Line = Mapping[str, Any]


def status(config: Path, as_json: bool) -> int:
    return _asked(_ask(config, "status"), as_json, _print_status)


def bindings(
    config: Path, as_json: bool, *, mobile: str | None, member: str | None, limit: int
) -> int:
    """`mobile` is an address or an NAI, `limit` the most lines that are shown."""
    lines = _ask(config, "bindings", mobile=mobile, member=member, limit=limit)
    return _asked(lines, as_json, _print_bindings)


def resync(config: Path, as_json: bool, router: str | None) -> int:
    failed = False

    def noted() -> Iterable[Line]:
        nonlocal failed
        for line in _ask(config, "resync", router=router):
            failed |= bool(line["failure"])
            yield line

    code = _asked(noted(), as_json, _print_resync)
    return code or (NOT_ANSWERED if failed else 0)


def events(config: Path, as_json: bool, limit: int) -> int:
    return _asked(_ask(config, "events", limit=limit), as_json, _print_events)


def neighbours(config: Path, as_json: bool) -> int:
    return _asked(_ask(config, "neighbours"), as_json, _print_neighbours)


def dataplane(config: Path, as_json: bool, *, home: str | None, programs: bool) -> int:
    """`home` is a home address."""
    lines = _ask(config, "dataplane", home=home, programs=programs)
    return _asked(lines, as_json, _print_dataplane)


def why(config: Path, as_json: bool, mobile: str) -> int:
    return _asked(_ask(config, "why", mobile=mobile), as_json, _print_why)


def order(config: Path, as_json: bool, command: str, member: str) -> int:
    return _asked(_ask(config, command, member=member), as_json, _print_order)


def announce(config: Path, as_json: bool, drill: str, phase: str, what: str) -> int:
    lines = _ask(config, "announce", drill=drill, phase=phase, what=what)
    return _asked(lines, as_json, _print_announced)


def _ask(config: Path, command: str, **arguments: Any) -> Iterator[Line]:
    yield from ask(Path(_runtime_directory(config)), command, **arguments)


def _runtime_directory(config: Path) -> str:
    """Where the daemon of a file can be asked. Raises `Refused`.

    Read from the lines before the first table alone, and without judging them: there may be ten
    thousand mobile nodes below, and the daemon that runs has taken a file that was right.
    """
    try:
        head = config.read_text("utf-8", "replace").partition("\n[")[0]
    except OSError as error:
        raise Refused(f"{config}: {error.strerror}") from None
    if "runtime_directory" not in head:
        return RUNTIME
    import tomllib  # not by those who need not: it is a tenth of what a question costs

    try:
        return str(tomllib.loads(head).get("runtime_directory", RUNTIME))
    except tomllib.TOMLDecodeError:
        return RUNTIME


def _asked(lines: Iterable[Line], as_json: bool, show: Callable[[Iterable[Line]], None]) -> int:
    try:
        if as_json:
            for line in lines:  # one document a line: what `jq` takes, however many there are
                print(json.dumps(line))
        else:
            show(lines)
    except Unanswered as error:
        print(error, file=sys.stderr)
        return NOT_ANSWERED
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _print_status(lines: Iterable[Line]) -> None:
    for told in lines:
        since = datetime.fromtimestamp(told["since"], UTC)
        up = int(time.time() - told["since"])
        log = told["log"]
        leads = "leads" if log["leads"] else f"follows {log['follows'] or 'nobody yet'}"
        disk = log["trouble"] or f"safe on disk up to group {log['durable']}"
        facts = [
            ("router", f"{told['name']}, {told['role']} of {told['cluster']}"),
            (
                "running",
                f"{_span(up)}, since {since:%Y-%m-%d %H:%M:%S}Z, version {told['version']}",
            ),
            ("bindings", f"{told['bindings']} of {told['capacity']}, {told['pending']} pending"),
            ("log", f"{leads}, group {log['group']}, {disk}"),
            *(
                ("standby", f"{each['name']}, {each['behind']} groups behind")
                for each in log["followers"]
            ),
            ("memory", f"{told['memory_mib']} MiB"),
        ]
        if told["neighbours"]:
            facts.append(("LAN", _heard(told["neighbours"])))
        for name, fact in facts:
            print(f"{name:<9} {fact}")
        if told["members"]:
            print()
            _table(
                ("MEMBER", "STATE", "BINDINGS", "PENDING", "CPU", "FREE", "RATE", "SEEN", ""),
                [_member(each) for each in told["members"]],
            )
        if told["serves"]:
            _print_serves(told["serves"])
        print()
        _table(
            ("SOCKET", "RECEIVED", "SENT", "UNSENT", "OVERSIZED", "ODD"),
            [
                (
                    name,
                    *(str(each[key]) for key in ("received", "sent", "unsent", "oversized", "odd")),
                )
                for name, each in told["traffic"].items()
            ],
        )
        if told["dropped"]:
            print(f"{told['dropped']} were dropped by the kernel since they came too fast")
        counted = {name: n for name, n in told["counters"].items() if n}
        if counted:
            print()
            for name, count in counted.items():
                print(f"{name:<28} {count}")


def _member(told: Line) -> tuple[str, ...]:
    """A line of the table of members; what nobody knows is a dash."""
    figures = told["figures"] or {}

    def figure(name: str, unit: str) -> str:
        value = figures.get(name)
        return "-" if value is None else f"{value:.0f}{unit}"

    notes = ["backup"] if told["backup"] else []
    if told["kind"] == "linux" and not told["linked"]:
        notes.append("no link")
    if told["transferring"]:
        notes.append("bindings under way")
    if told["state"] != "up":
        notes.append(f"{told['why']}, for {_span(int(told['since_s']))}")
    return (
        *(told["name"], told["state"], str(told["bindings"]), str(told["pending"])),
        *(figure("cpu_percent", " %"), figure("memory_free_percent", " %")),
        figure("registrations_per_s", "/s"),
        f"{figures['age_s']:.1f}s" if figures else "-",
        "; ".join(notes),
    )


def _print_serves(told: Line) -> None:
    heard = ", ".join(f"{name} {age:.1f}s ago" for name, age in told["controllers"].items())
    print(f"{'obeys':<9} {told['obeys'] or 'nobody yet'}, epoch {told['epoch']}")
    print(f"{'hears':<9} {heard or 'no controller'}")
    print(f"{'serves':<9} {told['slots']} slots, {told['held']} held")
    print(f"{'announces':<9} {', '.join(told['announced']) or 'nothing'}")
    if told["time_ahead_s"]:
        print(
            f"{'time':<9} mobile nodes are told one {told['time_ahead_s']:.0f} s ahead of the clock"
        )


def _print_events(lines: Iterable[Line]) -> None:
    for told in lines:
        at = datetime.fromtimestamp(told["at"], UTC).isoformat(timespec="milliseconds")
        more = (f"{name}={value}" for name, value in told.items() if name not in KNOWN)
        print(" ".join((at, told["event"], *more)))


def _heard(told: Line) -> str:
    """How many of what: findings are named, and nothing is said of those that there are not."""
    words = [f"{told['expected']} heard"]
    words += [f"{len(told['awaited'])} awaited"] if told["awaited"] else []
    words += [f"{told['missing']} missing"] if told["missing"] else []
    words += [f"{told[name]} {name}s" for name in ("stranger", "impostor") if told[name]]
    if told["untold"]:
        words.append(f"{told['untold']} messages of more strangers")
    return ", ".join(words)


def _print_neighbours(lines: Iterable[Line]) -> None:
    rows, members = [], []
    for told in lines:
        if "member" in told:
            strangers = [f"{each['name']} ({each['address']})" for each in told["strangers"]]
            notes = [told["why"], *(f"a stranger: {each}" for each in strangers)]
            sees = ", ".join(told["sees"]) or "-"
            proof = told["proof"] or "not proven"
            members.append((told["member"], proof, sees, "; ".join(filter(None, notes))))
            continue
        says = told["says"] or {}
        cpu, free = says.get("cpu_percent"), says.get("memory_free_percent")
        rows.append(
            (
                *(told["router"] or "-", told["lan"], told["address"], told["mac"] or "-"),
                says.get("role", "-"),
                says.get("state", "-"),
                str(says.get("bindings", "-")),
                "-" if cpu is None else f"{cpu} %",
                "-" if free is None else f"{free} %",
                "-" if told["seen_s"] is None else f"{told['seen_s']:.1f}s",
                ": ".join(filter(None, (told["verdict"], told["why"]))),
            )
        )
    head = ("ROUTER", "LAN", "ADDRESS", "MAC", "ROLE", "STATE", "BINDINGS", "CPU", "FREE", "SEEN")
    if rows:
        _table((*head, ""), rows)
    else:
        print("nobody yet")
    if members:
        print()
        _table(("MEMBER", "ON THE LAN", "SEES", ""), members)


def _print_dataplane(lines: Iterable[Line]) -> None:
    rows = []
    programs = []
    for told in lines:
        if "how" in told:
            print(f"packets are moved by {told['how']}")
            for name in told["missing"]:
                print(f"there is no interface {name}")
        elif "home" in told:
            print(f"{told['home']}: {told['leads'] or 'nowhere'}")
        elif "program" in told:
            programs.append(told)
        else:
            name = told["packets"] if "packets" in told else f"to {told['member']}"
            rows.append((name, f"{told['count']:,}", f"{told['octets']:,}"))
    print()
    _table(("PACKETS", "COUNT", "OCTETS"), rows)
    for told in programs:
        print(f"\n{told['program']}")
        print("\n".join(told["lines"]))


def _print_why(lines: Iterable[Line]) -> None:
    rows = []
    for told in lines:
        if "candidate" in told:
            verdict = told["not"] or ("a new one goes here" if told["chosen"] else "")
            rows.append(
                (
                    *(told["candidate"], told["state"], f"{told['load']:.4f}"),
                    f"{told['served']} of {told['capacity']}",
                    "backup" if told["backup"] else "",
                    verdict,
                )
            )
        elif told["member"] is None:
            print(f"{told['mobile']} is not known: the least loaded member gets it")
        else:
            moved = told["slot_of"] != told["member"]
            home = f", a slot of {told['slot_of']}" if moved else ""
            print(f"{told['mobile']} is {told['state']} in slot {told['slot']}{home}:")
            print(f"{told['member']} serves that slot, so it serves the mobile node")
    print()
    _table(("MEMBER", "STATE", "LOAD", "SERVES", "", "NEW MOBILE NODES"), rows)


def _print_order(lines: Iterable[Line]) -> None:
    for told in lines:
        follows = "" if told["decides"] else "; another controller decides now: tell it too"
        print(f"{told['member']}: {told['order']}{follows}")


def _print_announced(lines: Iterable[Line]) -> None:
    for told in lines:
        print(" ".join(filter(None, ("drill", told["drill"], told["phase"], told["what"]))))


def _print_bindings(lines: Iterable[Line]) -> None:
    rows, more = [], False
    for told in lines:
        if "more" in told:
            more = True
            continue
        left = "" if told["left_s"] is None else _span(told["left_s"])
        rows.append(
            (
                told["home_address"],
                told["nai"],
                told["care_of_address"],
                told["member"] or "",
                told["state"],
                left,
                ",".join([*told["flags"], *told["traits"]]),
            )
        )
    if not rows:
        print("no binding")
        return
    _table(("HOME ADDRESS", "NAI", "CARE-OF ADDRESS", "MEMBER", "STATE", "LEFT", "WITH"), rows)
    if more:
        print("there are more [hint: --limit N]")


def _print_resync(lines: Iterable[Line]) -> None:
    for told in lines:
        failure = f", then: {told['failure']}" if told["failure"] else ""
        print(f"{told['router']}: {told['bindings']} bindings{failure}", flush=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _span(seconds: int) -> str:
    """91 -> 1m31s."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
