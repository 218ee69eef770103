"""Certificates: one sealed line of ours, many lines of the router's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.opening import open_all
from tasks.pki import create_authority, issue
from tasks.render import render
from tasks.rendered import File
from tasks.secrets import SecretRef, resolve
from tasks.whole import whole_lines
from tests import clusters

REF = "file:pki/site/ha1.key"
NOW = datetime.now(UTC)


def key(root: Path) -> dict[str, str]:
    folder = root / "pki/site"
    if not folder.exists():
        create_authority(folder, "site", NOW)
    issue(folder, "site", "ha1", NOW, replace=True)
    return open_all({SecretRef(REF): clusters.HERE}, root, {})


@pytest.fixture
def file() -> File:
    rendered = render(clusters.cases()["radius"].device("ha1"))
    return next(file for file in rendered.files if file.path == "/etc/hacc/router.key")


def test_a_key_that_is_there_is_no_difference(tmp_path: Path, file: File) -> None:
    opened = key(tmp_path)
    assert len(resolve(file.text, opened).splitlines()) > 3
    assert whole_lines(resolve(file.text, opened), file, opened) == ()


def test_a_new_key_is_one_line_and_nobody_sees_either(tmp_path: Path, file: File) -> None:
    old = key(tmp_path)
    new = key(tmp_path)
    lines = whole_lines(resolve(file.text, old), file, new)
    assert [line.text for line in lines if line.sign == "+"] == [f"<secret {REF}>"]
    shown = "\n".join(line.text for line in lines)
    for pem in (old[REF], new[REF]):
        assert not [line for line in pem.splitlines()[1:-1] if line in shown]


def test_a_file_that_is_new_is_shown_sealed(tmp_path: Path, file: File) -> None:
    lines = whole_lines("", file, key(tmp_path))
    assert [line.text for line in lines] == [line.text for line in file.lines]
