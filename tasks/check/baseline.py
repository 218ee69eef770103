"""What a run has found that an earlier one had not, and what has gone since."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ..errors import Exit, HaccError, Place, Problem
from ..findings import Area, Checked, Finding, from_json, worst_first


@dataclass(frozen=True, slots=True)
class Compared:
    """A run beside an earlier one. Findings are the same by their fingerprints."""

    name: str  # of the earlier run, or its file
    new: frozenset[str]  # fingerprints of what counts now and did not then
    gone: tuple[Finding, ...]  # what counted then; of routers that were judged now


def compare(
    name: str, before: Iterable[Finding], checked: Checked, areas: Collection[Area]
) -> Compared:
    """What was not looked at this time is not gone."""
    then = {one.fingerprint: one for one in before if one.counts}
    now = {one.fingerprint for one in checked.counting}
    judged = {*checked.hosts, ""}
    return Compared(
        name,
        frozenset(now - then.keys()),
        worst_first(
            one
            for fingerprint, one in then.items()
            if fingerprint not in now
            and (one.area in areas or one.area is Area.REACH)
            and (one.cluster in checked.clusters or not one.cluster)
            and judged.issuperset(one.host.split(", "))
        ),
    )


def exit_of(checked: Checked, compared: Compared | None) -> Exit:
    """Beside a baseline only what is new counts; who could not be asked always does."""
    if compared is None or checked.failed:
        return checked.exit
    return Exit.CHANGES if compared.new else Exit.OK


def read(path: Path) -> tuple[Finding, ...]:
    """The findings of a run that was kept with --json or --output."""
    try:
        return from_json(path.read_bytes()).findings
    except OSError as error:
        reason, hint = (error.strerror or str(error)).lower(), "keep one: hacc check -o FILE.json"
    except ValidationError as error:
        reason = f"is not what a check has found: {error.errors()[0]['msg'].lower()}"
        hint = "make it with: hacc check -o FILE.json"
    raise HaccError(Problem(Place(str(path), 0), "--baseline", reason, hint=hint)) from None
