"""What is imported from a pair is what the pair runs: a plan of it is empty."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from tasks.brownfield.comparing import compared
from tasks.brownfield.proposal import Proposal, propose
from tasks.brownfield.reading import covering, read
from tasks.compile import compile_site
from tasks.intent import load_site
from tasks.model import ClusterModel
from tasks.render import render
from tasks.rendered import SECRET, Platform
from tasks.running import Running, RunningFile
from tasks.secrets import resolve

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = {
    "west": ROOT / "inventory",
    **{folder.name: folder for folder in sorted((ROOT / "tests/golden/topologies").iterdir())},
}
# Realms and single nodes are members' own: a pair knows those that it serves.
PAIRS = [
    name
    for name, folder in FOLDERS.items()
    if "pair:" in "".join(file.read_text() for file in (folder / "clusters").glob("*.yaml"))
]


def keys(cluster: ClusterModel) -> Mapping[str, str]:
    """A key of its own for every reference."""
    texts = [line.text for d in cluster.devices for f in render(d).files for line in f.lines]
    refs = sorted({found["ref"] for text in texts for found in SECRET.finditer(text)})
    return {ref: f"{n:02x}" * 16 for n, ref in enumerate(refs, 17)}


def running(cluster: ClusterModel, host: str, more: str = "") -> Running:
    """What a router holds that has taken every line of ours, among others'."""
    [file] = render(cluster.device(host)).files
    theirs = "hostname theirs\nline vty 0 4\n transport input ssh\n"
    text = resolve(file.text, keys(cluster)) + more + theirs
    return Running(host, Platform.IOS, (RunningFile("running-config", text, 0),), (), True)


def pair(cluster: ClusterModel) -> tuple[str, str]:
    first, second = (d.host for d in cluster.devices if d.service and d.service.pair_peers)
    return first, second


def bare(folder: Path, to: Path) -> Path:
    """The inventory before anybody thought of a cluster: routers and how to reach them."""
    to.mkdir()
    for name in ("hosts.yaml", "groups.yaml", "defaults.yaml"):
        shutil.copy(folder / name, to)
    hosts = yaml.safe_load((to / "hosts.yaml").read_text())
    for host in hosts.values():
        if host["groups"] == ["ios"]:
            del host["data"]
    (to / "hosts.yaml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    return to


def imported(cluster: ClusterModel, held: list[Running]) -> Proposal:
    controllers = {
        d.host: [str(port.address.ip) for port in d.ports]
        for d in cluster.devices
        if d.holds_home_agent_address is False and d.service is None
    }
    halves = [read(one.host, one.files[0].text or "") for one in held]
    return propose(halves, controllers)


@pytest.mark.parametrize("name", PAIRS)
def test_an_import_of_what_we_rendered_renders_it_again(name: str, tmp_path: Path) -> None:
    [cluster] = compile_site(load_site(FOLDERS[name]))
    held = [running(cluster, host) for host in pair(cluster)]
    root = bare(FOLDERS[name], tmp_path / "inventory")
    proposal = imported(cluster, held)
    found = compared(root, proposal, held)
    assert found.problems == ()
    assert found.lines == {one.host: () for one in held}
    assert found.kept == found.lines


@pytest.fixture
def west() -> ClusterModel:
    [cluster] = compile_site(load_site(FOLDERS["west"]))
    return cluster


@pytest.mark.parametrize(
    "theirs",
    [
        "ip mobile host 10.9.9.9 10.9.9.20 virtual-network 10.9.9.0 255.255.255.0",
        "ip mobile secure foreign-agent 10.1.1.1 spi 101 key hex "
        + "0" * 32
        + " replay nonce algorithm hmac-md5",
    ],
    ids=["a-range-of-hosts", "nonces"],
)
def test_what_an_intent_has_no_words_for_is_listed(
    west: ClusterModel, tmp_path: Path, theirs: str
) -> None:
    first, second = pair(west)
    held = [running(west, first, f"{theirs}\n"), running(west, second)]
    proposal = imported(west, held)
    found = compared(bare(FOLDERS["west"], tmp_path / "inventory"), proposal, held)
    assert found.problems == ()
    (line,) = found.lines[first]
    assert line.startswith("- " + " ".join(theirs.split()[:4]))
    assert "0" * 32 not in line
    assert found.lines[second] == ()


def test_what_nobody_would_touch_is_listed_too(west: ClusterModel, tmp_path: Path) -> None:
    first, second = pair(west)
    theirs = "ip mobile home-agent reverse-tunnel off"
    held = [running(west, first, f"{theirs}\n"), running(west, second)]
    root = bare(FOLDERS["west"], tmp_path / "inventory")
    found = compared(root, imported(west, held), held)
    assert (found.lines[first], found.kept) == ((), {first: (theirs,), second: ()})


def test_secrets_are_named_and_not_shown(west: ClusterModel) -> None:
    proposal = imported(west, [running(west, host) for host in pair(west)])
    assert proposal.secrets
    for clear in filter(None, proposal.secrets.values()):
        assert clear.removeprefix("0x") not in proposal.text
        assert clear.removeprefix("0x") not in repr(proposal)
    for name in proposal.secrets:
        assert f"env:{name}" in proposal.text


def test_a_pair_without_a_word_of_mobile_ip_is_told_what_it_lacks(tmp_path: Path) -> None:
    bare_pair = [
        Running(host, Platform.IOS, (RunningFile("running-config", "hostname x\n", 0),), (), True)
        for host in ("ios1", "ios2")
    ]
    proposal = propose([read(one.host, one.files[0].text or "") for one in bare_pair], {})
    found = compared(bare(FOLDERS["west"], tmp_path / "inventory"), proposal, bare_pair)
    assert found.problems
    assert not found.lines


@pytest.mark.parametrize(
    ("low", "high", "prefix"),
    [
        ("198.19.64.1", "198.19.79.254", "198.19.64.0/20"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1/32"),
        ("10.0.0.127", "10.0.0.128", "10.0.0.0/24"),
    ],
)
def test_a_pool_of_ranges_is_the_prefix_around_them(low: str, high: str, prefix: str) -> None:
    assert covering(IPv4Address(low), IPv4Address(high)) == IPv4Network(prefix)
