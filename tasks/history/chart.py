"""Findings over runs, as a drawing that stands in a page by itself: no script, no style sheet.

A bar a check, from the left to the right in the order in which they were recorded: a clock that
went back moves no bar, it is marked. The worst stands at the bottom, where bars can be compared.
The colours are told apart by people who see few of them, and there is a second set for dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from ..findings import Severity
from .record import Summary

BARS: Final = 90  # as many as can be told apart at this width: the last ones are drawn
_SHOWN: Final = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR)  # what counts

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/): vermillion, orange, sky blue; on a
# dark page a little lighter, for 3:1 against it (WCAG 2.1, 1.4.11).
_STYLE: Final = """
.drift{--critical:#d55e00;--major:#e69f00;--minor:#56b4e9;--ink:#333;--line:#bbb;
font:12px system-ui,sans-serif}
@media(prefers-color-scheme:dark){.drift{--critical:#ff8a4c;--major:#ffc14d;--minor:#7cc8f5;
--ink:#ddd;--line:#555}}
.drift text{fill:var(--ink)}.drift line{stroke:var(--line)}
.drift .critical{fill:var(--critical)}.drift .major{fill:var(--major)}
.drift .minor{fill:var(--minor)}.drift .ok{fill:var(--line)}
.drift .back{stroke:var(--ink);stroke-dasharray:2 2}
"""

_WIDTH: Final = 720
_HEIGHT: Final = 190
_LEFT: Final = 44
_TOP: Final = 26
_FLOOR: Final = 160  # where the bars stand
_WIDEST: Final = 36
_CAPTION: Final = 125  # of `2026-11-23 20:10` at 12 px, and a gap


def drift_chart(checks: Sequence[Summary]) -> str:
    """An inline SVG of the last checks. Without any it says so."""
    drawn = checks[-BARS:]
    totals = [sum(one.findings.get(severity, 0) for severity in _SHOWN) for one in drawn]
    most = _round_up(max(totals, default=0))
    step = min(_WIDEST, (_WIDTH - _LEFT) / max(len(drawn), 1))
    parts = [
        f'<svg class="drift" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg" aria-labelledby="drift-title drift-story">',
        '<title id="drift-title">Findings over the checks</title>',
        f'<desc id="drift-story">{escape(_story(drawn, totals))}</desc>',
        f"<style>{_STYLE}</style>",
        *_legend(),
        *_scale(most),
    ]
    for number, (one, total) in enumerate(zip(drawn, totals, strict=True)):
        parts += _bar(one, total, most, _LEFT + number * step, step)
    if drawn:
        parts += _captions([one.started for one in drawn], _LEFT + len(drawn) * step)
    else:
        parts.append(f'<text x="{_WIDTH / 2:g}" y="100" text-anchor="middle">no checks yet</text>')
    return "\n".join([*parts, "</svg>"])


def _bar(one: Summary, total: int, most: int, left: float, step: float) -> list[str]:
    width = max(step * 0.8, 1.0)
    counts = ", ".join(f"{one.findings.get(s, 0)} {s}" for s in _SHOWN)
    said = f"{one.name}\n{_day(one.started)} UTC\n{counts}"
    if one.exit is None:
        said += "\ndid not end"
    if one.clock_went_back:
        said += "\nthe clock had gone back before it"
    parts = ["<g>", f"<title>{escape(said)}</title>"]
    if one.clock_went_back:
        x = left - step * 0.1
        parts.append(f'<line class="back" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_FLOOR}"/>')
    floor = float(_FLOOR)
    for severity in _SHOWN:
        count = one.findings.get(severity, 0)
        if count:
            high = count / most * (_FLOOR - _TOP)
            floor -= high
            parts.append(
                f'<rect class="{severity}" x="{left:.1f}" y="{floor:.1f}" width="{width:.1f}" '
                f'height="{high:.1f}"/>'
            )
    if not total:  # a check that found nothing was a check all the same
        parts.append(
            f'<rect class="ok" x="{left:.1f}" y="{_FLOOR - 2}" width="{width:.1f}" height="2"/>'
        )
    return [*parts, "</g>"]


def _legend() -> list[str]:
    parts = []
    for number, severity in enumerate(_SHOWN):
        x = _LEFT + number * 90
        parts.append(f'<rect class="{severity}" x="{x}" y="4" width="10" height="10"/>')
        parts.append(f'<text x="{x + 15}" y="13">{severity}</text>')
    return parts


def _scale(most: int) -> list[str]:
    parts = []
    for value in sorted({0, most // 2, most}):
        y = _FLOOR - value / most * (_FLOOR - _TOP)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    return parts


def _captions(started: Sequence[str], end: float) -> list[str]:
    """When the first and the last began; below few bars there is no room for both at their ends."""
    first, last = started[0], started[-1]
    if len(started) == 1:
        return [_caption(_LEFT, "start", _day(first))]
    if end - _LEFT < 2 * _CAPTION:
        return [_caption(_LEFT, "start", f"{_day(first)} to {_day(last)}")]
    return [_caption(_LEFT, "start", _day(first)), _caption(end, "end", _day(last))]


def _caption(x: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{_FLOOR + 18}" text-anchor="{anchor}">{text}</text>'


def _day(started: str) -> str:
    return started[:16].replace("T", " ")


def _story(drawn: Sequence[Summary], totals: Sequence[int]) -> str:
    if not drawn:
        return "No check has been recorded."
    return (
        f"{len(drawn)} checks from {_day(drawn[0].started)} to {_day(drawn[-1].started)} UTC; "
        f"findings in the first {totals[0]}, in the last {totals[-1]}, at most {max(totals)}."
    )


def _round_up(most: int) -> int:
    """The top of the scale: 2, 4, 10, 20, 40, 100 ...: even, so that the eye can halve it."""
    top, steps = 2, 0
    while top < most:
        top = top * 2 if steps % 3 != 1 else top * 5 // 2
        steps += 1
    return top
