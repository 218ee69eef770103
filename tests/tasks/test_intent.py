"""The front end: a site loads, and every class of mistake is told in exactly these words.

A case of `tests/golden/errors` is a file of `tests/golden/site`, what is taken out of it (`-`)
and put there (`+`; without a `-`, the whole file), and after `=` everything that is then said.
`HACC_UPDATE_GOLDEN=1` rewrites what is said: read the difference before you commit it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.compile import compile_site
from tasks.errors import Exit, HaccError
from tasks.intent import IntentError, json_schema, load_site, parse_site, secrets
from tests.strategies import texts

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "tests/golden/site"
INVENTORY = Path("inventory")  # as people type it: problems are told under this name
CASES = sorted((ROOT / "tests/golden/errors").glob("*.txt"))
UPDATE = os.environ.get("HACC_UPDATE_GOLDEN") == "1"
EXAMPLE = {file.relative_to(SITE).as_posix(): file.read_text() for file in SITE.rglob("*.yaml")}


def changed(case: str) -> dict[str, str]:
    """The site with a case's mistake in it."""
    name, *edit = case.split("\n")
    old = "\n".join(line[1:] for line in edit if line.startswith("-"))
    new = "\n".join(line[1:] for line in edit if line.startswith("+"))
    if not any(line.startswith("-") for line in edit):
        return {**EXAMPLE, name: new}
    assert old in EXAMPLE[name], f"the site has changed: it has no {old!r}"
    return {**EXAMPLE, name: EXAMPLE[name].replace(old, new, 1)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_mistake_is_told(case: Path) -> None:
    edit, _, expected = case.read_text().partition("\n=\n")
    with pytest.raises(HaccError) as refused:
        compile_site(parse_site(INVENTORY, changed(edit)))
    said = f"{refused.value}\n"
    if UPDATE:
        case.write_text(f"{edit}\n=\n{said}")
    assert said == expected or UPDATE
    assert refused.value.exit is Exit.USAGE
    assert all(problem.place is not None for problem in refused.value.problems)


def test_the_example_inventory_compiles() -> None:
    assert compile_site(load_site(ROOT / "inventory"))


def test_all_mistakes_of_a_run_are_told_at_once() -> None:
    broken = {
        "clusters/west.yaml": EXAMPLE["clusters/west.yaml"]
        .replace("lifetime: 1800", "lifetime: 0")
        .replace("backups: [ha9]", "backups: [ha99]")
        .replace("hello_ms: 200 ", "helo_ms: 200 "),
        "clusters/broken.yaml": "cluster: [",
        "hosts.yaml": EXAMPLE["hosts.yaml"].replace("198.18.1.11/24", "198.18.1.11/33"),
    }
    with pytest.raises(IntentError) as refused:
        parse_site(INVENTORY, {**EXAMPLE, **broken})
    subjects = [problem.subject for problem in refused.value.problems]
    assert subjects == [
        "YAML",
        "home_agent.lifetime",
        "controllers.redundancy.helo_ms",
        "backups[0]",
        "hacc1.data.interfaces.lan.address",
    ]


def test_a_secret_in_clear_is_never_repeated() -> None:
    for key in ('"env:FA_KEY"', '"env:HACC_HSRP_KEY"', '"env:SNMP_AUTH"'):
        text = EXAMPLE["clusters/west.yaml"].replace(key, "swordfish")
        with pytest.raises(IntentError) as refused:
            parse_site(INVENTORY, {**EXAMPLE, "clusters/west.yaml": text})
        assert "swordfish" not in str(refused.value)


def test_two_clusters_of_one_name_are_refused() -> None:
    twice = {**EXAMPLE, "clusters/more.yaml": EXAMPLE["clusters/west.yaml"]}
    with pytest.raises(IntentError, match="'west' is the name of two clusters"):
        parse_site(INVENTORY, twice)


def test_files(tmp_path: Path) -> None:
    with pytest.raises(IntentError, match="no such folder"):
        load_site(tmp_path / "nowhere")
    with pytest.raises(IntentError, match=r"clusters: no \*\.yaml in it|no routers in it"):
        load_site(tmp_path)
    (tmp_path / "clusters").mkdir()
    (tmp_path / "hosts.yaml").write_bytes(b"h:\n  hostname: caf\xe9\n")
    (tmp_path / "clusters/west.yml").write_text("cluster: west\n")
    with pytest.raises(IntentError) as refused:
        load_site(tmp_path)
    said = str(refused.value)
    assert f"{tmp_path}/hosts.yaml:2: YAML: byte 0xe9 is not UTF-8" in said
    assert f"{tmp_path}/clusters/west.yml: file: is not read [hint: name it west.yaml]" in said


def test_what_is_loaded_knows_its_places() -> None:
    site = load_site(ROOT / "tests/golden/site")
    west = site.cluster("west")
    lines = EXAMPLE["clusters/west.yaml"].splitlines()
    assert "address: 198.19.0.1 " in lines[west.home_agent.at("address").line - 1]
    assert "members: [hacc1" in lines[west.controllers.members[1].place.line - 1]
    assert "pair: west-ios" in lines[west.home_agents[2].place.line - 1]
    assert west.at("home_agent").file == str(SITE / "clusters/west.yaml")


def test_the_digest_is_of_the_texts() -> None:
    site = parse_site(INVENTORY, EXAMPLE)
    assert parse_site(Path("elsewhere"), dict(reversed(EXAMPLE.items()))).sha256 == site.sha256
    hosts = EXAMPLE["hosts.yaml"] + "# a remark\n"
    assert parse_site(INVENTORY, {**EXAMPLE, "hosts.yaml": hosts}).sha256 != site.sha256


def test_every_reference_is_found_with_its_place() -> None:
    site = parse_site(INVENTORY, EXAMPLE)
    found = secrets(site.clusters, site.inventory.hosts.values())
    written = set(re.findall(r'"((?:env|file):[^"]+)"', "".join(EXAMPLE.values())))
    assert {ref.ref for ref in found} == written
    for ref, place in found.items():
        text = EXAMPLE[Path(place.file).relative_to(INVENTORY).as_posix()]
        assert ref.ref in text.splitlines()[place.line - 1], place


@given(texts(), st.data())
def test_whatever_is_lost_of_a_file_it_is_a_problem_and_no_accident(
    files: dict[str, str], data: st.DataObject
) -> None:
    """Half-written files: cut anywhere, they load or are refused, and no other error comes out."""
    name = data.draw(st.sampled_from(sorted(files)))
    start = data.draw(st.integers(0, len(files[name])))
    length = data.draw(st.integers(1, 40))
    files[name] = files[name][:start] + files[name][start + length :]
    with contextlib.suppress(HaccError):
        compile_site(parse_site(INVENTORY, files))


# ------------------------------------------------------------------ the schema that editors use

SCHEMA = jsonschema.Draft202012Validator(json.loads(json_schema()))


def test_the_exported_schema_is_fresh() -> None:
    assert (ROOT / "docs/intent.schema.json").read_text() == json_schema(), (
        "run: python -c 'from tasks.intent import json_schema; print(json_schema(), end=\"\")' "
        "> docs/intent.schema.json"
    )


@pytest.mark.parametrize(
    "file",
    sorted(ROOT.glob("inventory/clusters/*.yaml"))
    + sorted(SITE.glob("clusters/*.yaml"))
    + sorted(ROOT.glob("tests/golden/topologies/*/clusters/*.yaml")),
    ids=lambda file: file.parts[-3],
)
def test_the_schema_takes_what_we_take(file: Path) -> None:
    SCHEMA.validate(yaml.safe_load(file.read_text()))


@given(texts())
def test_the_schema_takes_random_intents(files: dict[str, str]) -> None:
    for name, text in files.items():
        if name.startswith("clusters/"):
            SCHEMA.validate(json.loads(text))


@pytest.mark.parametrize(
    "edit",
    [
        ("hello_ms: 200 ", "helo_ms: 200 "),
        ("lifetime: 1800", "lifetime: 65536"),
        ("cluster: west", "cluster: 12"),
        ("pool: 198.19.64.0/20", "pool: anything"),
        ('"env:FA_KEY"', "swordfish"),
        ("  - {host: ha1}", "  - {name: ha1}"),
    ],
    ids=["unknown-key", "range", "type", "prefix", "secret", "member"],
)
def test_the_schema_refuses_what_we_refuse(edit: tuple[str, str]) -> None:
    text = EXAMPLE["clusters/west.yaml"].replace(*edit, 1)
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(yaml.safe_load(text))


def test_an_unknown_host_is_told_also_where_the_shape_of_the_file_is_wrong() -> None:
    text = EXAMPLE["clusters/west.yaml"]
    for old, new in (
        ("hello_ms", "hello_ns"),
        ("[hacc1, hacc2]", "[hacc1, hacc22]"),
        ("host: ha1", "host: haa1"),
        ("[ios1, ios2]", "[ios1, ios22]"),
        ("[ha9]", "[ha99]"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(IntentError) as refused:
        parse_site(INVENTORY, {**EXAMPLE, "clusters/west.yaml": text})
    told = [(problem.subject, problem.hint) for problem in refused.value.problems]
    assert told == [
        ("controllers.members[1]", "did you mean hacc2?"),
        ("controllers.redundancy.hello_ns", "did you mean hello_ms?"),
        ("home_agents[0].host", "did you mean ha1?"),
        ("home_agents[2].hosts[1]", "did you mean ios2?"),
        ("backups[0]", "did you mean ha9?"),
    ]
