"""`hacc pki` as a user meets it."""

from __future__ import annotations

import pytest

from tests.commands.program import Desk


@pytest.fixture
def linked(desk: Desk) -> Desk:
    """The desk, with an intent whose routers have a link."""
    with desk.intent.open("a") as intent:
        intent.write("\nlink: {certificates: pki/west}\n")
    return desk


def states(desk: Desk, code: int) -> dict[str, str]:
    shown = desk.hacc("pki", "show", "--json").ends(code).value
    return {each["name"]: each["state"] for each in shown}


def test_from_nothing_to_certificates_for_all(linked: Desk) -> None:
    everything = ("authority", "hacc1", "hacc2", "ha1")
    assert states(linked, 2) == dict.fromkeys(everything, "missing")
    assert linked.hacc("pki", "issue").ends(1).err.count("hacc pki init -c west") == 1
    assert linked.hacc("pki", "init").ends(0).out.startswith("west: authority: ")
    issued = linked.hacc("pki", "issue").ends(0)
    assert [line.split(": ")[1] for line in issued.out.splitlines()] == ["hacc1", "hacc2", "ha1"]
    assert "hacc apply" in issued.err
    assert states(linked, 0) == dict.fromkeys(everything, "valid")
    assert "every router has one" in linked.hacc("pki", "issue").ends(0).out
    assert "every cluster has" in linked.hacc("pki", "init").ends(0).out
    assert "none ends soon" in linked.hacc("pki", "renew").ends(0).out
    [renewed] = linked.hacc("pki", "renew", "ha1", "--json").ends(0).value
    assert (renewed["uri"], renewed["state"]) == ("hacc://west/ha1", "valid")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("issue", "ha11"), "did you mean ha1?"),
        (("issue", "ios1"), "no Linux router"),
        (("show", "-c", "wset"), "did you mean west?"),
    ],
    ids=" ".join,
)
def test_what_does_not_exist_is_told(linked: Desk, words: tuple[str, ...], told: str) -> None:
    assert told in linked.hacc("pki", *words).ends(1).err


def test_a_cluster_without_a_link_needs_none(desk: Desk) -> None:
    assert "link: {certificates: pki/west}" in desk.hacc("pki", "show").ends(1).err
