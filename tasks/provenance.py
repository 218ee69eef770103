"""Jinja templates whose every output line knows where it comes from.

A line of text carries two origins: the template's line, and the intent's lines whose values stand
in it. Both fall out of one trick, worked on the template before Jinja sees it:

* Each line of a template that prints something (all but those of block tags and comments alone)
  gets one filter at its end, `{{ N|_at }}`, that prints nothing and leaves a mark. Marks and output
  lines then match one to one, and `rendered_lines` refuses to go on when they do not.
* Every attribute that a template reads goes through `Environment.getattr`. The `place` of whoever
  is read, or found, is remembered until the next mark; where a field has a line of its own
  (`fields`), that one.

So templates obey three rules, kept by `source_rules` when they are loaded: a tag begins and ends on
one line, a line holds either block tags or text, and there are no macros, includes or blocks, whose
lines would be counted where they are called.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, pass_context
from jinja2.runtime import Context

from .errors import HaccError, Place, Problem
from .rendered import Line

TEMPLATES = Path(__file__).parent.parent / "templates"  # right in a checkout and in the wheel

_BLOCK = re.compile(r"\{%.*?%\}|\{#.*?#\}")
_FORBIDDEN = re.compile(r"\{%-?\s*(macro|include|import|from|call|block|extends|filter|raw)\b")
_OPEN = re.compile(r"\{[{%#]")
_CLOSE = re.compile(r"[}%#]\}")
_NONE = re.compile(r"""(?<![^\s="'/,;])None(?![^\s="'/,;])""")
OWNS = "!owns "  # a template's declaration of ownership, beside the lines that it is about


class RenderError(HaccError):
    """A template and a model do not fit: always a fault of ours, named by template and line."""


_Read = tuple[Place, bool]  # by a template: where it stands, and whether that is the field's own


@dataclass(frozen=True, slots=True)
class Output:
    """What one template made: its lines, and the ownership patterns that it declared."""

    lines: tuple[Line, ...]
    owns: tuple[str, ...]


def _refuse(name: str, line: int, message: str, hint: str = "") -> RenderError:
    return RenderError(Problem(Place(f"templates/{name}", line), "template", message, hint=hint))


def prints(text: str) -> bool:
    """Whether a line of a template makes a line of output (a blank one makes a blank one)."""
    return not (_BLOCK.search(text) and not _BLOCK.sub("", text).strip())


def source_rules(name: str, source: str) -> None:
    """Refuse a template whose lines could not be matched with its output."""
    for number, text in enumerate(source.splitlines(), 1):
        if len(_OPEN.findall(text)) != len(_CLOSE.findall(text)):
            raise _refuse(name, number, "a tag must begin and end on one line")
        if found := _FORBIDDEN.search(text):
            raise _refuse(name, number, f"'{found[1]}' moves lines away from where they are made")
        if prints(text) and _BLOCK.search(text):
            raise _refuse(
                name, number, "a line holds either block tags or text", "use {{ a if b }}"
            )


class _MarkingLoader(FileSystemLoader):
    """Gives each printing line its mark, and each mark its place."""

    def __init__(self, root: Path, places: list[Place]) -> None:
        super().__init__(root, encoding="utf-8")
        self._places = places

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        source, filename, uptodate = super().get_source(environment, template)
        source_rules(template, source)
        marked: list[str] = []
        for number, text in enumerate(source.splitlines(), 1):
            if prints(text):
                if text.endswith("{"):  # would read as the beginning of the tag that follows
                    text = text[:-1] + '{{ "{" }}'
                marked.append(f"{text}{{{{ {len(self._places)}|_at }}}}\n")
                self._places.append(Place(f"templates/{template}", number))
            else:
                marked.append(f"{text}\n")
        return "".join(marked), filename, uptodate


class TracingEnvironment(Environment):
    """A Jinja environment that knows which parts of the model a line was made from.

    One output is made at a time, under a lock: what was touched belongs to the whole environment,
    because Jinja gives `getattr` no context. Rendering holds the interpreter lock anyway.
    """

    def __init__(self, placed: frozenset[type], words: Mapping[str, Callable[..., object]]) -> None:
        self._places: list[Place] = []
        super().__init__(
            loader=_MarkingLoader(TEMPLATES, self._places),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # the output is router configuration; nothing here is HTML
            finalize=_no_none,
            auto_reload=False,
        )
        self._placed = placed
        self._keyed = frozenset(
            part for part in placed if "fields" in getattr(part, "__dataclass_fields__", ())
        )
        self._touched: list[_Read] = []
        self._marks: list[tuple[int, list[_Read]]] = []
        self._lock = threading.Lock()
        self.globals.update(words)
        self.filters["_at"] = self._mark

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read an attribute for a template, and remember whoever has a place."""
        try:
            value = getattr(obj, attribute)
        except AttributeError:
            return self.undefined(obj=obj, name=attribute)
        kind = type(obj)
        if kind in self._placed:
            own = obj.fields.of(attribute) if kind in self._keyed else None
            self._touched.append((own or obj.place, own is not None))
        if type(value) in self._placed:
            self._touched.append((value.place, False))
        return value

    @pass_context  # a filter costs half of a call, and one that takes the context is not folded
    def _mark(self, _: Context, number: int) -> str:
        self._marks.append((number, self._touched))
        self._touched = []
        return ""

    def output(self, name: str, context: Mapping[str, object], wholes: tuple[Place, ...]) -> Output:
        """Render the template `name`.

        `wholes` are the places of what the text as a whole is about, the largest first: they are
        an origin only where there is nothing nearer.
        """
        with self._lock:
            self._touched, self._marks = [], []
            try:
                text = self.get_template(name).render(context)
            except HaccError:
                raise
            except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise _refuse(name, _line_of(error, name), str(error)) from error
            marks, self._marks = self._marks, []
        lines = text.split("\n")
        if lines.pop() != "" or len(lines) != len(marks):
            raise _refuse(name, 0, f"{len(lines)} lines came out of {len(marks)} marked ones")
        return self._lines(name, lines, marks, wholes)

    def _lines(
        self,
        name: str,
        texts: list[str],
        marks: list[tuple[int, list[_Read]]],
        wholes: tuple[Place, ...],
    ) -> Output:
        lines: list[Line] = []
        owns: dict[str, None] = {}
        origin = wholes[:1]
        for text, (number, touched) in zip(texts, marks, strict=True):
            place = self._places[number]
            if "None" in text and _NONE.search(text):
                raise _refuse(name, place.line, f"None stands in the text: {text.strip()!r}")
            # A line with no value of its own stands there for the same reason as the one above.
            origin = _origin(touched, wholes) or origin
            if text.startswith(OWNS):
                owns[text.removeprefix(OWNS).strip()] = None
            else:
                lines.append(Line(text, place, origin))
        return Output(tuple(lines), tuple(owns))


def _origin(touched: list[_Read], wholes: tuple[Place, ...]) -> tuple[Place, ...]:
    """The places of what was read: fields' own in their order, then records, nearest first."""
    if not touched:
        return ()
    places = dict.fromkeys(place for place, own in touched if own)
    places |= dict.fromkeys(place for place, _ in reversed(touched))
    for whole in wholes:
        if len(places) > 1 and (whole, True) not in touched:
            places.pop(whole, None)
    return tuple(places)


def _no_none(value: object) -> object:
    if value is None:
        raise ValueError("the value is None")
    return value


def _line_of(error: Exception, name: str) -> int:
    """The template's line in which `error` arose, 0 where Jinja does not tell."""
    line = getattr(error, "lineno", 0) or 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
