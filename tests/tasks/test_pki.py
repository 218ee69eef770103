"""Certificates of a cluster: who can make them, what they say, and how long."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hacc_agent.config import certificate_uri
from tasks import pki
from tasks.pki import AUTHORITY, AUTHORITY_LIFETIME, LIFETIME, SOON, PkiError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With an authority, and the certificate of ha1."""
    folder = tmp_path / "inventory" / "pki" / "west"
    pki.create_authority(folder, "west", NOW)
    pki.issue(folder, "west", "ha1", NOW)
    return folder


def test_a_certificate_says_which_router_of_which_cluster(folder: Path) -> None:
    authority, ha1 = pki.certificates(folder)
    assert (authority.name, ha1.name) == (AUTHORITY, "ha1")
    assert ha1.uri == certificate_uri("west", "ha1") == "hacc://west/ha1"
    assert (ha1.ends, authority.ends) == (NOW + LIFETIME, NOW + AUTHORITY_LIFETIME)


@pytest.mark.parametrize(
    ("cluster", "name"), [("a/b", "c"), ("a", "b/c"), ("ü", "x y"), ("a%2Fb", "c"), ("", "a")]
)
def test_no_two_routers_have_the_same_name(cluster: str, name: str) -> None:
    others = {certificate_uri(*pair) for pair in [("a", "b"), ("a", "b%2Fc"), ("a/b/c", "")]}
    assert certificate_uri(cluster, name) not in others


def test_files_are_for_their_owner_alone(folder: Path) -> None:
    keys = {path.name: path.stat().st_mode & 0o777 for path in folder.glob("*.[kp]e[ym]")}
    assert keys == dict.fromkeys(("authority.key", "authority.pem", "ha1.key", "ha1.pem"), 0o600)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(folder.glob(".*.new"))


def test_git_is_told_to_leave_keys_out(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", folder.parent], check=True)
    subprocess.run(["git", "-C", folder.parent, "add", "-A"], check=True)
    listed = subprocess.run(
        ["git", "-C", folder.parent, "ls-files"], check=True, capture_output=True, text=True
    )
    assert listed.stdout.split() == ["west/.gitignore", "west/authority.pem", "west/ha1.pem"]


def test_openssl_finds_nothing_to_complain_of(folder: Path) -> None:
    """A verifier that is not the library that made them."""
    told = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime",
         str(int(NOW.timestamp())), "-CAfile", folder / "authority.pem", folder / "ha1.pem"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.endswith("ha1.pem: OK\n")


def test_nothing_is_overwritten_unasked(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(PkiError, match="hacc pki renew ha1"):
        pki.issue(folder, "west", "ha1", NOW)
    with pytest.raises(PkiError, match="is there already"):
        pki.create_authority(folder, "west", NOW)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_renewing_replaces_key_and_certificate(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    later = NOW + LIFETIME
    assert pki.issue(folder, "west", "ha1", later, replace=True).ends == later + LIFETIME
    changed = {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"ha1.key", "ha1.pem"}


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (-timedelta(days=1), "early"),
        (timedelta(0), "valid"),
        (LIFETIME - SOON - timedelta(seconds=1), "valid"),
        (LIFETIME - SOON, "soon"),
        (LIFETIME, "expired"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_state_at_a_moment(folder: Path, at: timedelta, state: str) -> None:
    assert pki.certificates(folder)[1].state(NOW + at) == state


def test_no_certificate_outlives_its_authority(folder: Path) -> None:
    late = NOW + AUTHORITY_LIFETIME - timedelta(days=3)
    assert pki.issue(folder, "west", "ha2", late).ends == NOW + AUTHORITY_LIFETIME
    with pytest.raises(PkiError, match="the authority has ended on 2036-11-20"):
        pki.issue(folder, "west", "ha3", NOW + AUTHORITY_LIFETIME)


def test_who_has_none_is_missing(folder: Path) -> None:
    assert pki.missing(folder, ("ha1", "ha2")) == ("ha2",)
    assert pki.certificates(folder.parent / "east") == ()


def damage(folder: Path, name: str) -> None:
    (folder / name).write_text("-----BEGIN NOTHING-----\n")


def swap_key(folder: Path) -> None:
    shutil.copy(folder / "ha1.key", folder / "authority.key")


def other_authority(folder: Path) -> None:
    for name in ("authority.pem", "authority.key"):
        (folder / name).unlink()
    pki.create_authority(folder, "west", NOW)


def other_cluster(folder: Path) -> None:
    shutil.rmtree(folder)
    pki.create_authority(folder, "east", NOW)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: shutil.rmtree(folder), r"no certificate authority yet.*hacc pki init"),
        (lambda folder: (folder / "authority.key").unlink(), "authority.key: .*no such file"),
        (lambda folder: damage(folder, "authority.key"), "authority.key: .*in PEM form"),
        (lambda folder: damage(folder, "authority.pem"), "authority.pem: .*in PEM form"),
        (swap_key, "is not the key of authority.pem"),
        (other_cluster, r"is the authority of hacc://east/ \(allowed: hacc://west/\)"),
    ],
    ids=["none", "no-key", "bad-key", "bad-certificate", "another-key", "another-cluster"],
)
def test_what_keeps_it_from_issuing_is_told(
    folder: Path, harm: Callable[[Path], None], told: str
) -> None:
    harm(folder)
    with pytest.raises(PkiError, match=told):
        pki.issue(folder, "west", "ha2", NOW)


def test_what_does_not_belong_there_is_told_all_at_once(folder: Path) -> None:
    pki.issue(folder, "west", "ha2", NOW)
    other_authority(folder)
    damage(folder, "ha2.pem")
    with pytest.raises(PkiError) as caught:
        pki.certificates(folder)
    ha1, ha2 = caught.value.problems
    assert "ha1.pem: ha1: was not issued by" in str(ha1)
    assert "hacc pki renew ha1" in ha1.hint
    assert "ha2.pem: ha2: is no certificate in PEM form" in str(ha2)


def test_no_router_may_be_called_authority(folder: Path) -> None:
    with pytest.raises(PkiError, match="authority's own files"):
        pki.issue(folder, "west", AUTHORITY, NOW, replace=True)
