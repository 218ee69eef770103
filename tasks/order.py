"""From edits to commands in an order that never breaks before it makes.

Each edit becomes *steps*, a command each. A step gives names (a pool, an access list), needs
names, frees those it no longer needs and takes away those it removes; it claims addresses and
releases others. From that follow the arrows between steps, and nothing else decides the order:

    who gives a name          before  who needs it           a reference never dangles
    who frees a name          before  who takes it away      the referent goes last
    who releases an address   before  who claims it          the router refuses overlaps

Where the arrows leave a choice: what comes stands before what goes, management last, and the
commands of one section together. Overwriting in place can close a circle (two interfaces that
exchange their addresses): then one of them is cleared first.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .edits import Edit, Entries, Item, Reader, Section, is_physical, opcodes
from .platforms import Impact, Kind, Rule
from .rendered import Line

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
    clears: Item | None = None  # what it overwrites
    group: str = ""  # the group that it belongs to
    opens: str = ""  # it is this section's header, which the commands in it enter anyway

    @property
    def context(self) -> tuple[str, ...]:
        return tuple(item.line for item in self.section)

    @property
    def place(self) -> tuple[str, ...]:
        """The section's identity, however each side writes its header."""
        return tuple(item.key for item in self.section)


def steps(edits: Sequence[Edit], sections: Sequence[Section], running: Reader) -> list[Step]:
    """The steps of a change, in order; `running` reads the lines that stay."""
    made = _Steps(running, sections)
    for edit in edits:
        made.add(edit)
    made.collapse_groups()
    made.withdraw()
    made.retype()
    return _without_empty_headers(_ordered(made.steps))


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
        try:
            found.append((space, owner, *_range(low, high)))
        except ValueError:
            continue  # `dhcp`, an interface's name: claims nothing that we could know
    return found


def _range(low: str, high: str) -> tuple[int, int]:
    if low.isdigit():
        return int(low), int(high)
    first = int(ipaddress.IPv4Address(low))
    last = int(ipaddress.IPv4Address(high))
    if high.startswith("255.") or high == "0.0.0.0":  # a mask
        return first & last, first | (last ^ 0xFFFFFFFF)
    return first, last


def _overlap(one: Claim, two: Claim) -> bool:
    """Whether both cannot be in force: same space, other owner, a common address."""
    same_owner = one[1] == two[1] != "-"
    return one[0] == two[0] and not same_owner and one[2] <= two[3] and two[2] <= one[3]


def _clearing(step: Step) -> Step:
    """Takes away what a step overwrites, where it can only be overwritten when it is gone."""
    before = step.clears
    assert before is not None
    return Step(
        before.path, _removal(before), step.rule, step.key, False, None, step.impact, step.why
    )


def _fill(item: Item, template: str) -> str:
    filled = template.format_map({**item.fields, "line": item.text})
    return filled.replace("\x1f", " ")


def _removal(item: Item) -> str:
    return item.text[3:] if item.negative else _fill(item, item.rule.no)


@dataclass(slots=True, eq=False)
class _Steps:
    """Collects the steps of the edits of one change."""

    reader: Reader
    sections: Sequence[Section]
    steps: list[Step] = field(default_factory=list)

    def add(self, edit: Edit) -> None:
        if edit.entries is not None:
            self._entries(edit.section, edit.entries)
        elif edit.after is None and edit.before is not None:
            self._remove(edit.before)
        elif edit.before is None and edit.after is not None:
            self._set(edit.after)
        elif edit.before is not None and edit.after is not None:
            self._change(edit.before, edit.after)

    # --- what comes ---

    def _set(self, item: Item, *, before: Item | None = None, new: bool = True) -> Step:
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
        if rule.inside and before is None:
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
            self._set(child)
        if is_physical(item) and not any(n.text in ("shutdown", "no shutdown") for n in nodes):
            self.steps.append(
                Step((*item.path, item), "no shutdown", Rule("shutdown", rank=90), "shutdown", True)
            )
        for step in self.steps[first:]:
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
                self._remove(before)
            else:
                self._set(after, before=before, new=False)
        elif rule.kind is Kind.RECREATE:
            gone = self._remove(before)
            comes = self._set(after, new=False)
            comes.after.add(gone)
            gone.impact = comes.impact = rule.impact
            gone.why = comes.why = rule.why
            gone.takes -= comes.gives
        elif rule.kind is Kind.ADDITIVE:
            self._options(before, after)
        else:
            if after.hidden:
                self._remove(before, changed=True)
            else:
                self._set(after, before=before, new=False)

    def _options(self, before: Item, after: Item) -> None:
        """Takes away the options that go, and types the line if any comes or changes."""
        old, new = _options(before), _options(after)
        head = _fill(before, before.rule.no)
        last: Step | None = None
        for option, value in old.items():
            if option not in new:
                text = f"{head} {option} {value}".rstrip()
                step = Step(before.path, text, before.rule, before.key, True, after.origin)
                step.frees = names(before, before.rule.refers) - names(after, after.rule.refers)
                self.steps.append(step)
                last = step
        if any(old.get(option) != value for option, value in new.items()):
            step = self._set(after, before=before, new=False)
            if last:
                step.after.add(last)

    # --- what goes ---

    def _remove(self, item: Item, *, changed: bool = False) -> Step:
        rule = item.rule
        if rule.inside and (rule.permanent or is_physical(item)):
            return self._empty(item)
        step = Step(item.path, _removal(item), rule, item.key, False)
        step.impact = rule.impact if changed or rule.impact_gone is None else rule.impact_gone
        step.why = rule.why if step.impact else ""
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
            step = self._remove(child)
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
        blocks = [block for block in opcodes(entries.before, entries.after) if block[0] != "equal"]
        numbered = not any(item.line.startswith("remark") for item in entries.before)
        append = all(block[1] == len(entries.before) for block in blocks)
        if not append and not numbered:
            start = blocks[0][1]
            blocks = [("replace", start, len(entries.before), blocks[0][3], len(entries.after))]
        made: list[Step] = []
        if not append and numbered and any(block[3] < block[4] for block in blocks):
            list_name = header.text.removeprefix("ip access-list ").split()[-1]
            made.append(
                Step(header.path, f"ip access-list resequence {list_name} 10 10", header.rule,
                     header.key, True)
            )  # fmt: skip
        going = [item for _, i1, i2, _, _ in blocks for item in entries.before[i1:i2]]
        coming: list[Step] = []
        for _, i1, i2, j1, j2 in blocks:
            for place, item in enumerate(entries.after[j1:j2], 1):
                step = Step(path, item.text, item.rule, item.key, True, item.origin)
                if not append and numbered and i2 < len(entries.before):
                    step.text = f"{10 * i1 + place} {item.text}"
                coming.append(step)
        leaving = [Step(path, f"no {item.text}", item.rule, item.key, False) for item in going]
        self._chain([*made, *leaving, *coming])
        self.steps += [*made, *leaving, *coming]

    # --- what concerns several steps ---

    def collapse_groups(self) -> None:
        """`no standby 1` once, where nothing of the group stays."""
        groups: dict[tuple[tuple[str, ...], str], list[Step]] = {}
        for step in self.steps:
            if step.group:
                groups.setdefault((step.place, step.group), []).append(step)
        for (place, group), members in groups.items():
            stays = any(item.group == group for item in self._kept(place, f"{group} "))
            if stays or any(step.comes for step in members):
                continue
            head = members[0]
            head.text = f"no {group}"
            head.impact = max(step.impact for step in members)
            for step in members[1:]:
                head.takes |= step.takes
                head.frees |= step.frees
                head.releases += step.releases
                head.after |= step.after
            self._drop(members[1:], head)

    def _kept(self, place: tuple[str, ...], prefix: str) -> Iterator[Item]:
        """The lines of a section that stay as they are and begin so."""
        canonical = self.reader.table.canonical
        for section in self.sections:
            if section.place == place:
                for node in section.kept:
                    if canonical(node.text).startswith(prefix):
                        yield self.reader.item(node, section.running)

    def _drop(self, gone: Sequence[Step], by: Step) -> None:
        """Another step does their work."""
        out = set(gone)
        self.steps = [step for step in self.steps if step not in out]
        for step in self.steps:
            if step.after & out:
                step.after = (step.after - out) | {by}
        by.after.discard(by)

    def withdraw(self) -> None:
        """Who refers to something that is made anew lets go before, and takes hold after."""
        for comes in [step for step in self.steps if step.rule.withdraw and step.comes]:
            gone = next((step for step in comes.after if step.key == comes.key), None)
            if gone is None:
                continue
            for section in self.sections:
                for node in section.kept:
                    if not any(name.split()[-1] in node.text.split() for name in comes.gives):
                        continue
                    item = self.reader.item(node, section.running)
                    if names(item, item.rule.refers) & comes.gives:
                        release, again = self._remove(item), self._set(item)
                        gone.after.add(release)
                        again.after.add(comes)
                        again.frees = set()

    def retype(self) -> None:
        """What a router deletes of its own accord is typed again; what it deletes needs no `no`."""
        for step in [step for step in self.steps if step.rule.drops or step.rule.pivot]:
            prefixes = step.rule.drops or (step.rule.pivot,)
            siblings = [
                other
                for other in self.steps
                if other is not step
                and other.place == step.place
                and other.key.startswith(prefixes)
            ]
            going = [other for other in siblings if not other.comes]
            for other in siblings:
                if other.comes:
                    other.after.add(step)
            if not step.rule.drops:
                step.after |= set(going)
                continue
            for other in going:
                step.takes |= other.takes
                step.frees |= other.frees
                step.releases += other.releases
            self._drop(going, step)
            for prefix in prefixes:
                for item in list(self._kept(step.place, prefix)):
                    if not item.hidden:
                        self._set(item).after.add(step)


def _options(item: Item) -> dict[str, str]:
    """The options of an additive line: words, some with a value."""
    words = item.fields.get(item.rule.options, "").split()
    options: dict[str, str] = {}
    while words:
        word = words.pop(0)
        valued = word in ("metric", "metric-type", "route-map", "tag") and words
        options[word] = words.pop(0) if valued else ""
    return options


# --- the order --------------------------------------------------------------------------------


def _arrows(steps: Sequence[Step]) -> None:
    """Draws the arrows that follow from names and addresses."""
    givers: dict[str, list[Step]] = {}
    frees: dict[str, list[Step]] = {}
    for step in steps:
        for name in step.gives:
            givers.setdefault(name, []).append(step)
        for name in step.frees:
            frees.setdefault(name, []).append(step)
    releasing = [step for step in steps if step.releases]
    for step in steps:
        for name in step.needs:
            step.after.update(givers.get(name, ()))
        for name in step.takes:
            step.after.update(frees.get(name, ()))
        for claim in step.claims:
            for other in releasing:
                if other is not step and any(_overlap(claim, old) for old in other.releases):
                    step.after.add(other)
        step.after.discard(step)


def _ordered(steps: list[Step]) -> list[Step]:
    """The steps along their arrows; circles are cut where something is overwritten."""
    _arrows(steps)
    sections: dict[tuple[str, ...], int] = {}
    for step in steps:
        sections.setdefault(step.place, len(sections))
    wait = {step: len(step.after) for step in steps}
    then: dict[Step, list[Step]] = {step: [] for step in steps}
    for step in steps:
        for earlier in step.after:
            then[earlier].append(step)
    index = {step: number for number, step in enumerate(steps)}
    ready: list[tuple[tuple[int, ...], int]] = []

    def rank(step: Step) -> tuple[int, ...]:
        outer = step.section[0].rule if step.section else step.rule
        management = step.rule.management or outer.management
        where = sections[step.place] if step.section else -1
        sign = 1 if step.comes else -1
        return (
            int(management),
            int(not step.comes),
            sign * outer.rank,
            where if step.section else index[step],
            sign * step.rule.rank,
            index[step],
        )

    for step in steps:
        if not wait[step]:
            heapq.heappush(ready, (rank(step), index[step]))
    out: list[Step] = []
    done: set[Step] = set()
    while len(done) < len(steps):
        if not ready:
            stuck = [step for step in steps if step not in done]
            cut = next((step for step in stuck if step.clears and step.releases), stuck[0])
            if cut.clears and cut.releases:
                out.append(_clearing(cut))
            heapq.heappush(ready, (rank(cut), index[cut]))
            wait[cut] = 0
        _, number = heapq.heappop(ready)
        step = steps[number]
        if step in done:
            continue
        done.add(step)
        out.append(step)
        for later in then[step]:
            wait[later] -= 1
            if wait[later] == 0 and later not in done:
                heapq.heappush(ready, (rank(later), index[later]))
    return out


def _without_empty_headers(steps: Sequence[Step]) -> list[Step]:
    """A header is typed for itself only where the next command does not enter its section."""
    return [
        step
        for step, following in zip(steps, (*steps[1:], None), strict=False)
        if not (
            step.opens
            and following is not None
            and following.context[: len(step.context) + 1] == (*step.context, step.opens)
        )
    ]
