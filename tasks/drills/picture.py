"""A run as a drawing that stands in a page by itself: no script, no style sheet of another's.

From the top: the faults, each as long as it lasted; a lane for each router, with what it told at
its moment; the traffic, with what was lost of it. The colours are those of the checks' chart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from hacc_agent.drills.measured import Bin, Happening, Measured, Struck
from hacc_agent.drills.phases import DETECTED, ORDERED, phases

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), as in `history.chart`.
_STYLE: Final = """
.drill{--fault:#d55e00;--told:#0072b2;--role:#8a5a00;--passed:#009e73;--lost:#d55e00;--ink:#333;
--line:#bbb;font:12px system-ui,sans-serif}
@media(prefers-color-scheme:dark){.drill{--fault:#ff8a4c;--told:#7cc8f5;--role:#ffc14d;
--passed:#4fd0a8;--lost:#ff8a4c;--ink:#ddd;--line:#555}}
.drill text{fill:var(--ink)}.drill line{stroke:var(--line)}
.drill .fault{fill:var(--fault)}.drill .told{fill:var(--told)}.drill .role{fill:var(--role)}
.drill .passed{fill:var(--passed)}.drill .lost{fill:var(--lost)}
.drill .phase{fill:none;stroke:var(--ink)}
"""

_WIDTH: Final = 720
_LEFT: Final = 90
_RIGHT: Final = 24  # half of the last second's caption
_LANE: Final = 22
_TRAFFIC: Final = 70
_TOP: Final = 14
_STEPS_S: Final = (1, 2, 5, 10, 20, 60, 120, 300)
_TICKS: Final = 12  # that there is room for


def picture(measured: Measured) -> str:
    """An inline SVG."""
    return "\n".join(_Drawing(measured).parts())


class _Drawing:
    def __init__(self, measured: Measured) -> None:
        self._run = measured
        self._seconds = max(measured.seconds, 0.1)
        self._routers = list(dict.fromkeys(one.router for one in measured.events))

    def parts(self) -> Iterator[str]:
        run = self._run
        lanes = len(run.struck) + len(self._routers)
        floor = _TOP + lanes * _LANE + _TRAFFIC
        yield (
            f'<svg class="drill" role="img" viewBox="0 0 {_WIDTH} {floor + 40}" '
            'xmlns="http://www.w3.org/2000/svg" aria-labelledby="drill-title drill-story">'
        )
        yield f'<title id="drill-title">Timeline of {escape(run.drill)}</title>'
        yield f'<desc id="drill-story">{escape(_story(run))}</desc>'
        yield f"<style>{_STYLE}</style>"
        yield from self._scale(floor)
        y = _TOP
        for struck in run.struck:
            yield from self._fault(struck, y)
            y += _LANE
        for router in self._routers:
            yield f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(router)}</text>'
            for event in run.events:
                if event.router == router:
                    yield from self._event(event, y)
            y += _LANE
        yield from self._traffic(run.course, floor)
        yield "</svg>"

    def _x(self, at_s: float) -> float:
        inside = min(max(at_s, 0.0), self._seconds)
        return _LEFT + inside / self._seconds * (_WIDTH - _LEFT - _RIGHT)

    def _scale(self, floor: int) -> Iterator[str]:
        step = next(
            (s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if self._seconds / s <= 12), 1000
        )
        for second in range(0, int(self._seconds) + 1, step):
            x = self._x(second)
            yield f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{floor}"/>'
            yield f'<text x="{x:.1f}" y="{floor + 16}" text-anchor="middle">{second} s</text>'

    def _fault(self, struck: Struck, y: int) -> Iterator[str]:
        end = self._seconds if struck.end_s is None else struck.end_s
        left = self._x(struck.begin_s)
        width = max(self._x(end) - left, 3.0) if struck.lasts else 3.0
        lasted = "to the end" if struck.end_s is None else f"to {struck.end_s:.2f} s"
        lasted = lasted if struck.lasts else "at once"
        said = f"{struck.fault} ({', '.join(struck.routers)}), {struck.begin_s:.2f} s {lasted}"
        yield f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{_kind(struck)}</text>'
        yield (
            f'<rect class="fault" x="{left:.1f}" y="{y + 4}" width="{width:.1f}" height="12">'
            f"<title>{escape(said)}</title></rect>"
        )

    def _event(self, event: Happening, y: int) -> Iterator[str]:
        noticed = event.event in (*DETECTED, ORDERED)
        kind = "fault" if noticed else "role" if "controller" in event.event else "told"
        details = ", ".join(f"{name} {value}" for name, value in event.details.items())
        yield (
            f'<circle class="{kind}" cx="{self._x(event.at_s):.1f}" cy="{y + 11}" r="4">'
            f"<title>{escape(f'{event.at_s:.3f} s  {event.event}  {details}')}</title></circle>"
        )

    def _traffic(self, course: Sequence[Bin], floor: int) -> Iterator[str]:
        yield f'<text x="{_LEFT - 8}" y="{floor - 4}" text-anchor="end">packets</text>'
        most = max((one.sent for one in course), default=0)
        if not most:
            return
        for number, one in enumerate(course):
            following = course[number + 1].at_s if number + 1 < len(course) else self._seconds
            left, right = self._x(one.at_s), self._x(following)
            passed = one.answered / most * (_TRAFFIC - 10)
            lost = (one.sent - one.answered) / most * (_TRAFFIC - 10)
            width = max(right - left, 0.5)
            yield (
                f'<rect class="passed" x="{left:.1f}" y="{floor - passed:.1f}" '
                f'width="{width:.1f}" height="{passed:.1f}"/>'
            )
            if lost:
                yield (
                    f'<rect class="lost" x="{left:.1f}" y="{floor - passed - lost:.1f}" '
                    f'width="{width:.1f}" height="{lost:.1f}">'
                    f"<title>{one.at_s:.1f} s: {one.sent - one.answered} of {one.sent} lost"
                    "</title></rect>"
                )


def _kind(struck: Struck) -> str:
    return escape(struck.fault.partition(" ")[0])


def _story(run: Measured) -> str:
    told = [f"{one.fault} at {one.begin_s:.1f} s" for one in run.struck]
    told += [f"{one.name} took {one.ms:.0f} ms" for one in phases(run)]
    told.append(f"{run.packets.sent - run.packets.answered} of {run.packets.sent} packets lost")
    return f"{run.drill}, {run.seconds:.0f} s: {'; '.join(told)}."
