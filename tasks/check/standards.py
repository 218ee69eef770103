"""Do intent and configuration keep to the rules of the house (`rules`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..diff import sealed
from ..errors import Place, Problem
from ..findings import Area, DeviceLine, Finding
from ..model import ClusterModel, DeviceModel
from ..platforms import ios
from ..rendered import File, Platform, Rendered
from ..running import Running
from ..tree import Node, parse
from ..whole import Sealer
from .rules import Expression, OfModel, OfText, Rule, RuleError
from .spoken import without_place


def of_intent(clusters: Iterable[ClusterModel], rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """What the models themselves are not. Asks nobody.

    What is true of several routers for one reason is one finding of all of them.
    Raises RuleError with every expression that does not fit the models.
    """
    found: list[Finding] = []
    problems: dict[Problem, None] = {}
    for cluster in clusters:
        for device in cluster.devices:
            for rule in rules:
                if isinstance(rule.wants, OfModel) and _applies(rule, device):
                    try:
                        found += _of_model(cluster, device, rule, rule.wants)
                    except RuleError as error:
                        problems |= dict.fromkeys(error.problems)
    if problems:
        raise RuleError(problems)
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for one in found:
        alike.setdefault((one.rule, one.cluster, one.subject), []).append(one)
    return tuple(
        replace(ones[0], host=", ".join(dict.fromkeys(one.host for one in ones)))
        for ones in alike.values()
    )


def _applies(rule: Rule, device: DeviceModel) -> bool:
    return (not rule.platforms or device.platform in rule.platforms) and (
        not rule.roles or device.role in rule.roles
    )


def _of_model(
    cluster: ClusterModel, device: DeviceModel, rule: Rule, wants: OfModel
) -> Iterator[Finding]:
    names: dict[str, object] = {"cluster": cluster, "device": device, "it": device}
    items = (device,) if wants.each is None else _items(wants.each, names)
    for item in items:
        names["it"] = item
        if wants.when is not None and not wants.when.of(**names):
            continue
        if not wants.require.of(**names):
            subject = str(wants.subject.of(**names)) if wants.subject else ""
            place = getattr(item, "place", None)
            yield _finding(
                rule, device, subject, place if isinstance(place, Place) else device.place
            )


def _items(each: Expression, names: Mapping[str, object]) -> tuple[object, ...]:
    value = each.of(**names)
    try:
        return tuple(value)
    except TypeError:
        raise RuleError(
            Problem(each.place, each.text, f"is not a list, but {type(value).__name__}")
        ) from None


def of_text(
    device: DeviceModel,
    rendered: Rendered,
    running: Running,
    opened: Mapping[str, str],
    rules: Iterable[Rule],
) -> Iterator[Finding]:
    """What stands in a router's texts, ours or not, and should not; or does not, and should."""
    texts: dict[str, _Text] = {}
    for rule in rules:
        if not isinstance(rule.wants, OfText) or not _applies(rule, device):
            continue
        path = rule.wants.file or "running-config"
        held = running.file(path)
        if held is None:
            continue  # this router has no such file
        if path not in texts:
            file = next(file for file in rendered.files if file.path == path)
            texts[path] = _Text(path, held.in_force, device.platform, file, opened)
        yield from _of_text(device, rule, rule.wants, texts[path])


class _Text:
    """A text as a tree of lines, and each line as it may be shown."""

    def __init__(
        self, path: str, text: str, platform: Platform, file: File, opened: Mapping[str, str]
    ) -> None:
        self.path = path
        self._text = text
        self._platform = platform
        self._file = file
        self._opened = opened
        top = parse(text.splitlines(), ios.TABLE.grammar)
        self._nodes = [node for one in top for node in one.walk()]

    def line(self, node: Node) -> DeviceLine:
        """Most texts have nothing to show, and sealing one takes as long as reading it."""
        line = self._text.splitlines()[node.number - 1]
        if self._platform is Platform.IOS:
            # A line's secret is named by its number: the lines above it only count.
            shown = sealed("\n" * (node.number - 1) + line, self._platform)
        else:
            shown = Sealer(self._file, self._opened)(line, node.number)
        return DeviceLine(self.path, node.number, shown.strip())

    def sections(self, pattern: str) -> Iterator[tuple[Node | None, list[Node]]]:
        """The sections that begin so, with their lines; without a pattern, all lines as one."""
        if not pattern:
            yield None, self._nodes
            return
        header = re.compile(pattern)
        for node in self._nodes:
            if header.fullmatch(node.text):
                yield node, [inner for child in node.children for inner in child.walk()]


def _of_text(device: DeviceModel, rule: Rule, wants: OfText, text: _Text) -> Iterator[Finding]:
    for header, lines in text.sections(wants.section):
        where = "" if header is None else text.line(header).text
        if wants.must_not:
            forbidden = re.compile(wants.must_not)
            for node in lines:
                if forbidden.fullmatch(node.text):
                    line = text.line(node)
                    subject = " / ".join(filter(None, (where, line.text)))
                    yield _finding(rule, device, without_place(subject), device.place, line)
        if wants.must:
            needed = re.compile(wants.must)
            if not any(needed.fullmatch(node.text) for node in lines):
                line = DeviceLine(text.path, 0, where) if header is None else text.line(header)
                subject = without_place(where) or text.path
                yield _finding(rule, device, subject, device.place, line)


def _finding(
    rule: Rule, device: DeviceModel, subject: str, place: Place, line: DeviceLine | None = None
) -> Finding:
    about = f"{subject}: " if subject else ""
    return Finding(
        f"standard.{rule.id}",
        Area.STANDARD,
        rule.severity,
        device.cluster,
        device.host,
        subject or device.host,
        f"{about}{rule.sentence} {rule.reason}",
        place,
        line,
        rule.remedy,
    )
