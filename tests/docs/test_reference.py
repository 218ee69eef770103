"""The reference is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.reference import DOCS, PATH, document


def test_it_was_made_of_this_code() -> None:
    assert PATH.read_text() == document(), "python -m tests.docs.reference"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text())
    for file, anchor in links:
        if file.startswith(("http:", "https:")):
            continue
        target = (page.parent / file) if file else page
        assert target.exists(), (page, file)
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text()), (page, file, anchor)


def anchors(text: str) -> set[str]:
    """Of headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).strip().replace(" ", "-") for each in headings}
