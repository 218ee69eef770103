"""agent.toml: what is written can be read, and what is wrong in it is told with its line."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent import cli
from hacc_agent.config import AgentConfig, ConfigError, Role, Transport, parse, to_toml
from hacc_agent.tomldata import Matches, Range
from tasks.compile import compile_site
from tasks.intent import Site, load_site
from tests.strategies import intents

ROOT = Path(__file__).resolve().parents[2]
(WEST,) = compile_site(load_site(ROOT / "tests/golden/site"))


def agent(host: str) -> AgentConfig:
    found = WEST.device(host).agent
    assert found is not None
    return found


# ------------------------------------------------------------------ the way there and back


@given(intents())
def test_what_the_compiler_writes_the_daemon_reads(site: Site) -> None:
    for model in compile_site(site):
        for device in model.devices:
            if device.agent is not None:
                text = to_toml(device.agent)
                assert parse(text, "agent.toml") == device.agent
                assert to_toml(parse(text, "agent.toml")) == text


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a hint of agent.toml's dataclasses allows, its bounds included."""
    if get_origin(hint) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(hint) if part is not type(None))
        return st.none() | values(kind)
    if get_origin(hint) is Annotated:
        kind, rule = get_args(hint)
        if isinstance(rule, Matches):
            return st.from_regex(rule.form, fullmatch=True, alphabet=st.characters(codec="utf-8"))
        assert isinstance(rule, Range)
        assert kind in (int, float)
        if kind is int:
            return st.integers(int(rule.low), int(rule.high))
        return st.floats(rule.low, rule.high)
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=3).map(tuple)
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        hints = get_type_hints(hint, include_extras=True)
        return st.builds(hint, **{name: values(kind) for name, kind in hints.items()})
    if hint is str:
        return st.text(st.characters(codec="utf-8"))
    if hint is IPv4Address:
        return st.ip_addresses(v=4)
    return st.from_type(hint)


HINTS = get_type_hints(AgentConfig, include_extras=True)
WITH_DEFAULT = [
    field.name
    for field in dataclasses.fields(AgentConfig)
    if field.default is not dataclasses.MISSING
]


@given(st.fixed_dictionaries({}, optional={name: values(HINTS[name]) for name in WITH_DEFAULT}))
def test_what_may_be_left_out_survives_too(parts: dict[str, Any]) -> None:
    """Every part with a usual value, unusual: drawn by its type, so that a new one is drawn too."""
    config = dataclasses.replace(agent("ha1"), **parts)
    assert parse(to_toml(config), "agent.toml") == config


@given(st.text())
def test_any_text_survives_as_a_value(word: str) -> None:
    """The writer is ours, since the library has none: its strings are TOML's whatever they hold."""
    word = word.encode("utf-8", "replace").decode()  # a lone surrogate is no text
    snmp = agent("hacc1").snmp
    assert snmp is not None
    config = dataclasses.replace(
        agent("hacc1"), snmp=dataclasses.replace(snmp, user=f"x{word}", auth=None)
    )
    assert tomllib.loads(to_toml(config))["snmp"]["user"] == f"x{word}"
    assert parse(to_toml(config), "agent.toml") == config


# ------------------------------------------------------------------ what it holds, and what not


def test_a_controller_gets_the_keys_of_those_that_it_answers_itself() -> None:
    """When the cluster is full it answers 130, and an answer without authenticator is no answer."""
    for host in ("hacc1", "hacc2"):
        controller, member = agent(host), agent("ha1")
        assert [realm.security for realm in controller.realms] == [
            realm.security for realm in member.realms
        ]
        assert controller.nodes == member.nodes
        assert controller.foreign_agents == member.foreign_agents
        assert not any(realm.assigns for realm in controller.realms), "addresses are the members'"
        assert "SNMP_AUTH" in to_toml(controller)
        assert "HA_PAIR_KEY" not in to_toml(controller), "that one is between two IOS routers"


def test_what_has_its_usual_value_is_not_written() -> None:
    text = to_toml(agent("ha1"))
    for usual in ("transport", "port", "assignment", "admission", "readings", "state_directory"):
        assert usual not in tomllib.loads(text)
    unusual = dataclasses.replace(agent("ha1"), port=5434, transport=Transport.UDP)
    assert {"port", "transport"} == tomllib.loads(to_toml(unusual)).keys() - tomllib.loads(text)


def test_a_member_gets_no_snmp_key_and_its_own_slice() -> None:
    config = agent("ha1")
    assert config.snmp is None
    assert "SNMP" not in to_toml(config)
    (realm,) = config.realms
    assert [(str(r.first), str(r.last)) for r in realm.assigns] == [
        ("198.19.64.1", "198.19.67.255")
    ]
    assert agent("ha9").realms[0].assigns == ()
    assert agent("ha9").realms[0].security == realm.security


def test_a_pair_is_one_member_at_its_group_address() -> None:
    members = {member.name: member for member in agent("hacc1").members}
    assert list(members) == ["ha1", "ha2", "west-ios", "ha9"]
    assert [str(at.address) for at in members["west-ios"].addresses] == ["198.18.1.253"]
    assert [member.backup for member in members.values()] == [False, False, False, True]
    assert members["ha2"].weight == 2


def test_it_is_sealed_until_it_is_opened() -> None:
    assert agent("ha1").sealed
    text = re.sub(r"<secret [^>]+>", "00" * 16, to_toml(agent("ha1")))
    assert not parse(text, "agent.toml").sealed


# ------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("host", "old", "new", "said"),
    [
        ("ha1", 'role = "home-agent"', 'role = "home"',
         "agent.toml:3: role: found 'home' [hint: one of: controller, home-agent, backup]"),
        ("ha1", "lifetime_s = 1800\nreplay", "lifetime_s = 65536\nreplay",
         "agent.toml:6: lifetime_s: found 65536 [hint: allowed: 1 to 65535]"),
        ("ha1", "lifetime_s = 1800\nreplay", "lifetime_s = true\nreplay",
         "agent.toml:6: lifetime_s: found True [hint: a whole number belongs here]"),
        ("ha1", "lifetime_s = 1800\nreplay", 'lifetime_s = "1800"\nreplay',
         "agent.toml:6: lifetime_s: found '1800' [hint: a whole number belongs here]"),
        ("ha1", "binding_sync_s", "binding_sinc_s",
         "agent.toml:9: binding_sinc_s: unknown key [hint: did you mean binding_sync_s?]"),
        ("ha1", "binding_sync_s = 15\n", "", "agent.toml: binding_sync_s: missing"),
        ("ha1", '"198.18.1.21/24"', '"198.18.1.21/33"',
         "agent.toml:15: lans[0].address: found '198.18.1.21/33' "
         "[hint: an IPv4 address with its prefix length: 198.18.1.11/24]"),
        ("ha1", '"198.19.64.0/18"', '"198.19.64.1/18"',
         "agent.toml:5: networks[0]: found '198.19.64.1/18' "
         "[hint: an IPv4 prefix without host bits: 198.18.1.0/24]"),
        ("ha1", "spi = 257", "spi = 255",
         "nodes[0].security.spi: found 255 [hint: allowed: 256 to 4294967295]"),
        ("ha1", "key = \"<secret env:FA_KEY|hex>\"", 'key = "swordfish"',
         "foreign_agents[0].security.key: not of the allowed form"),
        ("ha1", "hysteresis = 0.1", "hysteresis = 2",
         "selection.hysteresis: found 2.0 [hint: allowed: 0 to 1]"),
        ("ha1", 'name = "ha1"\nrole', 'name = "hx"\nrole',
         "agent.toml:2: name: 'hx' is a home-agent but not listed as one "
         "[hint: members are: ha1, ha2, west-ios, ha9]"),
        ("ha1", 'lan = "core"', 'lan = "edge"',
         "agent.toml:18: gateways[0].lan: this router has no interface on 'edge' "
         "[hint: lans are: core]"),
        ("ha1", "max_bindings = 500000\n", "", "agent.toml: max_bindings: missing"),
        ("ha1", "[realms.security]", "[realms.scurity]",
         "realms[0].scurity: unknown key [hint: did you mean security?]"),
        ("ha1", "[nodes.security]\nspi = 257\n", "[nodes.security]\n",
         "nodes[0].security.spi: missing"),
        ("ha1", "[selection]", "[[selection]]",
         "selection: found [{'hysteresis'"),
        ("hacc1", "[snmp]\nversion = 3", "[snmp]\nversion = 1",
         "snmp.version: found 1 [hint: allowed: 2 to 3]"),
        ("ha1", 'name = "ha1"\nrole', 'name = \nrole',
         "agent.toml:2: not TOML: Invalid value [hint: hacc writes this file: render it again "
         "instead of mending it by hand]"),
        ("ha1", "lifetime_s = 1800\nreplay", "lifetime_s = 1800\nlifetime_s = 1\nreplay",
         "agent.toml:7: not TOML: Cannot overwrite a value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(host: str, old: str, new: str, said: str) -> None:
    text = to_toml(agent(host))
    assert old in text
    with pytest.raises(ConfigError) as refused:
        parse(text.replace(old, new, 1), "agent.toml")
    assert said in str(refused.value)
    assert "swordfish" not in str(refused.value)


def test_the_line_is_the_one_that_is_wrong() -> None:
    """In the second table of an array, and below it."""
    text = to_toml(agent("ha1"))
    wrong = text.replace("weight = 2", "weight = 0")
    wrong = wrong.replace('"198.18.1.22"', "5")
    with pytest.raises(ConfigError) as refused:
        parse(wrong, "agent.toml")
    told = {problem.path: problem.line for problem in refused.value.problems}
    lines = wrong.splitlines()
    assert lines[told["members[1].weight"] - 1] == "weight = 0"
    assert lines[told["members[1].addresses[0].address"] - 1] == "address = 5"
    assert len(told) == 2, "all at once, each once"


def test_who_nobody_can_authenticate_is_refused() -> None:
    """... but for an AAA server, which may know the mobile nodes that we do not know."""
    text = to_toml(agent("ha1"))
    start = text.index("[nodes.security]")
    unkeyed = text[:start] + text[text.index("[[foreign_agents]]") :]
    with pytest.raises(ConfigError, match=r"nodes\[0\]: nobody can authenticate it"):
        parse(unkeyed, "agent.toml")
    aaa = '\n[radius]\nserver = "198.18.0.40"\nsecret = "00ff"\n'
    assert parse(unkeyed + aaa, "agent.toml").nodes[0].security is None


def test_a_controller_without_snmp_is_refused() -> None:
    config = dataclasses.replace(agent("hacc1"), snmp=None)
    with pytest.raises(ConfigError, match="snmp: missing"):
        parse(to_toml(config), "agent.toml")


@given(st.data())
def test_half_a_file_is_refused_and_nothing_else_happens(data: st.DataObject) -> None:
    text = to_toml(agent(data.draw(st.sampled_from(["hacc1", "ha1", "ha9"]))))
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(1, 60))
    try:
        parse(text[:start] + text[start + length :], "agent.toml")
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
    assert all(problem.file == "agent.toml" and problem.message for problem in problems)


# ------------------------------------------------------------------ the command


def test_check_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(re.sub(r"<secret [^>]+>", "00" * 16, to_toml(agent("ha1"))))
    assert cli.main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out == (
        f"{file}: ha1 is a {Role.HOME_AGENT} of west, 4 members, 1 realms, 1 nodes\n"
    )


def test_check_config_refuses_what_the_daemon_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.toml"
    sealed = to_toml(agent("ha1"))
    number = next(n for n, line in enumerate(sealed.splitlines(), 1) if "<secret" in line)
    for content, said in (
        (sealed.encode(), f"{file}:{number}: a secret is still sealed [hint: hacc apply opens it]"),
        (b"name = ", f"{file}:1: not TOML"),
        (b"\xff", f"{file}: it is not UTF-8 text"),
        (None, f"{file}: No such file or directory"),
    ):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        assert cli.main(["check-config", str(file)]) == 1
        output = capsys.readouterr()
        assert output.err.startswith(said)
        assert output.out == ""


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"hacc-agent \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert cli.main([]) == 1
    assert cli.main(["frobnicate"]) == 1
