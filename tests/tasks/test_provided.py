"""Any Nornir inventory plugin serves; what is not ours is left alone; what fails is told."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from tasks.errors import Exit, HaccError
from tasks.intent import load_site
from tasks.inventory import HostFacts
from tasks.pipeline import prepare

ROOT = Path(__file__).resolve().parent.parent.parent
PLUGINS = "tests.tasks.inventory_plugins"
CLUSTER = """\
cluster: west
home_agent: {address: 10.0.3.1, networks: [10.0.64.0/18]}
lans: {core: {network: 10.0.0.0/24}}
controllers:
  members: [r1, r2]
  redundancy: {protocol: vrrp, groups: [{lan: core, group: 1, address: 10.0.0.254}]}
home_agents: [r3]
mobile_nodes:
  - {realm: "@w.example", pool: 10.0.64.0/19, security: {spi: 0x100, key: "env:MN_KEY"}}
snmp: {version: 2c, community: "env:COMMUNITY"}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory without hosts.yaml."""
    monkeypatch.setenv("SITE_TOKEN", "token-of-the-site")
    folder = tmp_path / "inventory"
    (folder / "clusters").mkdir(parents=True)
    (folder / "clusters/west.yaml").write_text(CLUSTER)
    (folder / "defaults.yaml").write_text('data: {password: "env:PASSWORD"}\n')
    return folder


def keep(root: Path, plugin: str, options: str = '{token: "env:SITE_TOKEN"}') -> None:
    (root / "nornir.yaml").write_text(
        f"# who keeps our routers\ninventory:\n  plugin: {plugin}\n  options: {options}\n"
    )


def test_nornirs_own_plugin_says_what_our_reader_says(tmp_path: Path) -> None:
    """SimpleInventory on the same files: the same routers, but for the lines."""
    ours = load_site(ROOT / "inventory")
    folder = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory/clusters", folder / "clusters")
    files = {kind: ROOT / f"inventory/{kind}s.yaml" for kind in ("host", "group")}
    keep(
        folder,
        "SimpleInventory",
        f"{{host_file: {files['host']}, group_file: {files['group']}, "
        f"defaults_file: {ROOT / 'inventory/defaults.yaml'}}}",
    )
    theirs = load_site(folder)
    for name, facts in ours.inventory.hosts.items():
        found = theirs.inventory[name]
        assert str(found.place) == f"{folder}/nornir.yaml (SimpleInventory)"
        assert said(found) == said(facts)


def said(facts: HostFacts) -> dict[str, object]:
    """All but the lines."""
    values = {f.name: getattr(facts, f.name) for f in dataclasses.fields(facts)}
    values["interfaces"] = [(i.name, i.lan, i.address) for i in facts.interfaces]
    return {name: value for name, value in values.items() if not name.endswith("place")}


def test_what_no_intent_names_is_left_alone_and_known(root: Path) -> None:
    keep(root, f"{PLUGINS}:Site", '{token: "env:SITE_TOKEN", devices: 4}')
    prepared = prepare(root)
    inventory = prepared.site.inventory
    assert [*prepared.rendered] == ["r1", "r2", "r3"]
    assert inventory.others == ("r4", "switch1", "no good name, and no platform")
    assert inventory["r1"].username == "root"
    assert inventory["r1"].data["site"] == {"slug": "west", "tags": ["a", None, 7]}
    assert inventory["r1"].password is not None, "of defaults.yaml, beside the plugin"


def test_the_files_beside_it_add_and_count(root: Path) -> None:
    keep(root, f"{PLUGINS}:Site")
    (root / "hosts.yaml").write_text(
        "r1: {port: 2222, data: {router_id: 10.0.1.200}}\n"
        "extra: {platform: linux, hostname: 192.0.2.99}\n"
    )
    inventory = load_site(root).inventory
    assert inventory["r1"].port == 2222
    assert str(inventory["r1"].router_id) == "10.0.1.200"
    assert str(inventory["r1"].hostname) == "192.0.2.1"
    assert inventory["extra"].hostname == "192.0.2.99"


def test_a_plan_knows_when_the_inventory_has_changed(root: Path) -> None:
    keep(root, f"{PLUGINS}:Site")
    before = load_site(root).sha256
    assert load_site(root).sha256 == before
    text = (root / "nornir.yaml").read_text()
    (root / "nornir.yaml").write_text(text.replace('SITE_TOKEN"', 'SITE_TOKEN", devices: 9'))
    assert load_site(root).sha256 != before


@pytest.mark.parametrize(
    ("plugin", "options", "said"),
    [
        (
            f"{PLUGINS}:Breaking",
            '{token: "env:SITE_TOKEN"}',
            ":3: {plugin}: the inventory plugin failed: ConnectionResetError: page 2 of 7: "
            "<secret env:SITE_TOKEN> was sent [hint",
        ),
        (f"{PLUGINS}:Nothing", "{}", "failed: TypeError: it gave dict, not an Inventory"),
        (f"{PLUGINS}:Strange", "{}", "failed: TypeError: r1 is str, not a Host"),
        (f"{PLUGINS}:Site", "{}", "failed: TypeError: "),
        (f"{PLUGINS}:Clear", "{}", "r1.password: Nornir's own field would hold it in clear text"),
        (f"{PLUGINS}:Missing", "{}", "no plugin"),
        ("no.such.module:Class", "{}", "no plugin 'no.such.module:Class': No module named 'no'"),
        ("SimpleInventry", "{}", "did you mean SimpleInventory?"),
        ("SimpleInventory", "{host_file: /nowhere}", "FileNotFoundError"),
        (f"{PLUGINS}:Site", '{token: "env:NOT_SET"}', "the environment has no NOT_SET"),
        ("[1]", "{}", "inventory.plugin: found [1]"),
        (f"{PLUGINS}:Site", "[1]", "inventory.options: found [1] (allowed: a mapping)"),
        (f"{PLUGINS}:Site\n  plugins: x", "{}", "inventory.plugins: unknown key"),
    ],
)
def test_a_plugin_that_gives_no_inventory_is_told_by_its_name(
    root: Path, plugin: str, options: str, said: str
) -> None:
    keep(root, plugin, options)
    with pytest.raises(HaccError) as refused:
        load_site(root)
    assert refused.value.exit is Exit.USAGE
    assert said.format(plugin=plugin) in str(refused.value)
    assert "nornir.yaml" in str(refused.value)
    assert "token-of-the-site" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_nornir_yaml_without_an_inventory_is_told(root: Path) -> None:
    (root / "nornir.yaml").write_text("logging: {enabled: false}\n")
    with pytest.raises(HaccError, match="inventory: missing"):
        load_site(root)
