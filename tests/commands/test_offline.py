"""The commands that touch no router, as a user meets them: results, formats, exit codes."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from hacc_agent import __version__
from tests.commands.program import ROOT, Desk

COMMANDS = (
    (),
    ("validate",),
    ("render",),
    ("explain",),
    ("plan",),
    ("apply",),
    ("verify",),
    ("rollback",),
    ("lab",),
    ("lab", "up"),
    ("lab", "break"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(desk: Desk, words: tuple[str, ...]) -> None:
    told = desk.hacc(*words, "--help").ends(0)
    assert told.err == ""
    assert " ".join(("Usage: hacc", *words)) in told.out


def test_the_version_is_the_package_s(desk: Desk) -> None:
    assert desk.hacc("--version").ends(0).out == f"hacc {__version__}\n"


def test_a_sound_intent_is_told_in_a_line_a_cluster(desk: Desk) -> None:
    told = desk.hacc("validate").ends(0)
    assert re.fullmatch(r"west: 5 routers, \d+ lines; \d+ invariants proven\n", told.out)
    assert told.err == ""
    assert desk.hacc("validate", "--secrets").ends(0).out.endswith("proven, keys fit\n")


def test_what_was_validated_as_json(desk: Desk) -> None:
    value = desk.hacc("validate", "--json").ends(0).value
    assert value["clusters"] == ["west"]
    assert value["routers"] == ["ha1", "hacc1", "hacc2", "ios1", "ios2"]


def test_the_schema_that_editors_complete_with_is_the_one_in_docs(desk: Desk) -> None:
    printed = desk.hacc("validate", "--schema").ends(0)
    assert printed.out == (ROOT / "docs" / "intent.schema.json").read_text()


def test_render_prints_every_file_of_every_router_with_its_secrets_sealed(desk: Desk) -> None:
    told = desk.hacc("render").ends(0)
    headings = re.findall(r"^! (\S+) (\S+)$", told.out, re.MULTILINE)
    assert {host for host, _ in headings} == {"ha1", "hacc1", "hacc2", "ios1", "ios2"}
    assert ("ios1", "running-config") in headings
    assert ("hacc1", "/etc/frr/frr.conf") in headings
    assert "<secret env:OSPF_KEY" in told.out
    assert desk.hacc("render").out == told.out, "twice the same"


def test_render_writes_the_files_that_it_prints(desk: Desk) -> None:
    printed = desk.hacc("render", "ha1", "--json").ends(0).value
    desk.hacc("render", "ha1", "-o", "texts").ends(0)
    written = {
        f"/{path.relative_to(desk.place / 'texts' / 'ha1')}": path.read_text()
        for path in (desk.place / "texts").rglob("*")
        if path.is_file()
    }
    assert written == printed["ha1"]


def test_the_sheet_is_for_those_who_configure_mobile_nodes(desk: Desk) -> None:
    told = desk.hacc("render", "--sheet").ends(0).out
    assert "198.19.0.1" in told
    assert "@example.net" in told


def test_the_entries_of_a_radius_server_are_written_for_its_owner_alone(desk: Desk) -> None:
    told = desk.hacc("render", "--radius").ends(1)
    assert "west: has no RADIUS server that its routers ask" in told.err
    assert "--radius --output DIR" in desk.hacc("render", "--open").ends(1).err
    text = desk.intent.read_text()
    radius = 'radius: {server: 198.18.0.40, secret: "env:REALM_KEY"}\n'
    desk.intent.write_text(text + radius)
    assert "secret = '<secret env:REALM_KEY>'" in desk.hacc("render", "--radius").ends(0).out
    desk.hacc("render", "--radius", "--open", "-o", "raddb").ends(0)
    files = [path for path in (desk.place / "raddb").rglob("*") if path.is_file()]
    assert [path.name for path in sorted(files)] == ["clients-hacc-west.conf", "hacc-west"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not any("<secret" in path.read_text() for path in files)


def test_unverified_forms_are_listed_with_their_places(desk: Desk) -> None:
    told = desk.hacc("render", "--report-unverified").ends(0)
    lines = told.out.splitlines()
    assert lines
    value = desk.hacc("render", "--report-unverified", "--json").ends(0).value
    assert told.err.startswith(f"{len(value)} lines")
    assert [line for line in lines if re.match(r"ios[12] running-config:\d+: ip mobile ", line)]


def test_explain_leads_from_a_line_to_the_template_and_the_intent(desk: Desk) -> None:
    told = desk.hacc("explain", "ios1", "standby 20 ip").ends(0).out
    number = 1 + desk.intent.read_text().splitlines().index(
        "        - {lan: core, group: 20, address: 198.18.1.253}"
    )
    assert "standby 20 ip 198.18.1.253" in told
    assert re.search(r"made by templates/ios/\S+:\d+", told)
    assert f"inventory/clusters/west.yaml:{number}" in told
    value = desk.hacc("explain", "ios1", "standby 20 ip", "--json").ends(0).value
    assert [origin["host"] for origin in value] == ["ios1"]


def test_the_inventory_may_be_named_by_the_environment(desk: Desk) -> None:
    (desk.place / "inventory").rename(desk.place / "elsewhere")
    desk.secrets["HACC_INVENTORY"] = "elsewhere"
    desk.hacc("validate").ends(0)


def test_a_reader_who_leaves_early_is_no_error(desk: Desk) -> None:
    """`hacc render | head -1`, with a reader who has left before the first line."""
    with desk.start("render") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, "")


def test_colours_only_where_there_is_somebody_to_see_them(desk: Desk) -> None:
    """Asked for by the environment, they come even into a pipe; otherwise never (see `Done`)."""
    desk.secrets["FORCE_COLOR"] = "1"
    with desk.start("render", "nobody") as process:
        _, err = process.communicate(timeout=60)
    assert "\x1b[" in err


USAGE = {
    "no-such-command": (("provision",), "No such command 'provision'"),
    "no-such-option": (("plan", "--forcefully"), "No such option"),
    "argument-missing": (("explain", "ios1"), "Missing argument"),
    "no-such-impact": (
        ("apply", "--allow", "everything"),
        "--allow: 'everything' is no impact\n"
        "    allowed: re-election, binding-loss, adjacency-reset, lock-out\n",
    ),
    "no-such-router": (
        ("render", "ios3"),
        "ios3: no such router in any cluster\n    hint: did you mean ios2?\n",
    ),
    "no-such-cluster": (
        ("plan", "--cluster", "wets"),
        "inventory/clusters: wets: no such cluster\n    hint: did you mean west?\n",
    ),
    "no-such-line": (("explain", "ios1", "router bgp"), "ios1: "),
    "no-such-inventory": (
        ("validate", "--inventory", "nowhere"),
        "nowhere: inventory: no such folder\n"
        "    hint: name the folder that holds hosts.yaml and clusters/\n",
    ),
    "no-such-plan": (
        ("apply", "none.json"),
        "none.json: plan: cannot be read: no such file or directory\n"
        "    hint: make one with: hacc plan -o FILE\n",
    ),
    "no-runs": (("rollback", "--yes"), "there are no runs"),
    "no-such-folder-to-write": (("render", "-o", "inventory/hosts.yaml/x"), "not a directory"),
    "plan-into-no-folder": (("plan", "-o", "no/such/folder.json"), "no: no such file"),
}


@pytest.mark.parametrize("case", USAGE)
def test_a_mistake_on_the_command_line_is_told_and_ends_with_1(desk: Desk, case: str) -> None:
    words, message = USAGE[case]
    told = desk.hacc(*words).ends(1)
    assert message in " ".join(told.err.split()) or message in told.err, told.err
    assert told.out == ""


def test_problems_are_json_too_when_json_is_asked_for(desk: Desk) -> None:
    told = desk.hacc("render", "ios3", "--json").ends(1)
    assert told.out == ""
    assert [json.loads(line) for line in told.err.splitlines()] == [
        {
            "place": None,
            "subject": "ios3",
            "message": "no such router in any cluster",
            "allowed": "",
            "hint": "did you mean ios2?",
            "also": [],
        }
    ]


def test_it_runs_where_nobody_is_at_home(desk: Desk) -> None:
    """A scheduled job: no HOME, no terminal, C locale, and `render` has a place in the middle."""
    environment = desk.environment() | {"HOME": "/nonexistent", "LANG": "C", "LC_ALL": "C"}
    done = subprocess.run(
        desk.command("render", "--sheet"),
        cwd=desk.place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
