"""A run of a drill as one page that stands by itself: no other file, no network, no script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hacc_agent.drills.phases import phases

from ..provenance import TEMPLATES
from .keeping import Run
from .picture import picture

COMPARED = 20  # runs before this one


def page(run: Run, before: Sequence[Run] = ()) -> bytes:
    """`before`: runs of the same drill, the oldest first. Everything is escaped but the drawing."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "report", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measured = run.measured
    after = {one.name: one for one in measured.after.members}
    text = environment.get_template("drill.html.j2").render(
        run=run,
        drill=run.drill,
        measured=measured,
        verdict=run.verdict,
        began=f"{datetime.fromtimestamp(measured.began, UTC):%Y-%m-%d %H:%M:%S} UTC",
        phases=phases(measured),
        picture=picture(measured),
        members=[(one, after[one.name]) for one in measured.before.members],
        runs=[*before[-COMPARED:], run],
    )
    return text.encode()
