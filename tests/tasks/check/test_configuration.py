"""A router that was just brought to the intent has no finding; one changed line is one finding."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.check.configuration import judge
from tasks.findings import DeviceLine, Finding
from tasks.model import DeviceModel
from tasks.render import render
from tasks.rendered import SECRET, File, Rendered
from tasks.running import Running, RunningFile
from tasks.secrets import resolve
from tests.clusters import cases

DEVICES = {
    f"{name}-{device.host}": device
    for name, cluster in cases().items()
    for device in cluster.devices
}


def opened_for(rendered: Rendered) -> dict[str, str]:
    """A value for each secret of a router, found nowhere else."""
    refs = {token["ref"] for file in rendered.files for token in SECRET.finditer(file.text)}
    return {ref: hashlib.md5(ref.encode(), usedforsecurity=False).hexdigest() for ref in refs}


def held(rendered: Rendered, **instead: str | None) -> Running:
    """A router that holds exactly what is rendered, but for the files that are given."""
    opened = opened_for(rendered)
    files = tuple(
        RunningFile(file.path, instead.get(file.path, resolve(file.text, opened)), file.mode)
        for file in rendered.present
    )
    return Running(rendered.host, rendered.platform, files, (), revert_timer=True)


def found(device: DeviceModel, running: Running) -> list[Finding]:
    rendered = render(device)
    return list(judge(device, rendered, running, opened_for(rendered)))


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_a_router_that_was_just_brought_to_the_intent_has_no_finding(device: DeviceModel) -> None:
    assert found(device, held(render(device))) == []


def leaves(file: File) -> Iterator[int]:
    """Lines that say something and that no deeper line follows, from 0."""
    lines = [line.text for line in file.lines]
    for number, text in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        deeper = len(below) - len(below.lstrip()) > len(text) - len(text.lstrip())
        if text.strip() not in ("", "!", "exit", "end", "}") and not deeper:
            yield number


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
@settings(max_examples=8)  # for each router: 300 lines are looked at in a run
@given(st.data())
def test_a_line_that_is_gone_is_one_finding_that_names_it(
    device: DeviceModel, data: st.DataObject
) -> None:
    rendered = render(device)
    file = data.draw(st.sampled_from([file for file in rendered.present if file.lines]))
    number = data.draw(st.sampled_from(list(leaves(file))))
    opened = opened_for(rendered)
    kept = [line for at, line in enumerate(file.lines) if at != number]
    text = resolve("".join(f"{line.text}\n" for line in kept), opened)
    [finding] = found(device, held(rendered, **{file.path: text}))
    gone = file.lines[number]
    assert finding.rule == "config.missing"
    assert gone.text.strip() in finding.message
    assert finding.subject.endswith(gone.text.strip())
    assert finding.intent == gone.intent[0]
    assert finding.device is not None
    assert (finding.device.path, finding.device.line) == (file.path, 0)


# Lines that only we may have on an IOS router, as somebody may have typed them.
MORE = (
    "ip prefix-list hacc-more seq 5 permit 203.0.113.0/24",
    "route-map hacc-more permit 10",
    "ip mobile virtual-network 203.0.113.0 255.255.255.0",
    "track 500 interface GigabitEthernet0/1 line-protocol",
    " standby 77 priority 120",
)


@pytest.mark.parametrize("line", MORE)
@given(st.data())
def test_a_line_of_ours_too_many_is_one_finding_at_its_number(
    line: str, data: st.DataObject
) -> None:
    device = DEVICES["west-ios1"]
    rendered = render(device)
    lines = resolve(rendered.files[0].text, opened_for(rendered)).splitlines()
    ports = [n for n, text in enumerate(lines, 1) if text.startswith("interface GigabitEthernet")]
    tops = [n for n, text in enumerate(lines) if not text.startswith(" ")]
    at = data.draw(st.sampled_from(ports if line.startswith(" ") else tops))
    lines.insert(at, line)
    [finding] = found(device, held(rendered, **{"running-config": "\n".join(lines) + "\n"}))
    assert finding.rule == "config.extra"
    assert finding.device == DeviceLine("running-config", at + 1, line.strip())


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
@settings(max_examples=8)  # for each router: 300 lines are looked at in a run
@given(st.data())
def test_no_finding_shows_a_secret(device: DeviceModel, data: st.DataObject) -> None:
    """Whatever somebody has changed around it."""
    rendered = render(device)
    opened = opened_for(rendered)
    file = data.draw(st.sampled_from([file for file in rendered.present if file.lines]))
    lines = resolve(file.text, opened).splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(st.sampled_from(["", f"{lines[number]} more", lines[number][1:]]))
    told = repr(found(device, held(rendered, **{file.path: "\n".join(lines) + "\n"})))
    for clear in opened.values():
        assert clear not in told


# ------------------------------------------------------------------ files, and what runs


def with_file(rendered: Rendered, path: str, **fields: object) -> Running:
    running = held(rendered)
    files = tuple(
        dataclasses.replace(file, **fields) if file.path == path else file  # type: ignore[arg-type]  # fields by name
        for file in running.files
    )
    return dataclasses.replace(running, files=files)


FRR = "/etc/frr/frr.conf"


def test_what_runs_counts_and_what_is_not_saved_is_told() -> None:
    device = DEVICES["west-ha1"]
    rendered = render(device)
    text = next(file.in_force for file in held(rendered).files if file.path == FRR)
    other = text.replace(" ip ospf hello-interval 1\n", " ip ospf hello-interval 9\n")
    assert other != text
    [runs] = found(device, with_file(rendered, FRR, live=other))
    assert runs.rule == "config.differs"
    assert runs.device is not None
    assert runs.device.path == f"{FRR} as it runs"
    [unsaved] = found(device, with_file(rendered, FRR, text=other, live=text))
    assert unsaved.rule == "config.unsaved"
    assert unsaved.device is not None
    assert unsaved.device.path == FRR


def test_a_file_that_is_not_there_is_one_finding() -> None:
    device = DEVICES["west-ha1"]
    rendered = render(device)
    [gone] = found(device, with_file(rendered, "/etc/snmp/snmpd.conf", text=None, mode=0))
    assert (gone.rule, gone.message) == ("config.file", "/etc/snmp/snmpd.conf is not there")
    running = held(rendered)
    absent = next(file for file in rendered.files if file.absent)
    ours = RunningFile(absent.path, "# Managed by hacc for cluster west\n", 0o600)
    theirs = RunningFile(absent.path, "# somebody's\n", 0o600)
    files = (*running.files, ours)
    [left] = found(device, dataclasses.replace(running, files=files))
    assert (left.rule, left.subject) == ("config.file", absent.path)
    assert found(device, dataclasses.replace(running, files=(*running.files, theirs))) == []


def test_a_file_that_others_may_read_is_told() -> None:
    device = DEVICES["west-ha1"]
    [mode] = found(device, with_file(render(device), "/etc/snmp/snmpd.conf", mode=0o644))
    assert (mode.rule, mode.message) == (
        "config.mode",
        "/etc/snmp/snmpd.conf has mode 0644, not 0600",
    )


def test_somebody_elses_line_in_our_way_is_told_with_both_lines() -> None:
    """Which `hacc plan` refuses."""
    device = DEVICES["west-ha1"]
    rendered = render(device)
    path = "/etc/frr/daemons"
    running = with_file(rendered, path, text="vtysh_enable=yes\nospfd=yes more\n")
    [finding] = found(device, running)
    assert finding.rule == "config.foreign"
    assert finding.subject == f"{path}: ospfd=yes"
    assert finding.device is not None
    assert finding.device.line == 2
