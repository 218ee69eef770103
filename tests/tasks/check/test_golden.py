"""One case a file: what somebody did to a router that was as intended, and every finding of it.

On IOS the lines are typed into a simulated router that holds the example's configuration. Each
remedy is then typed too, alone: its finding goes, and no other comes. All of them together leave
what hier_config and annet leave, asked for the same; where one of those is wrong the case says why.

HACC_UPDATE_GOLDEN=1 writes the findings anew: read the difference before you commit it.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from annet.annlib import patching
from annet.annlib.netdev.views.hardware import HardwareView
from annet.hardware import AnnetHardwareProvider, hardware_connector
from annet.rulebook import DefaultRulebookProvider, get_rulebook, rulebook_provider_connector
from annet.vendors import registry_connector, tabparser
from hier_config import Platform as Theirs
from hier_config import WorkflowRemediation, get_hconfig

from lab.ios import Device, Session
from tasks.check.configuration import judge
from tasks.diff import diff, reveal
from tasks.findings import Finding
from tasks.render import render
from tasks.rendered import Platform, Rendered
from tasks.running import Running, RunningFile
from tasks.secrets import resolve
from tests.clusters import ROOT, west
from tests.tasks.check.test_configuration import held, opened_for

CASES = {path.stem: path for path in sorted((ROOT / "tests/golden/check").glob("*.yaml"))}
NOW = 1_000_000_000.0  # any time: nothing here depends on it
PORTS = [f"GigabitEthernet0/{port}" for port in range(3)]


# ------------------------------------------------------------------ the router


def running_of(device: Device) -> str:
    """As the fetch hands it on: with the users, whose keys IOS hides."""
    users = re.findall(r"^snmp-server user .*$", device.private_config(), re.M)
    hidden = [re.sub(r"(auth sha|priv aes 128) \S+", r"\1 *", user) for user in users]
    return device.running_config() + "".join(f"{user}\n" for user in hidden)


def typed(device: Device, lines: Iterable[str]) -> None:
    session = Session(device, user="admin", privilege=15)
    session.feed("configure terminal", NOW)
    for line in lines:
        reply = session.feed(line.strip(), NOW)
        assert not device.journal[-1].refused, (line, reply.text)
    session.feed("end", NOW)


def intended(rendered: Rendered) -> Device:
    """A router that was brought to the intent by what `hacc plan` says."""
    device = Device("ios1", interfaces=PORTS)
    opened = opened_for(rendered)
    changes = diff(running_of(device), rendered.files[0], Platform.IOS, opened)
    paste(device, ((*command.context, command.text) for command in changes.commands), opened)
    return device


def paste(device: Device, commands: Iterable[tuple[str, ...]], opened: dict[str, str]) -> None:
    for words in commands:
        typed(device, [resolve(word, opened) for word in words])


def drifted(rendered: Rendered, case: dict[str, Any]) -> Device:
    """The same, after what somebody typed."""
    device = intended(rendered)
    typed(device, case["typed"].splitlines())
    return device


def found(device: Device, rendered: Rendered) -> list[Finding]:
    file = RunningFile("running-config", running_of(device), 0o600)
    running = Running("ios1", Platform.IOS, (file,), (), revert_timer=True)
    return list(judge(west().device("ios1"), rendered, running, opened_for(rendered)))


# ------------------------------------------------------------------ the findings


def written(finding: Finding) -> Iterator[str]:
    yield f"{finding.rule}: {finding.subject}"
    yield f"  {finding.message}"
    if finding.intent is not None:
        path = Path(finding.intent.file)
        line = path.read_text().splitlines()[finding.intent.line - 1].strip()
        yield f"  intent: {path.relative_to(ROOT)}: {line}"
    yield f"  router: {finding.device}"
    yield from (f"  {line}" for line in finding.remedy.splitlines())


def text_of(findings: Iterable[Finding]) -> str:
    return "".join(f"{line}\n" for finding in findings for line in written(finding))


def expected(path: Path, case: dict[str, Any], told: str) -> str:
    """What the case says, or what it will say from now on."""
    if os.environ.get("HACC_UPDATE_GOLDEN") == "1":
        question = path.read_text().split("\nfindings:")[0].rstrip("\n")
        body = "".join(f"  {line}\n" for line in told.splitlines())
        path.write_text(f"{question}\nfindings: |2\n{body}")
        return told
    said: str = case["findings"]
    return said


IOS = {name: path for name, path in CASES.items() if "typed:" in path.read_text()}
LINUX = {name: path for name, path in CASES.items() if name not in IOS}


@pytest.mark.parametrize("path", IOS.values(), ids=IOS)
def test_what_was_typed_is_found_and_each_remedy_mends_it_alone(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    rendered = render(west().device("ios1"))
    router = intended(rendered)
    before = running_of(router)
    assert found(router, rendered) == []
    router = drifted(rendered, case)
    findings = found(router, rendered)
    told = text_of(findings)
    assert told == expected(path, case, told)

    opened = opened_for(rendered) | dict(reveal(running_of(router), Platform.IOS))
    after = drifted(rendered, case)
    for finding in findings:
        one = drifted(rendered, case)
        commands = [resolve(line, opened) for line in finding.remedy.splitlines()[1:]]
        assert commands
        typed(one, commands)
        left = {other.fingerprint for other in found(one, rendered)}
        assert left == {other.fingerprint for other in findings} - {finding.fingerprint}
        typed(after, commands)
    assert found(after, rendered) == []
    if case.get("owned", True):
        assert running_of(after) == before
    for name, mends in (("hier_config", hier_config), ("annet", annet)):
        other = drifted(rendered, case)
        agrees = left_by(mends, other, before) == running_of(after)
        assert agrees == (name not in case), f"{name}: {case.get(name, 'does not agree')}"


@pytest.mark.parametrize("path", LINUX.values(), ids=LINUX)
def test_what_was_edited_is_found(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    device = west().device(case["host"])
    rendered = render(device)
    opened = opened_for(rendered)
    text = next(file.text for file in held(rendered).files if file.path == case["file"])
    assert text is not None
    assert text.count(case["old"]) == 1
    changed = text.replace(case["old"], case.get("new", ""))
    running = held(rendered, **{case["file"]: changed})
    told = text_of(judge(device, rendered, running, opened))
    assert told == expected(path, case, told)


# ------------------------------------------------------------------ second opinions

Mends = Callable[[str, str], Iterable[str]]  # (running, wanted) -> lines to paste


def hier_config(running: str, wanted: str) -> Iterator[str]:
    before, after = (get_hconfig(Theirs.CISCO_IOS, text) for text in (running, wanted))
    for line in WorkflowRemediation(before, after).remediation_config.all_children_sorted():
        yield line.cisco_style_text()


@functools.cache
def annets_router() -> HardwareView:
    """annet takes its providers once, for the whole process."""
    hardware_connector.set(AnnetHardwareProvider)
    rulebook_provider_connector.set(DefaultRulebookProvider)
    return HardwareView("Cisco Catalyst", "")


def annet(running: str, wanted: str) -> Iterator[str]:
    router = annets_router()
    rules = get_rulebook(router)
    form = registry_connector.get().match(router).make_formatter()
    old, new = (tabparser.parse_to_tree(text, form.split) for text in (running, wanted))
    made = patching.make_pre(patching.make_diff(old, new, rules, []))
    patch = patching.make_patch(
        pre=made,  # type: ignore[arg-type]  # as its own callers do
        rb=rules,  # type: ignore[arg-type]
        hw=router,
        add_comments=False,
    )
    yield from form.patch(patch).splitlines()


def left_by(mends: Mends, router: Device, wanted: str) -> str:
    """What a router holds after another's remedy; what it refuses of it, it refuses."""
    session = Session(router, user="admin", privilege=15)
    session.feed("configure terminal", NOW)
    for line in mends(running_of(router), wanted):
        session.feed(line.strip(), NOW)
    session.feed("end", NOW)
    return running_of(router)
