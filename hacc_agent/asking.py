"""`hacc-agent status`, `bindings`, `resync`: what the daemon answers, for people or as JSON."""

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
        for name, fact in facts:
            print(f"{name:<9} {fact}")
        if told["members"]:
            print()
            _table(
                ("MEMBER", "BINDINGS", "PENDING", ""),
                [
                    (
                        each["name"],
                        str(each["bindings"]),
                        str(each["pending"]),
                        "backup" if each["backup"] else "",
                    )
                    for each in told["members"]
                ],
            )
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
