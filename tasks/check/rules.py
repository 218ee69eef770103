"""The standards of the house as data: `inventory/rules/*.yaml`, after those that come with hacc.

A rule asserts something of the intent, by an expression over the compiled model, or of the text of
a router, by what must and must not stand in it:

    rules:
      - id: hsrp-md5
        sentence: HSRP groups authenticate with MD5.
        severity: major                  # critical, major, minor, info
        reason: A text password is read off the LAN.
        remedy: "authentication: {md5: env:KEY}, in the intent's redundancy"
        role: [controller, home-agent]   # and `platform`: to whom it applies; without, to all
        each: device.groups              # one finding for each item, which is called `it`
        when: it.protocol == 'hsrp'      # the items that it is about
        subject: it.name
        require: it.authentication and it.authentication.method == 'md5'
      - id: no-telnet
        ...
        platform: ios
        section: line vty .*             # in each section that begins so; without, in all lines
        must: transport input ssh
        must_not: transport input .*telnet.*

Patterns are Python's and match whole lines without their indentation. Expressions are Jinja's, in
its sandbox: they see `device` and `cluster` (tasks/model.py), and `it`. A site's rule takes the
place of ours with the same id. Everything that is wrong is told before any router is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined
from jinja2.environment import TemplateExpression
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .. import yamlmarks
from ..errors import HaccError, Place, Problem
from ..findings import Severity
from ..model import Role
from ..provenance import TEMPLATES
from ..render import RECIPES
from ..rendered import Platform
from . import reading
from .reading import Entry

OURS: Final = TEMPLATES / "rules"
_EXPRESSIONS: Final = ("each", "when", "require", "subject")
_PATTERNS: Final = ("section", "must", "must_not")
_KEYS: Final = (
    "id", "sentence", "severity", "reason", "remedy", "platform", "role", "file",
    *_EXPRESSIONS, *_PATTERNS,
)  # fmt: skip
_LIMITS: Final = ("certificate_days", "versions")
FILES: Final = tuple(recipe.path for recipes in RECIPES.values() for recipe in recipes)
PROGRAMS: Final = ("ios", "frr", "agent")  # of which a version is known


class RuleError(HaccError):
    """A rule cannot be read, or its expression does not fit the model."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A sentence of Jinja's about a model. It travels as text, and is compiled where it is used."""

    text: str
    place: Place

    def of(self, **names: object) -> Any:
        """Its value. Raises RuleError, with its place, where it does not fit the model."""
        try:
            value = _compiled(self.text)(**names)
            # An undefined value complains when it is used, and to be the answer is no use yet.
            return str(value) if isinstance(value, Undefined) else value
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise RuleError(
                Problem(
                    self.place,
                    self.text,
                    f"does not fit the model: {error}",
                    hint="tasks/model.py has the names of device and cluster",
                )
            ) from None


_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined)


@functools.cache
def _compiled(text: str) -> TemplateExpression:
    return _SANDBOX.compile_expression(text, undefined_to_none=False)


@dataclass(frozen=True, slots=True)
class OfModel:
    """What a rule wants of the intent."""

    require: Expression
    each: Expression | None
    when: Expression | None
    subject: Expression | None


@dataclass(frozen=True, slots=True)
class OfText:
    """What a rule wants of a text that a router holds. An empty pattern asks for nothing."""

    file: str
    section: str
    must: str
    must_not: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the standards."""

    id: str
    sentence: str
    severity: Severity
    reason: str
    remedy: str
    platforms: tuple[str, ...]  # none: all
    roles: tuple[str, ...]
    wants: OfModel | OfText
    place: Place


@dataclass(frozen=True, slots=True)
class Limits:
    """What is not a matter of a router's text: how long certificates must hold, which versions."""

    certificate_days: int = 30
    versions: tuple[tuple[str, str], ...] = ()  # program -> a pattern of what is allowed
    place: Place = field(default=Place("", 0))


@dataclass(frozen=True, slots=True)
class Rules:
    """All of them, each id once."""

    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()


def load_rules(folder: Path, *, required: bool = False) -> Rules:
    """Ours, and those of a site. Raises RuleError with all that is wrong in all the files."""
    problems: list[Problem] = []
    if required and not folder.is_dir():
        raise RuleError(Problem(Place(str(folder), 0), "rules", "no such folder"))
    by_id: dict[str, Rule] = {}
    limits = Limits()
    for place in (OURS, folder):
        own: dict[str, Rule] = {}
        for path in sorted(place.glob("*.yaml")):
            data = reading.load(path, problems)
            reading.top(data, ("rules", "limits"), problems)
            for rule in _rules(reading.entries(data, "rules", _KEYS, problems), problems):
                if rule.id in own:
                    problems.append(_twice(rule, own[rule.id]))
                own.setdefault(rule.id, rule)
            if "limits" in data:
                limits = _limits(data, limits, problems)
        by_id |= own
    if problems:
        raise RuleError(problems)
    return Rules(tuple(by_id.values()), limits)


def _twice(rule: Rule, first: Rule) -> Problem:
    return Problem(
        rule.place,
        "id",
        f"{rule.id!r} is the id of two rules",
        hint="rename one of them",
        also=(first.place,),
    )


def _rules(entries: Iterable[Entry], problems: list[Problem]) -> Sequence[Rule]:
    found = []
    for entry in entries:
        before = len(problems)
        rule = _rule(entry)
        if len(problems) == before and rule is not None:
            found.append(rule)
    return found


def _rule(entry: Entry) -> Rule | None:
    severity = entry.word("severity", [*Severity], "")
    wants = _wants(entry)
    platforms = entry.words("platform", [*Platform])
    if isinstance(wants, OfText) and not wants.file and platforms != (Platform.IOS,):
        entry.wrong("file", "missing", "the path of a file of ours", "or apply it to platform: ios")
    rule_id = entry.text("id", required=True)
    sentence, reason, remedy = (
        entry.text(key, required=True) for key in ("sentence", "reason", "remedy")
    )
    roles = entry.words("role", [*Role])
    if wants is None or not severity:
        return None
    return Rule(
        rule_id,
        sentence,
        Severity(severity),
        reason,
        remedy,
        platforms,
        roles,
        wants,
        entry.at("id"),
    )


def _wants(entry: Entry) -> OfModel | OfText | None:
    of_model = [key for key in _EXPRESSIONS if entry.has(key)]
    of_text = [key for key in (*_PATTERNS, "file") if entry.has(key)]
    if of_model and of_text:
        entry.wrong(of_text[0], f"stands beside {of_model[0]}", "expressions, or patterns")
        return None
    if of_model:
        each, when, require, subject = (_expression(entry, key) for key in _EXPRESSIONS)
        if require is None:
            if not entry.has("require"):
                entry.wrong("require", "missing", "an expression that is true of what is right")
            return None
        return OfModel(require, each, when, subject)
    section, must, must_not = (entry.pattern(key) for key in _PATTERNS)
    if not (entry.has("must") or entry.has("must_not")):
        entry.wrong("require", "the rule asserts nothing", "require, must, or must_not")
        return None
    # Others are not fetched: a rule about one would never find anything.
    file = entry.word("file", FILES, "") if entry.has("file") else ""
    return OfText(file, section, must, must_not)


def _expression(entry: Entry, key: str) -> Expression | None:
    text = entry.text(key)
    if not text:
        return None
    try:
        _compiled(text)
    except TemplateSyntaxError as error:
        said = (error.message or "").replace("'end of template'", "end")
        entry.wrong(key, f"{text!r} is no expression: {said}")
        return None
    return Expression(text, entry.at(key))


def _limits(data: yamlmarks.Mapping, before: Limits, problems: list[Problem]) -> Limits:
    if not isinstance(data["limits"], yamlmarks.Mapping):
        problems.append(
            Problem(data.at("limits"), "limits", "found no mapping", ", ".join(_LIMITS))
        )
        return before
    entry = Entry(data["limits"], "limits", problems, _LIMITS)
    days = entry.number("certificate_days", before.certificate_days)
    versions = dict(before.versions)
    if entry.has("versions"):
        written = data["limits"]["versions"]
        if isinstance(written, yamlmarks.Mapping):
            programs = Entry(written, "limits.versions", problems, PROGRAMS)
            versions |= {name: programs.pattern(name) for name in PROGRAMS if programs.has(name)}
        else:
            entry.wrong("versions", f"found {written!r}", f"patterns by {', '.join(PROGRAMS)}")
    return Limits(days, tuple(sorted(versions.items())), data.at("limits"))
