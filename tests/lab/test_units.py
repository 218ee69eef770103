"""Unit files as systemd reads them: syntax, drop-ins, aliases, time spans, command lines."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.guest.units import (
    Command,
    UnitError,
    expand,
    full_name,
    load,
    parse,
    parse_command,
    parse_environment,
    time_span,
)


def test_assignments_continuations_comments_and_sections() -> None:
    text = "# c\n[Unit]\nDescription = a b\n; c\n[Service]\nExecStart=/bin/x \\\n  --one\nNice=\n"
    assert parse(text) == [
        ("Unit", "Description", "a b"),
        ("Service", "ExecStart", "/bin/x  --one"),
        ("Service", "Nice", ""),
    ]


def test_a_drop_in_adds_to_lists_and_an_empty_value_clears_them(tmp_path: Path) -> None:
    (tmp_path / "x.service").write_text("[Service]\nExecStart=/bin/a\nEnvironment=A=1\n")
    (tmp_path / "x.service.d").mkdir()
    more = "[Service]\nExecStart=\nExecStart=/bin/b %n %N %%\nEnvironment=B=2\n"
    (tmp_path / "x.service.d/10.conf").write_text(more)
    unit = load("x", (tmp_path,))
    assert unit.commands("ExecStart") == (Command(("/bin/b", "x.service", "x", "%"), False),)
    assert parse_environment(unit.all("Environment")) == {"A": "1", "B": "2"}


def test_an_earlier_folder_wins_aliases_resolve_and_masks_mask(tmp_path: Path) -> None:
    first, second = tmp_path / "etc", tmp_path / "lib"
    first.mkdir()
    second.mkdir()
    (second / "ssh.service").write_text("[Service]\nExecStart=/lib\n")
    (first / "sshd.service").symlink_to(second / "ssh.service")
    assert load("sshd", (first, second)).name == "ssh.service"
    (first / "ssh.service").write_text("[Service]\nExecStart=/etc\n")
    assert load("ssh", (first, second)).get("ExecStart") == "/etc"
    (first / "ssh.service").unlink()
    (first / "ssh.service").symlink_to("/dev/null")
    with pytest.raises(UnitError, match="masked"):
        load("ssh", (first, second))


def test_a_template_serves_its_instances(tmp_path: Path) -> None:
    (tmp_path / "frr@.service").write_text("[Service]\nExecStart=/bin/x %i\n")
    assert load("frr@west", (tmp_path,)).get("ExecStart") == "/bin/x west"


def test_what_the_lab_does_not_do_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.service").write_text("[Service]\nExecStart=/bin/a\nProtectSystem=full\n")
    assert load("x", (tmp_path,)).ignored() == ("ProtectSystem",)


@pytest.mark.parametrize("name", ["../../etc/passwd\n", "a b", "", "x.mount"])
def test_names_that_are_no_unit(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnitError):
        load(name, (tmp_path,))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1min 30s", 90), ("500ms", 0.5), ("2h", 7200), ("1.5s", 1.5), ("3m", 180)],
)
def test_time_spans(text: str, seconds: float) -> None:
    assert time_span(text) == pytest.approx(seconds)


@given(st.text(max_size=12))
def test_a_time_span_is_a_number_or_a_refusal(text: str) -> None:
    with contextlib.suppress(UnitError):
        assert 0 <= time_span(text) < float("inf")


def test_command_lines() -> None:
    assert parse_command("-/bin/x 'a b'") == Command(("/bin/x", "a b"), True)
    assert parse_command("@/bin/x argv0 y") == Command(("/bin/x", "y"), False)
    environment = {"OPTS": "-a -b", "NAME": "w x"}
    assert expand(("/bin/x", "$OPTS", "${NAME}!", "$$1"), environment) == [
        "/bin/x",
        "-a",
        "-b",
        "w x!",
        "$1",
    ]
    assert full_name("frr") == "frr.service"


def test_the_stock_units_of_this_machine_are_read() -> None:
    for name in ("ssh", "frr", "keepalived", "snmpd", "nftables"):
        if not Path(f"/lib/systemd/system/{name}.service").exists():
            pytest.skip(f"{name} is not installed")
        assert load(name).commands("ExecStart")
