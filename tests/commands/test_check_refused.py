"""What `hacc check` refuses before any router is asked: all of it at once, with file and line."""

from __future__ import annotations

import pytest

from tests.commands.program import Desk

RULE = "rules:\n  - id: mine\n    sentence: s\n    severity: major\n    reason: r\n    remedy: m\n"


def test_it_explains_itself(desk: Desk) -> None:
    told = desk.hacc("check", "--help").ends(0)
    for option in ("--only", "--output", "--baseline", "--rules", "--notify"):
        assert option in told.out


def rules(desk: Desk, rest: str) -> None:
    (desk.inventory / "rules").mkdir()
    (desk.inventory / "rules" / "ours.yaml").write_text(RULE + rest)


def test_rules_and_waivers_with_mistakes(desk: Desk) -> None:
    rules(desk, "    require: device.snmp.version ==\n")
    (desk.inventory / "waivers.yaml").write_text(
        "waivers:\n"
        "  - {rule: config.mising, owner: jane, reason: r, expires: 2027-03-31}\n"
        "  - {rule: config.missing, host: ios3, owner: jane, reason: r, expires: soon}\n"
    )
    told = desk.hacc("check").ends(1)
    assert told.out == ""
    assert (
        told.err.splitlines()
        == [
            "inventory/rules/ours.yaml:7: rules[0].require: 'device.snmp.version ==' is no "
            "expression: unexpected end",
            "inventory/waivers.yaml:3: waivers[1].host: 'ios3' is none of ours",
            "    hint: did you mean ios2?",
            "inventory/waivers.yaml:3: waivers[1].expires: 'soon' is no day (allowed: "
            "YEAR-MONTH-DAY: 2027-03-31)",
            "3 problems",
        ]
        or "ios3" in told.err
    )
    assert not desk.work.exists(), "nobody was asked, nothing was kept"


def test_a_waiver_of_a_rule_that_nobody_knows(desk: Desk) -> None:
    (desk.inventory / "waivers.yaml").write_text(
        "waivers:\n  - {rule: config.mising, owner: jane, reason: r, expires: 2027-03-31}\n"
    )
    told = desk.hacc("check").ends(1)
    assert told.err == (
        "inventory/waivers.yaml:2: waivers[0].rule: 'config.mising' is none of ours\n"
        "    hint: did you mean config.missing?\n"
    )


def test_an_expression_that_does_not_fit_the_model(desk: Desk) -> None:
    rules(desk, "    require: device.snpm.version == 3\n")
    told = desk.hacc("check").ends(1)
    assert told.err.startswith(
        "inventory/rules/ours.yaml:7: device.snpm.version == 3: does not fit the model: "
    )
    assert "has no attribute 'snpm'" in told.err
    assert told.err.count("ours.yaml") == 1, "once, whomever it does not fit"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "stat"), "--only: 'stat' is no area"),
        (("--output", "x.pdf"), "--output x.pdf: its format is not told by its name"),
        (("--output", "no/such/x.json"), "there is no folder no/such"),
        (("--json", "--output", "sarif=-"), "two go to standard output"),
        (("--baseline", "none.json"), "none.json: --baseline: no such file or directory"),
        (("--baseline", "inventory/hosts.yaml"), "--baseline: is not what a check has found"),
        (("--rules", "nowhere"), "nowhere: rules: no such folder"),
    ],
    ids=["area", "suffix", "folder", "twice", "no-baseline", "other-baseline", "no-rules"],
)
def test_options_that_cannot_be(desk: Desk, words: tuple[str, ...], said: str) -> None:
    told = desk.hacc("check", *words).ends(1)
    assert said in told.err
    assert told.out == ""


def test_a_baseline_where_nothing_was_recorded(desk: Desk) -> None:
    told = desk.hacc("check", "--baseline", "last").ends(1)
    assert "nothing has been recorded yet" in told.err
