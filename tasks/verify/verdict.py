"""What was asserted, of whom, what was seen, what to do: a value, as JSON and as plain lines."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import Place


class Status(enum.StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # cannot be asserted here, and the reason is said
    WAITING = "waiting"  # not so yet, and nothing is wrong: it is on its way


@dataclass(frozen=True, slots=True)
class Result:
    """One check of one router (or of a set of routers, when the subject is theirs together).

    Check, host and subject name the same claim whatever its status: a run compares before and
    after by them.
    """

    check: str
    host: str  # "hacc1", or "hacc1, hacc2"
    subject: str  # what is asserted about: "198.18.1.254", "OSPF to ha1"
    status: Status
    expected: str
    observed: str
    place: Place | None = None  # the intent that wants it so
    hint: str = ""
    lasting: bool = False  # failed, and will not come right by itself whatever its check may do

    @property
    def told(self) -> str:
        """What it says, whoever it says it of."""
        text = f"{self.subject}: {self.observed}"
        if self.status is not Status.PASSED:
            text += f" (expected {self.expected}" + (f", {self.place})" if self.place else ")")
        return f"{text} [hint: {self.hint}]" if self.hint else text

    def __str__(self) -> str:
        return _line(self, (self.host,))


def _line(result: Result, hosts: Iterable[str]) -> str:
    return f"{result.status:<7} {result.check:<12} {', '.join(hosts)}: {result.told}"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a check asserts, before anything was looked at; each method is one way it can end."""

    check: str
    host: str
    subject: str
    expected: str
    place: Place | None

    def _result(self, status: Status, observed: str, hint: str = "") -> Result:
        return Result(
            self.check,
            self.host,
            self.subject,
            status,
            self.expected,
            observed,
            self.place,
            hint,
        )

    def passed(self, observed: str) -> Result:
        return self._result(Status.PASSED, observed)

    def failed(self, observed: str, hint: str = "", *, lasting: bool = False) -> Result:
        result = self._result(Status.FAILED, observed, hint)
        return dataclasses.replace(result, lasting=lasting)

    def skipped(self, reason: str) -> Result:
        return self._result(Status.SKIPPED, reason)

    def waiting(self, observed: str) -> Result:
        return self._result(Status.WAITING, observed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that was asserted about a cluster. Good when nothing failed."""

    cluster: str
    results: tuple[Result, ...]
    rounds: int  # how often the routers were asked
    seconds: float  # from the first question to the verdict

    @property
    def ok(self) -> bool:
        """Nothing failed. What is skipped or still waiting is not called good: it is listed."""
        return not self.of(Status.FAILED)

    @property
    def settled(self) -> bool:
        """Nothing failed, and nothing is still on its way."""
        return self.ok and not self.of(Status.WAITING)

    def of(self, status: Status) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.status is status)

    def counts(self) -> dict[str, int]:
        seen = Counter(result.status for result in self.results)
        return {str(status): seen[status] for status in Status}

    def lines(self, *, everything: bool = False) -> list[str]:
        """Plain text: first a line that sums up, then what did not pass, the failed first."""
        counted = ", ".join(f"{count} {status}" for status, count in self.counts().items() if count)
        said = [f"{self.cluster}: {counted or 'nothing to check'} in {self.seconds:.1f} s"]
        shown = (Status.FAILED, Status.WAITING, Status.SKIPPED)
        for status in (*shown, Status.PASSED) if everything else shown:
            same: dict[tuple[str, str], list[Result]] = {}
            for result in self.of(status):  # what is true of several routers is one line
                same.setdefault((result.check, result.told), []).append(result)
            said += [_line(alike[0], (one.host for one in alike)) for alike in same.values()]
        return said

    def to_json(self) -> dict[str, object]:
        return {
            "cluster": self.cluster,
            "ok": self.ok,
            "settled": self.settled,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 3),
            "counts": self.counts(),
            "results": [
                {
                    "check": result.check,
                    "host": result.host,
                    "subject": result.subject,
                    "status": str(result.status),
                    "expected": result.expected,
                    "observed": result.observed,
                    "place": str(result.place) if result.place else None,
                    "hint": result.hint,
                }
                for result in self.results
            ],
        }
