"""What a plan would still change, if the proposal were the intent; what it would leave alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from ..compile import compile_site
from ..diff import diff, sealed
from ..errors import HaccError, Problem
from ..intent import parse_site
from ..inventory import FILES, read_files
from ..provided import FILE as PLUGIN
from ..provided import provided
from ..render import render
from ..rendered import SECRET
from ..running import Running
from .proposal import Proposal
from .reading import flat


@dataclass(frozen=True, slots=True)
class Compared:
    """The proposal beside what runs."""

    problems: tuple[Problem, ...]  # why it is no intent yet
    # Of each router the lines of the plan, in their sections: `+` it lacks, `-` the proposal could
    # not express.
    lines: Mapping[str, tuple[str, ...]] = field(hash=False)
    # Lines about Mobile IP or standby groups that no intent has words for, and no plan touches.
    kept: Mapping[str, tuple[str, ...]] = field(hash=False)


def compared(root: Path, proposal: Proposal, held: Iterable[Running]) -> Compared:
    """Compile and render the proposal in the place of the inventory's clusters, and compare."""
    files = [file for file in (root / name for name in (*FILES, PLUGIN)) if file.exists()]
    texts, problems = read_files(root, files)
    if problems:
        raise HaccError(problems)
    texts["hosts.yaml"] = _with(texts.get("hosts.yaml", ""), proposal.hosts)
    texts[f"clusters/{proposal.cluster}.yaml"] = proposal.text
    given = provided(root, texts[PLUGIN], os.environ) if PLUGIN in texts else None
    try:
        [cluster] = compile_site(parse_site(root, texts, given=given))
    except HaccError as error:
        return Compared(error.problems, {}, {})
    opened = {f"env:{name}": clear for name, clear in proposal.secrets.items()}
    lines, kept = {}, {}
    for running in held:
        rendered = render(cluster.device(running.host))
        lines[running.host] = tuple(
            f"{line.sign} {'  ' * line.depth}{line.text}"
            for file in rendered.files
            if (there := running.file(file.path)) is not None
            for line in diff(there.text or "", file, rendered.platform, opened).lines
        )
        told = {line.removeprefix("- ").lstrip() for line in lines[running.host]}
        ours = {_open(line) for file in rendered.files for line in flat(file.text)}
        kept[running.host] = tuple(
            line
            for file in running.files
            for line in flat(sealed(file.text or "", rendered.platform))
            if _SUBJECT.match(line) and _open(line) not in ours and line not in told
        )
    return Compared((), lines, kept)


# The subjects of an intent: whoever has such a line wants to know what becomes of it.
_SUBJECT: Final = re.compile(r"ip mobile |router mobile|ip local pool |interface \S+ / standby ")


_CODED: Final = re.compile(rf"(?:(?:hex|ascii|\d) )?{SECRET.pattern}")


def _open(line: str) -> str:
    """With its secrets, whatever they are called and coded in, as one and the same."""
    return _CODED.sub("<secret>", line)


def _with(hosts: str, proposed: Mapping[str, Mapping[str, object]]) -> str:
    """`hosts.yaml`, with what is proposed for its `data`."""
    whole = yaml.safe_load(hosts) or {}
    for name, data in proposed.items():
        entry = whole.setdefault(name, {}) or {}
        whole[name] = {**entry, "data": {**(entry.get("data") or {}), **data}}
    return yaml.safe_dump(whole, sort_keys=False)
