"""One edit, and the commands that it takes.

Each edit becomes *steps*, a command each. A step gives names (a pool, an access list), needs
names, frees those it no longer needs and takes away those it removes; it claims addresses and
releases others. What must come before what follows from that, in `order`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .edits import Block, Edit, Entries, Item, Reader, Section, is_physical
from .platforms import Impact, Kind, Rule
from .rendered import Line

_VALUED = frozenset(  # options that a value follows
    ("metric", "metric-type", "route-map", "tag", "minimum", "reload", "sync")
)
_ENTRY_STEP = 10  # the distance at which IOS numbers entries: room for nine between two
Claim = tuple[str, str, int, int]  # space, owner within which it may overlap, low, high


@dataclass(slots=True, eq=False)
class Step:
    """One command, and what it does to the names and addresses of the configuration."""

    section: tuple[Item, ...]
    text: str
    rule: Rule
    key: str
    comes: bool  # something is in force after it that was not before
    origin: Line | None = None
    impact: Impact = Impact.NONE
    why: str = ""
    gives: set[str] = field(default_factory=set)
    needs: set[str] = field(default_factory=set)
    frees: set[str] = field(default_factory=set)
    takes: set[str] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    releases: list[Claim] = field(default_factory=list)
    after: set[Step] = field(default_factory=set)
    place: tuple[str, ...] = ()  # the section's identity, however each side writes its header
    clears: Item | None = None  # what it overwrites
    group: str = ""  # the group that it belongs to
    opens: str = ""  # it is this section's header, which the commands in it enter anyway

    def __post_init__(self) -> None:
        self.place = tuple(item.key for item in self.section)

    @property
    def context(self) -> tuple[str, ...]:
        return tuple(item.line for item in self.section)


def names(item: Item, templates: Iterable[str]) -> set[str]:
    """The names that templates stand for, given the fields of an item."""
    found: set[str] = set()
    for template in templates:
        try:
            found.add(template.format_map(item.fields))
        except KeyError:
            continue
    return found


def _claims(item: Item) -> list[Claim]:
    found: list[Claim] = []
    for template in item.rule.claims:
        try:
            space, owner, low, high = template.format_map(item.fields).split()
        except KeyError:
            try:  # a range of one: `ip mobile host LOW`
                space, owner, low, high = template.format_map(
                    {**item.fields, "high": item.fields["low"]}
                ).split()
            except KeyError:
                continue
        except ValueError:
            continue  # a line in a form that no release has: claims nothing that we could know
        try:
            found.append((space, owner, *_range(low, high)))
        except ValueError:
            continue  # `dhcp`, an interface's name: claims nothing that we could know
    return found


def _range(low: str, high: str) -> tuple[int, int]:
    if low.isdigit():
        return int(low), int(high)
    first, last = _number(low), _number(high)
    if high.startswith("255.") or high == "0.0.0.0":  # a mask
        return first & last, first | (last ^ 0xFFFFFFFF)
    return first, last


def _number(address: str) -> int:
    """An IPv4 address as an integer; ValueError when it is none."""
    a, b, c, d = map(int, address.split("."))
    return a << 24 | b << 16 | c << 8 | d


def overlap(one: Claim, two: Claim) -> bool:
    """Whether both cannot be in force: same space, other owner, a common address."""
    same_owner = one[1] == two[1] != "-"
    return one[0] == two[0] and not same_owner and one[2] <= two[3] and two[2] <= one[3]


def clearing(step: Step) -> Step:
    """Takes away what a step overwrites, where it can only be overwritten when it is gone."""
    before = step.clears
    assert before is not None
    rule = before.rule
    impact = rule.impact if rule.impact_gone is None else rule.impact_gone
    return Step(before.path, _removal(before), rule, before.key, False, None, impact, rule.why)


def _fill(item: Item, template: str, **more: str) -> str:
    filled = template.format_map({**item.fields, "line": item.text, **more})
    return filled.replace("\0", " ")


def _removal(item: Item) -> str:
    return item.text[3:] if item.negative else _fill(item, item.rule.no)


@dataclass(slots=True, eq=False)
class Steps:
    """Collects the steps of the edits of one change."""

    reader: Reader
    sections: Sequence[Section]
    steps: list[Step] = field(default_factory=list)

    def add(self, edit: Edit) -> None:
        if edit.entries is not None:
            self._entries(edit.section, edit.entries)
        elif edit.after is None and edit.before is not None:
            self.remove(edit.before)
        elif edit.before is None and edit.after is not None:
            if not edit.after.lost:
                self.set(edit.after)
        elif edit.before is not None and edit.after is not None:
            self._change(edit.before, edit.after)

    # --- what comes ---

    def set(self, item: Item, *, before: Item | None = None, new: bool = True) -> Step:
        rule = item.rule
        step = Step(
            item.path,
            item.text,
            rule,
            item.key,
            True,
            item.origin,
            rule.impact_new if new else rule.impact,
        )
        step.why = rule.why if step.impact else ""
        step.group = item.group
        if not item.negative:
            step.gives, step.needs = names(item, rule.defines), names(item, rule.refers)
            step.claims = _claims(item)
        if before is not None:
            step.clears = before
            step.frees = names(before, rule.refers) - step.needs
            step.takes = names(before, rule.defines) - step.gives
            step.releases = [claim for claim in _claims(before) if claim not in step.claims]
        self.steps.append(step)
        if (rule.inside or item.node.children) and before is None:
            step.opens = item.line
            self._contents(item, step)
        return step

    def _contents(self, item: Item, header: Step) -> None:
        first = len(self.steps)
        nodes = item.node.children
        for node in nodes:
            child = item.reader.item(node, item)
            if child.hidden and not (is_physical(item) and child.line == "no shutdown"):
                continue
            self.set(child)
        if is_physical(item) and not any(n.text in ("shutdown", "no shutdown") for n in nodes):
            self.steps.append(
                Step((*item.path, item), "no shutdown", Rule("shutdown", rank=90), "shutdown", True)
            )
        for step in self.steps[first:]:
            step.impact, step.why = Impact.NONE, ""  # what was not there is not interrupted
            step.after.add(header)
            if item.rule.complete:
                step.gives |= header.gives
        self._chain(self.steps[first:] if self.reader.context(item.rule).ordered else ())

    def _chain(self, ordered: Sequence[Step]) -> None:
        for earlier, later in itertools.pairwise(ordered):
            later.after.add(earlier)

    # --- what changes ---

    def _change(self, before: Item, after: Item) -> None:
        rule = after.rule
        if after.negative or before.negative:
            if after.negative and not before.negative and not rule.default_on:
                self.remove(before)
            else:
                self.set(after, before=before, new=before.hidden)
        elif rule.kind is Kind.RECREATE:
            gone = self.remove(before)
            comes = self.set(after, new=False)
            comes.after.add(gone)
            gone.impact = comes.impact = rule.impact
            gone.why = comes.why = rule.why
        elif rule.kind is Kind.ADDITIVE:
            self._options(before, after)
        else:
            if after.hidden:
                self.remove(before, changed=True)
            else:
                self.set(after, before=before, new=False)

    def _options(self, before: Item, after: Item) -> None:
        """Takes away the options that go, and types the line again with those that stay.

        Releases differ in whether `no` with an option takes the option or the whole line.
        """
        old, new = _options(before), _options(after)
        without = before.rule.no_option or f"{before.rule.no} {{option}}"
        last: Step | None = None
        for option, value in old.items():
            if option not in new:
                text = _fill(before, without, option=f"{option} {value}".rstrip())
                step = Step(before.path, text, before.rule, before.key, True, after.origin)
                step.frees = names(before, before.rule.refers) - names(after, after.rule.refers)
                self.steps.append(step)
                last = step
        step = self.set(after, before=before, new=False)
        if last:
            step.after.add(last)

    # --- what goes ---

    def remove(self, item: Item, *, changed: bool = False) -> Step:
        rule = item.rule
        if rule.inside and (rule.permanent or is_physical(item)):
            return self._empty(item)
        step = Step(item.path, _removal(item), rule, item.key, False)
        step.impact = rule.impact if changed or rule.impact_gone is None else rule.impact_gone
        step.why = rule.why if step.impact else ""
        if item.lost:
            step.why = "cannot be undone: the router does not reveal what it takes away"
        step.group = item.group
        self._forget(step, item)
        self.steps.append(step)
        return step

    def _forget(self, step: Step, item: Item) -> None:
        """A section takes with it whatever its contents give, need and claim."""
        if not item.negative:
            step.takes |= names(item, item.rule.defines)
            step.frees |= names(item, item.rule.refers)
            step.releases += _claims(item)
        for node in item.node.children:
            self._forget(step, item.reader.item(node, item))

    def _empty(self, item: Item) -> Step:
        """A section that cannot be removed: a port is shut down, and its contents go."""
        first: Step | None = None
        if is_physical(item) and all(node.text != "shutdown" for node in item.node.children):
            first = Step(
                (*item.path, item),
                "shutdown",
                Rule("shutdown", rank=-90),
                "shutdown",
                False,
                impact=Impact.ADJACENCY_RESET,
                why="the interface goes down",
            )
            self.steps.append(first)
        settled = self.reader.table.settled.get(item.rule.inside, frozenset())
        for node in item.node.children:
            child = item.reader.item(node, item)
            if child.hidden or node.text in settled:
                continue
            step = self.remove(child)
            if first:
                step.after.add(first)
        return first or Step((*item.path, item), "", item.rule, item.key, False)

    def _entries(self, section: Section, entries: Entries) -> None:
        """Edits an ordered list in place.

        Entries go by their text and come by a sequence number between their neighbours', after the
        list has been numbered anew: so the list never vanishes while it is in use, and no entry
        that stays is touched. Remarks have no numbers on older releases; where one would shift the
        count, the list is rewritten from the first difference on.
        """
        header = section.new or section.old
        if header is None:
            return
        path = (*header.path, header)
        blocks = entries.blocks
        end = len(entries.nodes[0])
        append = all(block.at[0] == end for block in blocks)
        remarks = any(
            line.startswith("remark")
            for line in (*entries.lines[0], *(item.line for b in blocks for item in b.after))
        )
        if remarks and (not append or any(block.before for block in blocks)):
            blocks = (_tail(section, entries),)
        going = [item for block in blocks for item in block.before]
        coming: list[Step] = []
        numbered = False
        for block in blocks:
            at = block.at[0]
            for place, item in enumerate(block.after, 1):
                step = Step(path, item.text, item.rule, item.key, True, item.origin)
                if at + len(block.before) < end:
                    step.text = f"{_ENTRY_STEP * at + place} {item.text}"
                    numbered = True
                coming.append(step)
        anew = {step.key for step in coming}
        leaving = [Step(path, f"no {item.text}", item.rule, item.key, True) for item in going]
        first = [step for step in leaving if remarks or step.key in anew]
        for step in leaving:
            if step.key in anew and not step.key.startswith("remark"):
                step.impact = Impact.ADJACENCY_RESET
                step.why = "for a moment the list is without this entry"
        chain = [*first, *coming, *(step for step in leaving if step not in first)]
        if numbered:
            name = header.key.rsplit(" ", 1)[-1]
            text = f"ip access-list resequence {name} {_ENTRY_STEP} {_ENTRY_STEP}"
            chain.insert(0, Step(header.path, text, header.rule, header.key, True))
        self._chain(chain)
        self.steps += chain


def _tail(section: Section, entries: Entries) -> Block:
    """Everything from the first difference on, as one block.

    `no` with a remark that stands twice takes the first: then the block begins there.
    """
    lines = entries.lines[0]
    start = entries.blocks[0].at[0]
    while again := [lines.index(line) for line in lines[start:] if line in lines[:start]]:
        start = min(again)
    i = j = start  # before the first difference the places are the same
    read = {id(item.node): item for block in entries.blocks for item in block.after}
    old, new = section.old, section.new
    assert old is not None
    assert new is not None
    before = tuple(old.reader.item(node, old) for node in entries.nodes[0][i:])
    read |= {id(item.node): item for item in before}  # an entry of somebody else's that stays
    after = tuple(read.get(id(node)) or new.reader.item(node, new) for node in entries.nodes[1][j:])
    return Block((i, j), before, after)


def _options(item: Item) -> dict[str, str]:
    """The options of an additive line: words, some with a value."""
    words = item.fields.get(item.rule.options, "").split()
    options: dict[str, str] = {}
    while words:
        word = words.pop(0)
        valued = word in _VALUED and words
        options[word] = words.pop(0) if valued else ""
    return options
