"""From edits to commands in an order that never breaks before it makes.

Each edit becomes *steps*, a command each. A step gives names (a pool, an access list), needs
names, frees those it no longer needs and takes away those it removes; it claims addresses and
releases others. From that follow the arrows between steps, and nothing else decides the order:

    who gives a name          before  who needs it           a reference never dangles
    who frees a name          before  who takes it away      the referent goes last
    who gives a name anew     before  who takes it away      a name lives on where it can
    who releases an address   before  who claims it          the router refuses overlaps

Where the arrows leave a choice: what comes stands before what goes, management last, and the
commands of one section together. Overwriting in place can close a circle (two interfaces that
exchange their addresses, a pool takes over another's range): then one is cleared first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence

from .edits import Edit, Item, Reader, Section
from .steps import Step, Steps, clearing, names, overlap


def ordered(edits: Sequence[Edit], sections: Sequence[Section], running: Reader) -> list[Step]:
    """The steps of a change, in order; `running` reads the lines that stay."""
    made = Steps(running, sections)
    for edit in edits:
        made.add(edit)
    _collapse_groups(made)
    _withdraw(made)
    _retype(made)
    return _without_empty_headers(_sorted(made.steps))


# --- what concerns several steps ----------------------------------------------------------------


def _collapse_groups(made: Steps) -> None:
    """`no standby 1` once, where nothing of the group stays."""
    groups: dict[tuple[tuple[str, ...], str], list[Step]] = {}
    for step in made.steps:
        if step.group:
            groups.setdefault((step.place, step.group), []).append(step)
    for (place, group), members in groups.items():
        stays = any(True for _ in _kept(made, place, f"{group} "))
        if stays or any(step.clears or not step.comes for step in members):
            for step in members:
                if step.comes:  # a new setting of a group that is there already
                    step.impact = max(step.impact, step.rule.impact)
                    step.why = step.rule.why if step.impact else ""
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
        _drop(made, members[1:], head)


def _kept(made: Steps, place: tuple[str, ...], prefix: str) -> Iterator[Item]:
    """The lines of a section that stay as they are and begin so."""
    canonical = made.reader.table.canonical
    for section in made.sections:
        if section.place == place:
            for node in section.kept:
                if canonical(node.text).startswith(prefix):
                    yield made.reader.item(node, section.running)


def _drop(made: Steps, gone: Sequence[Step], by: Step) -> None:
    """Another step does their work."""
    out = set(gone)
    made.steps = [step for step in made.steps if step not in out]
    for step in made.steps:
        if step.after & out:
            step.after = (step.after - out) | {by}
    by.after.discard(by)


def _withdraw(made: Steps) -> None:
    """Where a name is gone for a moment, who refers to it lets go before and takes hold after.

    A name has such a gap when all that defines it goes, and whatever defines it anew must wait
    for that: a tracked object of another kind, a pool whose new range overlaps the old one.
    """
    gone: dict[str, set[Step]] = {}
    comes: dict[str, list[Step]] = {}
    for step in made.steps:
        if step.rule.withdraw:
            for name in step.takes:
                gone.setdefault(name, set()).add(step)
            for name in step.gives:
                comes.setdefault(name, []).append(step)
    for name in sorted(gone.keys() & comes.keys()):
        stays = any(name in names(item, item.rule.defines) for item in _naming(made, name))
        if not stays and all(gone[name] <= _blockers(step, gone[name]) for step in comes[name]):
            _let_go(made, name, gone[name], comes[name])


def _naming(made: Steps, name: str) -> list[Item]:
    """The lines that stay and have a name's last word in them."""
    word = name.rsplit(" ", 1)[-1]
    return [
        item
        for section in made.sections
        for item in _with_contents(made.reader, section)
        if word in item.node.text.split()
    ]


def _with_contents(reader: Reader, section: Section) -> Iterator[Item]:
    """The lines of a section that stay, and those below them that nothing touches."""
    for node in section.kept:
        item = reader.item(node, section.running)
        yield item
        if node in section.untouched:
            for child in node.children:
                yield reader.item(child, item)


def _let_go(made: Steps, name: str, gone: set[Step], comes: Sequence[Step]) -> None:
    releases: list[Step] = []
    for step in [step for step in made.steps if step.clears]:
        if step.clears and name in names(step.clears, step.clears.rule.refers):
            releases.append(made.remove(step.clears))
            step.after.add(releases[-1])
    for item in _naming(made, name):
        if name in names(item, item.rule.refers):
            releases.append(made.remove(item))
            made.set(item).after.update((releases[-1], *comes))
    for step in gone:
        step.after.update(releases)


def _retype(made: Steps) -> None:
    """What a router deletes of its own accord is typed again; what it deletes needs no `no`."""
    for step in [step for step in made.steps if step.rule.drops or step.rule.pivot]:
        prefixes = step.rule.drops or (step.rule.pivot,)
        if step not in made.steps:
            continue  # another one has deleted it
        siblings = [
            other
            for other in made.steps
            if other is not step and other.place == step.place and other.key.startswith(prefixes)
        ]
        going = [other for other in siblings if not other.comes]
        coming = [other for other in siblings if other.comes]
        for other in coming:
            other.after.add(step)
        if not step.rule.drops:
            step.after |= set(going)
            continue
        for other in siblings:
            step.takes |= other.takes
            step.frees |= other.frees
            step.releases += other.releases
        for other in coming:
            other.clears, other.takes, other.frees, other.releases = None, set(), set(), []
        kept = [
            item
            for prefix in prefixes
            for item in _kept(made, step.place, prefix)
            if not item.hidden
        ]
        if kept or step.releases:
            step.impact, step.why = step.rule.impact, step.rule.why
        _drop(made, going, step)
        for item in kept:
            made.set(item).after.add(step)


def _blockers(step: Step, gone: set[Step]) -> set[Step]:
    """Those of the steps that must go before this one can come."""
    return {
        other
        for other in gone
        if other in step.after
        or any(overlap(claim, old) for claim in step.claims for old in other.releases)
    }


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
                if other is not step and any(overlap(claim, old) for old in other.releases):
                    step.after.add(other)
        step.after.discard(step)
    for step in steps:
        for name in step.takes:
            for giver in givers.get(name, ()):
                if giver is not step and not _must_follow(giver, step):
                    step.after.add(giver)


def _must_follow(step: Step, earlier: Step) -> bool:
    """Whether arrows already lead from the earlier step to this one."""
    seen: set[Step] = set()
    left = [step]
    while left:
        for before in left.pop().after:
            if before is earlier:
                return True
            if before not in seen:
                seen.add(before)
                left.append(before)
    return False


def _sorted(steps: list[Step]) -> list[Step]:
    """The steps along their arrows, by `_Rank` where those leave a choice."""
    _arrows(steps)
    rank = _Rank(steps)
    waits = {step: set(step.after) for step in steps}
    then: dict[Step, list[Step]] = {step: [] for step in steps}
    for step in steps:
        for earlier in step.after:
            then[earlier].append(step)
    ready = [rank(step) for step in steps if not waits[step]]
    heapq.heapify(ready)
    out: list[Step] = []

    def settle(earlier: Step, later: Step) -> None:
        if earlier in waits[later]:
            waits[later].remove(earlier)
            if not waits[later]:
                heapq.heappush(ready, rank(later))

    left = len(steps)
    while left:
        if not ready:
            earlier, later = _where_to_cut(waits)
            if earlier.clears and _waits_for_what_goes(later, earlier):
                out.append(clearing(earlier))
                for other in then[earlier]:
                    if _waits_for_what_goes(other, earlier):
                        settle(earlier, other)
            else:
                settle(earlier, later)
            continue
        step = steps[heapq.heappop(ready)[-1]]
        out.append(step)
        left -= 1
        for later in then[step]:
            settle(step, later)
    return out


class _Rank:
    """Where a step stands when no arrow decides: management last, what goes behind what comes,
    kinds of things by the table, sections together."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._index = {step: number for number, step in enumerate(steps)}
        self._sections: dict[tuple[str, ...], int] = {}
        for step in sorted(steps, key=lambda step: not step.opens):  # new sections come first
            self._sections.setdefault(self._section(step), len(self._sections))

    @staticmethod
    def _section(step: Step) -> tuple[str, ...]:
        return (*step.place, step.key) if step.opens or not step.section else step.place

    def __call__(self, step: Step) -> tuple[int, ...]:
        outer = step.section[0].rule if step.section else step.rule
        sign = 1 if step.comes else -1
        return (
            int(step.rule.management or outer.management),
            int(not step.comes),
            sign * outer.rank,
            self._sections[self._section(step)],
            -1 if step.opens else sign * step.rule.rank,
            self._index[step],
        )


def _where_to_cut(waits: Mapping[Step, set[Step]]) -> tuple[Step, Step]:
    """Two neighbours of a circle, the earlier first; where the earlier overwrites, if any does."""
    step = next(step for step, earlier in waits.items() if earlier)
    walked: list[Step] = []
    while step not in walked:
        walked.append(step)
        step = min(waits[step], key=lambda earlier: earlier.text)
    circle = walked[walked.index(step) :]
    pairs = list(zip([*circle[1:], circle[0]], circle, strict=True))
    return next(
        (pair for pair in pairs if pair[0].clears and _waits_for_what_goes(pair[1], pair[0])),
        pairs[0],
    )


def _waits_for_what_goes(later: Step, earlier: Step) -> bool:
    """Whether it waits for what the earlier step takes out of force, not for what it brings."""
    return not (earlier.gives & later.needs)


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
