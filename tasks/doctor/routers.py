"""The routers: what each must have so that a change can be made, taken back, and timed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from ..devices.fleet import Failure, Fleet
from ..devices.router import Router
from ..rendered import Platform
from ..running import Running
from .symptom import Symptom, advice, good, unknown, wrong

# RFC 5944 section 5.7.1: registrations whose timestamps are further off are refused, by default.
SKEW_S: Final = 7.0
ROOM: Final = 1_000_000  # octets of an IOS router's flash: its configuration, some times over
LINUX_ROOM_KB: Final = 50_000  # for the files before a change, and FRR's own
PYTHON: Final = (3, 11)

# Printed one a line as NAME VALUE; a program that is missing prints its name alone.
QUESTION: Final = """
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL
echo uid $(id -u)
echo now $(date +%s.%N)
for program in ip nft vtysh snmpd systemctl hacc-agent keepalived tar; do
echo program-$program $(command -v $program); done
echo python $(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
echo free $(df -Pk /etc 2>/dev/null | awk 'NR == 2 {print $4}')
"""
# What a Linux router cannot do without, and Debian's package.
_NEEDED: Final = {
    "ip": "apt install iproute2",
    "nft": "apt install nftables",
    "vtysh": "apt install frr frr-pythontools",
    "snmpd": "apt install snmpd",
    "systemctl": "a Linux with systemd",
    "hacc-agent": "pip install hacc, and hacc-agent in /usr/local/bin",
    "tar": "apt install tar",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a router said, and this machine's clock in the middle of it."""

    platform: Platform
    running: Running | None  # IOS
    texts: dict[str, str]
    at: datetime  # UTC


def ask(platform: Platform, router: Router, now: Callable[[], datetime]) -> Answers:
    """One visit. Changes nothing."""
    if platform is Platform.LINUX:
        before = now()
        text = router.run(QUESTION)
        return Answers(platform, None, {"": text}, before + (now() - before) / 2)
    running = router.fetch(())
    privilege = router.run("show privilege")
    before = now()
    clock = router.run("show clock")
    at = before + (now() - before) / 2
    return Answers(platform, running, {"privilege": privilege, "clock": clock}, at)


def ask_all(fleet: Fleet, platforms: dict[str, Platform]) -> dict[str, Answers | Failure]:
    def visit(router: Router, host: str) -> Answers:
        return ask(platforms[host], router, lambda: datetime.now(UTC))

    return dict(fleet.run(visit, [*platforms]))


def judge(host: str, answers: Answers | Failure) -> Iterator[Symptom]:
    """What a router's answers mean."""
    if isinstance(answers, Failure):
        for problem in answers.error.problems:
            yield wrong(host, "reach", problem.message, problem.hint)
        return
    yield good(host, "reach", "reached and logged in")
    if answers.platform is Platform.LINUX:
        yield from _linux(host, answers)
    else:
        yield from _ios(host, answers)


# ------------------------------------------------------------------ IOS

# `*09:30:05.123 UTC Mon Nov 23 2026`: `*` no source is trusted, `.` the source was lost.
_CLOCK: Final = re.compile(
    r"(?P<sign>[*.]?)(?P<time>\d\d:\d\d:\d\d)(?:\.\d+)? (?P<zone>\S+) \w{3} "
    r"(?P<date>\w{3} +\d{1,2} \d{4})"
)


def _ios(host: str, answers: Answers) -> Iterator[Symptom]:
    level = re.search(r"privilege level is (\d+)", answers.texts["privilege"])
    if level is None:
        yield unknown(host, "privilege", answers.texts["privilege"].strip() or "no answer")
    elif level[1] != "15":
        yield wrong(host, "privilege", f"level {level[1]}",
                    "level 15, or an enable secret: data: {enable: \"env:NAME\"}")  # fmt: skip
    else:
        yield good(host, "privilege", "level 15")
    assert answers.running is not None
    if answers.running.revert_timer:
        yield good(host, "way back", "archive is configured: changes are armed by a revert timer")
    else:
        yield advice(
            host,
            "way back",
            "no archive: a change is taken back by inverse commands, if the router can be reached",
            "archive / path flash:hacc-archive / maximum 5 (configure terminal, then write memory)",
        )
    free = answers.running.free_flash
    if free is None:
        yield advice(host, "flash", "none: backups are kept on this machine alone", "a flash card")
    elif free < ROOM:
        yield wrong(host, "flash", f"{free} octets free", "dir flash:, then delete /force")
    else:
        yield good(host, "flash", f"{free // 1_000_000} MB free")
    yield _ios_clock(host, answers.texts["clock"], answers.at)


def _ios_clock(host: str, text: str, at: datetime) -> Symptom:
    found = _CLOCK.search(text)
    if found is None:
        return unknown(host, "clock", text.strip() or "no answer")
    if found["zone"] not in ("UTC", "GMT"):
        return unknown(host, "clock", f"shown in {found['zone']}: {text.strip()}")
    moment = datetime.strptime(f"{found['date']} {found['time']} +0000", "%b %d %Y %H:%M:%S %z")
    skew = (moment - at.replace(microsecond=0)).total_seconds()
    kept = "" if not found["sign"] else "; no source that it trusts keeps it"
    return _skew(host, skew, kept)


def _skew(host: str, skew: float, kept: str = "") -> Symptom:
    if abs(skew) > SKEW_S:
        word = "ahead of" if skew > 0 else "behind"
        return wrong(
            host,
            "clock",
            f"{abs(skew):.0f} s {word} this machine{kept}: registrations by timestamp are refused",
            "NTP on both: ntp server ADDRESS, or chrony",
        )
    if kept:
        return advice(host, "clock", f"right{kept}", "ntp server ADDRESS")
    return good(host, "clock", f"within {SKEW_S:.0f} s of this machine's")


# ------------------------------------------------------------------ Linux


def _linux(host: str, answers: Answers) -> Iterator[Symptom]:
    said = dict(line.partition(" ")[::2] for line in answers.texts[""].splitlines())
    bad, fine = partial(wrong, host), partial(good, host)
    uid = said.get("uid", "")
    if uid == "0":
        yield fine("privilege", "root")
    else:
        yield bad("privilege", f"user id {uid or 'unknown'}", "log in as root, with a key")
    for program, remedy in _NEEDED.items():
        path = said.get(f"program-{program}", "").strip()
        if path:
            yield fine(f"program {program}", path)
        else:
            yield bad(f"program {program}", "is not there", remedy)
    yield _linux_python(host, said.get("python", "").strip())
    free = said.get("free", "").strip()
    if not free.isdigit():
        yield unknown(host, "disk", "df does not say")
    elif int(free) < LINUX_ROOM_KB:
        yield bad("disk", f"{int(free) // 1000} MB free at /etc", "make room")
    else:
        yield fine("disk", f"{int(free) // 1000} MB free at /etc")
    try:
        skew = float(said.get("now", "")) - answers.at.timestamp()
    except ValueError:
        yield unknown(host, "clock", "date does not say")
    else:
        yield _skew(host, skew)


def _linux_python(host: str, found: str) -> Symptom:
    wanted = ".".join(map(str, PYTHON))
    if not found:
        return advice(host, "Python", "no python3 in the path: hacc-agent brings its own, or not",
                      f"Python {wanted} or later")  # fmt: skip
    if tuple(map(int, found.split("."))) < PYTHON:
        return wrong(host, "Python", found, f"hacc-agent needs {wanted} or later")
    return good(host, "Python", found)
