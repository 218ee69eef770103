"""Rules and waivers: every mistake in them is told with its line; each rule of ours can fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.check import load_house
from tasks.check.rules import OfModel, OfText, RuleError, Rules, load_rules
from tasks.check.standards import of_intent, of_text
from tasks.check.waivers import Cover, WaiverError, load_waivers, waive
from tasks.errors import HaccError, Place
from tasks.findings import Area, Finding, Severity, Waiver
from tasks.intent import load_site
from tasks.model import Algorithm, ClusterModel, DeviceModel, Role
from tasks.render import render
from tests.clusters import ROOT, cases, v2c, west, with_group, with_service
from tests.tasks.check.test_configuration import held, opened_for

OURS = load_rules(Path("none"))
RULES = {rule.id: rule for rule in OURS.rules}


def altered(host: str, device: DeviceModel) -> ClusterModel:
    """The example with another router in the place of one of its own."""
    devices = tuple(device if one.host == host else one for one in west().devices)
    return dataclasses.replace(west(), devices=devices)


def fails(rule: str, cluster: ClusterModel) -> list[str]:
    return [one.host for one in of_intent([cluster], [RULES[rule]])]


# ------------------------------------------------------------------ our own rules


def broken() -> Mapping[str, ClusterModel]:
    """For each of our rules about the intent a cluster that breaks it."""
    ios, ha, boss = (west().device(host) for host in ("ios1", "ha1", "hacc1"))
    assert ha.service is not None
    node = ha.service.nodes[0]
    assert node.security is not None
    weak = dataclasses.replace(
        node,
        security=dataclasses.replace(node.security, algorithm=Algorithm.MD5_PREFIX_SUFFIX),
    )
    return {
        "standby-md5": altered("ios1", with_group(ios, authentication=None)),
        "standby-hold": altered("ios1", with_group(ios, hello_ms=300, hold_ms=700)),
        "standby-hello": altered("ios1", with_group(ios, hello_ms=50)),
        "ospf-authentication": altered(
            "ios1", dataclasses.replace(ios, ospf=dataclasses.replace(ios.ospf, key=None))
        ),
        "snmp-v3": altered("ios1", v2c(ios)),
        "association-algorithm": altered("ha1", with_service(ha, nodes=(weak,))),
        "association-tolerance": altered("ha1", with_service(ha, tolerance_s=300)),
        "controllers-two": dataclasses.replace(
            west(), devices=tuple(one for one in west().devices if one.host != "hacc2")
        ),
        "link-tls": altered("hacc1", dataclasses.replace(boss, link=None)),
    }


@pytest.mark.parametrize("rule", [one.id for one in OURS.rules if isinstance(one.wants, OfModel)])
def test_each_rule_about_the_intent_can_fail(rule: str) -> None:
    assert fails(rule, broken()[rule])


BREAKING = {
    "standby-preempt": "interface GigabitEthernet0/9\n standby 7 preempt\n",
    "snmp-default-community": "snmp-server community public RO\n",
    "snmp-write": "snmp-server community s3cr3t RW\n",
    "no-telnet": "line vty 0 4\n transport input telnet ssh\n",
    "no-http": "ip http server\n",
    "enable-secret": "enable password 7 0822455D0A16\n",
    "clock": "",
}
KEEPING = {
    "standby-preempt": "interface GigabitEthernet0/9\n standby 7 preempt delay minimum 20\n",
    "snmp-default-community": "snmp-server community publicly RO\n",
    "snmp-write": "snmp-server community s3cr3t RO\n",
    "no-telnet": "line vty 0 4\n transport input ssh\n",
    "no-http": "no ip http server\nip http secure-server\n",
    "enable-secret": "enable secret 9 $9$abc\n",
    "clock": "ntp server 198.18.0.1\n",
}


def said(rule: str, text: str) -> list[Finding]:
    rendered = render(west().device("ios1"))
    return list(
        of_text(
            west().device("ios1"),
            rendered,
            held(rendered, **{"running-config": text}),
            opened_for(rendered),
            [RULES[rule]],
        )
    )


@pytest.mark.parametrize("rule", [one.id for one in OURS.rules if isinstance(one.wants, OfText)])
def test_each_rule_about_the_text_fails_for_what_it_is_about_alone(rule: str) -> None:
    [finding] = said(rule, BREAKING[rule])
    assert finding.rule == f"standard.{rule}"
    assert finding.device is not None
    last = BREAKING[rule].splitlines()[-1:]
    assert finding.device.line == len(BREAKING[rule].splitlines()) * bool(last)
    assert said(rule, KEEPING[rule]) == []


def test_a_rule_sees_a_secret_and_nobody_else_does() -> None:
    [finding] = said("snmp-write", BREAKING["snmp-write"])
    assert "s3cr3t" not in repr(finding)
    assert finding.subject == "snmp-server community <secret> RW"


def test_what_several_routers_share_is_one_finding() -> None:
    devices = tuple(with_group(d, authentication=None) if d.groups else d for d in west().devices)
    findings = of_intent([dataclasses.replace(west(), devices=devices)], [RULES["standby-md5"]])
    assert [(one.host, one.subject) for one in findings] == [("ios1, ios2", "west-ios-core")]


def test_the_example_keeps_to_our_rules() -> None:
    counted = [one for one in of_intent(cases().values(), OURS.rules) if one.cluster == "west"]
    assert [one for one in counted if one.counts] == []


def test_a_rule_may_be_about_a_file_of_a_linux_router(tmp_path: Path) -> None:
    rules = own(
        tmp_path,
        f"{RULE}    platform: linux\n    file: /etc/snmp/snmpd.conf\n"
        "    must_not: 'rouser .* priv'\n",
    ).rules
    device = west().device("ha1")
    rendered = render(device)
    mine = [rule for rule in rules if rule.id == "mine"]
    [found] = of_text(device, rendered, held(rendered), opened_for(rendered), mine)
    assert found.device is not None
    assert (found.device.path, found.device.text) == ("/etc/snmp/snmpd.conf", "rouser hacc priv")
    lines = next(f.text for f in held(rendered).files if f.path == found.device.path) or ""
    assert lines.splitlines()[found.device.line - 1] == "rouser hacc priv"


# ------------------------------------------------------------------ mistakes in rules

RULE = "  - id: mine\n    sentence: s\n    severity: major\n    reason: r\n    remedy: m\n"


def refused(folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(RuleError) as caught:
        load_rules(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{RULE}    require: device.snmp.version ==\n",
         "mine.yaml:7: rules[0].require: 'device.snmp.version ==' is no expression: "
         "unexpected end"),
        (f"{RULE}    platform: ios\n    must: '('\n",
         "mine.yaml:8: rules[0].must: '(' is no regular expression: "
         "missing ), unterminated subpattern at position 0"),
        (f"{RULE}    platform: ios\n", "mine.yaml:2: rules[0].require: the rule asserts nothing "
         "(allowed: require, must, or must_not)"),
        (f"{RULE}    requires: 'true'\n", "mine.yaml:7: rules[0].requires: unknown key "
         "[hint: did you mean require?]"),
        (f"{RULE}    must: x\n", "mine.yaml:2: rules[0].file: missing (allowed: the path of a file "
         "of ours) [hint: or apply it to platform: ios]"),
        (f"{RULE}    must: x\n    file: /etc/frr/frr.cfg\n",
         "mine.yaml:8: rules[0].file: found '/etc/frr/frr.cfg' (allowed: running-config, "),
        (f"{RULE}    require: 'true'\n    must: x\n",
         "mine.yaml:8: rules[0].must: stands beside require (allowed: expressions, or patterns)"),
        (f"{RULE}    require: 'true'\n    role: [controler]\n",
         "mine.yaml:8: rules[0].role: found 'controler' (allowed: controller, home-agent, backup, "
         "gateway) [hint: did you mean controller?]"),
        (RULE.replace("major", "bad") + "    require: 'true'\n",
         "mine.yaml:4: rules[0].severity: found 'bad' (allowed: critical, major, minor, info)"),
        (f"{RULE}    require: yes\n", "mine.yaml:7: rules[0].require: found yes (allowed: a text) "
         "[hint: YAML reads yes as true: quote it to mean the text]"),
        ("  x: 1\n", "mine.yaml:1: rules: found no list (allowed: a list of `- key: value`)"),
        ("limits: {certificate_days: soon}\n",
         "mine.yaml:2: limits.certificate_days: found 'soon' (allowed: a number, 0 or more)"),
        ("limits: {versions: {frrr: x}}\n",
         "mine.yaml:2: limits.versions.frrr: unknown key [hint: did you mean frr?]"),
    ],
    ids=["expression", "pattern", "nothing", "key", "file", "other-file", "both", "role",
         "severity", "bool", "no-list", "days", "program"],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in "\n".join(
        line.replace("  [hint: known", "") for line in refused(tmp_path, mine=f"rules:\n{text}")
    )


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        a=f"rules:\n{RULE}    require: (\n",
        b=f"rules:\n{RULE}    require: '1'\n{RULE}    require: '1'\n",
    )
    assert [line.partition(": ")[0] for line in told] == ["a.yaml:7", "b.yaml:8"]
    assert "is the id of two rules" in told[1]


def own(folder: Path, text: str) -> Rules:
    (folder / "mine.yaml").write_text(f"rules:\n{text}")
    return load_rules(folder)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("require: device.snpm.version == 3", "has no attribute 'snpm'"),
        ("require: device.ospf.hello_s > 'x'", "'>' not supported"),
        ("{each: device.host_id, require: it}", "has no attribute 'host_id'"),
        ("{each: device.ospf.hello_s, require: it}", "is not a list, but int"),
        ("require: device.__class__.__mro__", "access to attribute '__class__'"),
        ("require: device.snmp.version / 0", "division by zero"),
    ],
    ids=["attribute", "types", "each", "no-list", "sandbox", "zero"],
)
def test_an_expression_that_does_not_fit_is_told_with_its_line(
    tmp_path: Path, rest: str, said: str
) -> None:
    lines = rest.strip("{}").split(", ")
    rules = own(tmp_path, RULE + "".join(f"    {line}\n" for line in lines))
    with pytest.raises(RuleError) as caught:
        of_intent([west()], rules.rules)
    [problem] = caught.value.problems  # once, however many routers it does not fit
    assert problem.place is not None
    assert (Path(problem.place.file).name, problem.place.line) == ("mine.yaml", 7)
    assert said in problem.message


def test_a_rule_of_the_site_takes_the_place_of_ours(tmp_path: Path) -> None:
    rules = own(tmp_path, RULE.replace("mine", "snmp-v3") + "    require: 'true'\n").rules
    assert [rule.sentence for rule in rules if rule.id == "snmp-v3"] == ["s"]
    assert len(rules) == len(OURS.rules)


# ------------------------------------------------------------------ waivers

TODAY = date(2026, 11, 23)
HERE = Place("waivers.yaml", 2)


def cover(rule: str = "*", host: str = "*", until: date = TODAY, subject: str = "*") -> Cover:
    return Cover(Waiver("jane", "why", until, HERE), rule, "*", host, subject)


def finding(rule: str, host: str, subject: str = "s") -> Finding:
    return Finding(rule, Area.STANDARD, Severity.MAJOR, "west", host, subject, "m")


def test_a_waiver_holds_on_its_last_day_and_not_on_the_next() -> None:
    one = finding("standard.x", "ios1")
    [told] = waive([one], [cover()], TODAY, complete=True)
    assert told.waiver is not None
    assert not told.counts
    told, expired = waive([one], [cover()], date(2026, 11, 24), complete=True)
    assert told == one
    assert (expired.rule, expired.counts) == ("waiver.expired", True)
    assert expired.intent == HERE


def test_of_several_routers_all_must_be_meant() -> None:
    both = finding("state.one-owner", "hacc1, hacc2")
    assert waive([both], [cover(host="hacc1")], TODAY, complete=False) == (both,)
    [told] = waive([both], [cover(host="hacc*")], TODAY, complete=False)
    assert told.waiver is not None


def test_one_that_covers_nothing_is_told_where_everything_was_asked() -> None:
    assert waive([], [cover()], TODAY, complete=False) == ()
    [told] = waive([], [cover()], TODAY, complete=True)
    assert (told.rule, told.severity) == ("waiver.unused", Severity.INFO)


names = st.sampled_from(["standard.a", "standard.ab", "state.a", "config.a*"])
hosts = st.sampled_from(["ios1", "ios2", "ios1, ios2", ""])


@given(
    st.lists(st.builds(finding, names, hosts), unique_by=lambda one: one.fingerprint),
    st.lists(
        st.builds(
            cover, names, st.sampled_from(["*", "ios1", "ios*"]),
            st.dates(date(2026, 11, 20), date(2026, 11, 26)),
        ),
        max_size=5,
    ),
)  # fmt: skip
def test_a_waiver_hides_no_finding_and_touches_no_other_rule(
    findings: list[Finding], covers: list[Cover]
) -> None:
    told = waive(findings, covers, TODAY, complete=True)
    kept = {one.fingerprint: one for one in told if not one.rule.startswith("waiver.")}
    assert kept.keys() == {one.fingerprint for one in findings}
    for one in findings:
        waiver = kept[one.fingerprint].waiver
        fitting = [each for each in covers if each.covers(one) and each.waiver.expires >= TODAY]
        assert (waiver is None) == (not fitting)
        assert waiver is None or waiver.expires == max(each.waiver.expires for each in fitting)
        assert kept[one.fingerprint] == dataclasses.replace(one, waiver=waiver)
    expired = [one for one in told if one.rule == "waiver.expired"]
    assert len(expired) == sum(each.waiver.expires < TODAY for each in covers)


def mistakes(tmp_path: Path, text: str) -> str:
    (tmp_path / "waivers.yaml").write_text(f"waivers:\n{text}")
    with pytest.raises(WaiverError) as caught:
        load_waivers(tmp_path, rules=["standard.no-telnet"], clusters=["west"], hosts=["ios1"])
    return str(caught.value).replace(f"{tmp_path}/", "")


GOOD = "rule: standard.no-telnet, owner: jane, reason: because, expires: 2027-03-31"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (GOOD.replace("no-telnet", "no-telnett"), "waivers.yaml:2: waivers[0].rule: "
         "'standard.no-telnett' is none of ours [hint: did you mean standard.no-telnet?]"),
        (f"{GOOD}, host: ios11", "waivers[0].host: 'ios11' is none of ours [hint: did you mean "
         "ios1?]"),
        (f"{GOOD}, cluster: east", "waivers[0].cluster: 'east' is none of ours"),
        (f"{GOOD}, hots: ios1", "waivers[0].hots: unknown key [hint: did you mean host?]"),
        (GOOD.replace("2027-03-31", "31.3.2027"), "waivers[0].expires: '31.3.2027' is no day "
         "(allowed: YEAR-MONTH-DAY: 2027-03-31)"),
        (GOOD.replace("2027-03-31", "2027-02-30"), "waivers[0].expires: '2027-02-30' is no day"),
        (GOOD.replace(", expires: 2027-03-31", ""), "waivers[0].expires: missing"),
        (GOOD.replace("owner: jane, ", ""), "waivers[0].owner: missing"),
        (GOOD.replace("because", "''"), "waivers[0].reason: is empty"),
    ],
    ids=["rule", "host", "cluster", "key", "format", "day", "no-day", "owner", "reason"],
)  # fmt: skip
def test_a_mistake_in_a_waiver_is_told_with_its_line(
    tmp_path: Path, entry: str, expected: str
) -> None:
    told = mistakes(tmp_path, f"  - {{{entry}}}\n")
    assert expected in told
    assert told.startswith("waivers.yaml:2: ")


def test_mistakes_in_rules_and_waivers_are_told_together(tmp_path: Path) -> None:
    site = dataclasses.replace(load_site(ROOT / "inventory"), root=tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mine.yaml").write_text(f"rules:\n{RULE}    require: (\n")
    (tmp_path / "waivers.yaml").write_text("waivers:\n  - {rule: standard.mine}\n")
    with pytest.raises(HaccError) as caught:
        load_house(site)
    places = [str(problem.place) for problem in caught.value.problems]
    assert places == [f"{tmp_path}/rules/mine.yaml:7"] + [f"{tmp_path}/waivers.yaml:2"] * 3


def test_a_site_without_rules_or_waivers_has_ours() -> None:
    house = load_house(load_site(ROOT / "inventory"))
    assert house.covers == ()
    assert len(house.rules.rules) == len(OURS.rules)
    with pytest.raises(HaccError, match="no such folder"):
        load_house(load_site(ROOT / "inventory"), Path("/no/such/rules"))


def test_roles_and_addresses_can_be_spoken_of(tmp_path: Path) -> None:
    """What rules are written about is what the model is made of."""
    rules = own(
        tmp_path,
        f"{RULE}    each: cluster.devices\n    when: it.role == 'home-agent'\n"
        "    require: it.home_agent_address|string == '198.19.0.1'\n    subject: it.host\n",
    ).rules
    assert of_intent([west()], [rule for rule in rules if rule.id == "mine"]) == ()
    assert west().device("ha1").role is Role.HOME_AGENT
    assert west().device("ha1").home_agent_address == IPv4Address("198.19.0.1")
