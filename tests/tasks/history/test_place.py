"""Which database is meant, and that its password is never shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import HaccError, Place
from tasks.history.place import Location, locate
from tasks.secrets import SecretRef
from tests.commands.program import ROOT as CHECKOUT

WORK = Path("/srv/net/.hacc")
ROOT = Path("/srv/net/inventory")
WORD = Place("inventory/defaults.yaml", 4)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("", "sqlite:////srv/net/.hacc/history.sqlite"),
        ("sqlite:/var/h.sqlite", "sqlite:////var/h.sqlite"),
        ("sqlite:////var/h.sqlite", "sqlite:////var/h.sqlite"),
        ("sqlite:../h.sqlite", "sqlite:////srv/net/h.sqlite"),
        ("postgresql://hacc@db:5433/hacc", "postgresql+psycopg://hacc@db:5433/hacc"),
        ("postgres://db/hacc", "postgresql+psycopg://db/hacc"),
        ("postgresql+psycopg://db/hacc?sslmode=require", "postgresql+psycopg://db/hacc?sslmode=require"),
    ],
)  # fmt: skip
def test_what_is_written_and_what_is_meant(written: str, url: str) -> None:
    held = locate(ROOT, WORK, written)
    assert held.url == url
    assert held.pending == WORK / "history.pending"
    assert held.site == "net"
    assert locate(ROOT, WORK, written, site="north").site == "north"


@pytest.mark.parametrize(
    "written", ["mysql://db/x", "db.example.net", "postgresql:/db", "postgresql://u:pass77@db/x"]
)
def test_what_is_none(written: str) -> None:
    with pytest.raises(HaccError) as raised:
        locate(ROOT, WORK, written, place=WORD)
    assert str(raised.value).startswith("inventory/defaults.yaml:4: history: ")
    assert "pass77" not in str(raised.value)


def test_a_url_that_is_a_secret_may_hold_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE", "postgresql://hacc:pass77@db/hacc")
    held = locate(ROOT, WORK, "env:DATABASE", place=WORD)
    assert sa.make_url(held.url).password == "pass77"
    assert str(held) == "postgresql+psycopg://hacc:***@db/hacc"
    assert "pass77" not in repr(held)
    monkeypatch.setenv("DATABASE", "mysql://hacc:pass77@db/hacc")
    with pytest.raises(HaccError) as raised:
        locate(ROOT, WORK, "env:DATABASE", place=WORD)
    assert "a secret that is no such URL" in str(raised.value)
    assert "pass77" not in str(raised.value)
    monkeypatch.delenv("DATABASE")
    with pytest.raises(HaccError, match="the environment has no DATABASE"):
        locate(ROOT, WORK, "env:DATABASE", place=WORD)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30))
def test_any_password_arrives_and_none_is_shown(password: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HACC_T_PASSWORD", password)
        held = locate(
            ROOT, WORK, "postgresql://hacc@db/x", password=SecretRef("env:HACC_T_PASSWORD")
        )
    assert sa.make_url(held.url).password == password
    assert str(held) == "postgresql+psycopg://hacc:***@db/x"


def test_a_file_is_shown_as_a_file() -> None:
    held = locate(ROOT, WORK)
    assert str(held) == "/srv/net/.hacc/history.sqlite"
    assert held.sqlite == WORK / "history.sqlite"
    assert Location("postgresql+psycopg://db/x", "", WORK).sqlite is None


def test_a_command_that_records_nothing_loads_no_database() -> None:
    """They take as long to load as all the rest, and `hacc validate` has no use for them."""
    code = "import sys, tasks.cli; print({'sqlalchemy', 'psycopg', 'apprise'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout == "set()\n"
