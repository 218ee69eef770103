"""The agent on a router of its own: started by a push, and gone again, or never let in."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hacc_agent.config import AgentConfig, Durability, to_toml
from lab.lab import Lab
from tasks import rollback
from tasks.errors import Exit
from tasks.opening import open_all
from tasks.pki import create_authority, issue
from tasks.proofs import keys
from tasks.render import AGENT_CONFIG, render
from tasks.rendered import Platform, Rendered
from tasks.secrets import resolve
from tests import clusters
from tests.lab.labs import topology
from tests.tasks.push.test_push_linux import Site, file, said

pytestmark = pytest.mark.lab

UNIT = "/etc/systemd/system/hacc-agent.service"
KEY = "0123456789abcdef" * 2
OPENED = dict.fromkeys(("env:MN_EXAMPLE_KEY", "env:FA_KEY", "file:keys/mn7"), KEY)
STATE = (
    "pgrep -f '[h]acc_agent.*run'; systemctl is-active hacc-agent; "
    "systemctl is-enabled hacc-agent; ls -A /etc/hacc "
    "/etc/systemd/system /etc/systemd/system/multi-user.target.wants"
)


def told() -> AgentConfig:
    agent = clusters.member("ha1").agent
    assert agent is not None
    return agent


def router(config: AgentConfig, *, unit_says: str = "") -> dict[str, Rendered]:
    unit = next(file for file in render(clusters.member("ha1")).files if file.path == UNIT)
    files = (file(AGENT_CONFIG, to_toml(config), 0o600), file(UNIT, unit.text + unit_says, 0o644))
    return {"r1": Rendered("r1", Platform.LINUX, files)}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(topology("pushagent", 1), keep_host_keys=False) as lab:
        assert lab.run("r1", "ip", "addr", "add", "198.18.1.21/24", "dev", "lan").returncode == 0
        yield lab


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    lab.run("r1", "sh", "-c", "rm -f /var/lib/hacc/journal.*")  # of another cluster's router
    return Site(lab, tmp_path / ".hacc")


def process(site: Site) -> str:
    return site.sh("r1", "systemctl show -p MainPID hacc-agent").strip()


def digest(site: Site) -> str:
    value: str = json.loads(site.sh("r1", "hacc-agent status --json"))["configuration"]
    return value


def digest_of(wanted: dict[str, Rendered]) -> str:
    return hashlib.sha256(resolve(wanted["r1"].files[0].text, OPENED).encode()).hexdigest()


def test_it_runs_with_what_was_pushed_and_is_gone_after_the_way_back(site: Site) -> None:
    before = site.sh("r1", STATE)
    runs = []

    def body() -> None:
        with site.orchestrator(router(told())) as hacc:
            hacc.opened = OPENED
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            runs.append(applied.run)
            assert site.sh("r1", "systemctl is-active hacc-agent") == "active\n"
            assert site.sh("r1", "systemctl is-enabled hacc-agent") == "enabled\n"
            assert '"name": "ha1"' in site.sh("r1", "hacc-agent status --json")
            assert hacc.plan().empty
            first = process(site)

            hacc.wanted = router(dataclasses.replace(told(), lifetime_s=900))
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            runs.append(applied.run)
            assert process(site) == first, "a longer lifetime needs no restart"
            assert digest(site) == digest_of(hacc.wanted)

            hacc.wanted = router(dataclasses.replace(told(), durability=Durability.PROCESS))
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            runs.append(applied.run)
            assert process(site) != first, "another way to write its journal needs one"
            assert digest(site) == digest_of(hacc.wanted)
            first = process(site)

            hacc.wanted = router(
                dataclasses.replace(told(), durability=Durability.PROCESS),
                unit_says="# another word\n",
            )
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            assert process(site) != first, "a unit that has changed is another way to run"
            runs.append(applied.run)
            for run in reversed(runs):
                back = rollback.rollback(run, hacc.fleet, work=site.work)
                assert back.exit is Exit.OK, said(back)

    site.inside(body)
    assert site.sh("r1", STATE) == before


def test_it_listens_with_the_certificates_that_hacc_pki_made(site: Site, tmp_path: Path) -> None:
    """... of which the router gets files that begin with whose they are."""
    before = site.sh("r1", STATE)
    model = clusters.cases()["radius"].device("ha1")
    now = datetime.now(UTC)
    create_authority(tmp_path / "pki/site", "site", now)
    issue(tmp_path / "pki/site", "site", "ha1", now)
    uses = {ref: clusters.HERE for ref, *_ in keys.uses((clusters.cases()["radius"],))}
    pems = open_all({r: p for r, p in uses.items() if "ha1" in r.ref or "auth" in r.ref},
                    tmp_path, {})  # fmt: skip
    assert len(pems) == 3
    wanted = [f for f in render(model).present if f.path.startswith(("/etc/hacc/", "/etc/systemd"))]
    wanted = [
        dataclasses.replace(f, lines=tuple(
            dataclasses.replace(line, text=line.text.replace('"eth1"', '"lan"'))
            for line in f.lines
        ))
        for f in wanted
    ]  # fmt: skip

    def body() -> None:
        with site.orchestrator({"r1": Rendered("r1", Platform.LINUX, tuple(wanted))}) as hacc:
            hacc.opened = pems | {ref.ref: KEY for ref in uses if ref.ref.startswith("env:")}
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.OK, said(applied)
            assert hacc.plan().empty
            assert ":4435" in site.sh("r1", "ss -Hltn")
            assert "PRIVATE" not in site.sh("r1", "cat /etc/hacc/*.pem")
            back = rollback.rollback("last", hacc.fleet, work=site.work)
            assert back.exit is Exit.OK, said(back)

    site.inside(body)
    assert site.sh("r1", STATE) == before


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda text: text.replace('name = "ha1"', 'name = "hx"', 1),
         "name: 'hx' is a home-agent but not listed as one"),
        (lambda text: text.replace('interface = "lan"', 'interface = "nowhere"'), "nowhere"),
    ],
    ids=["refused-by-check-config", "does-not-start"],
)  # fmt: skip
def test_what_the_daemon_cannot_run_with_leaves_no_trace(
    site: Site, break_it: Callable[[str], str], reason: str
) -> None:
    before = site.sh("r1", STATE)
    good = router(told())["r1"]
    toml, unit = good.files
    bad = dataclasses.replace(good, files=(file(AGENT_CONFIG, break_it(toml.text), 0o600), unit))

    def body() -> None:
        with site.orchestrator({"r1": bad}) as hacc:
            hacc.opened = OPENED
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.DEVICE
            assert reason in said(applied)
            assert KEY not in said(applied)

    site.inside(body)
    assert site.sh("r1", STATE) == before


def test_a_router_without_the_agent_is_refused(site: Site) -> None:
    before = site.sh("r1", STATE)

    def body() -> None:
        with site.orchestrator(router(told())) as hacc:
            hacc.opened = OPENED
            applied = hacc.apply(hacc.plan())
            assert applied.exit is Exit.DEVICE
            assert "hacc-agent is not installed on this router" in said(applied)

    site.sh("r1", "mv /usr/local/bin/hacc-agent /usr/local/bin/hidden")
    try:
        site.inside(body)
    finally:
        site.sh("r1", "mv /usr/local/bin/hidden /usr/local/bin/hacc-agent")
    assert site.sh("r1", STATE) == before
