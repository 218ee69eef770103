"""The subscribers' sheet, against a golden one and against IOS as the simulator knows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.ios import Device
from tasks.rendered import File
from tasks.secrets import resolve
from tasks.sheet import sheet, subscribers
from tests import clusters

GOLDEN = clusters.ROOT / "tests/golden/sheet"
UPDATE = os.environ.get("HACC_UPDATE_GOLDEN") == "1"
CASES = [
    pytest.param(case, file, id=f"{case}-{file.path}")
    for case, cluster in clusters.cases().items()
    for file in sheet(cluster).files
]


@pytest.mark.parametrize(("case", "file"), CASES)
def test_golden(case: str, file: File) -> None:
    golden = GOLDEN / case / Path(file.path).name
    if UPDATE:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(file.text, encoding="utf-8")
    assert file.text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["mobile-router.cfg", "foreign-agent.cfg"])
@pytest.mark.parametrize("case", clusters.cases())
def test_ios_takes_it(case: str, name: str) -> None:
    """With an interface filled in, every line is a command, in the order in which it stands."""
    (file,) = [found for found in sheet(clusters.cases()[case]).files if found.path == name]
    keys = dict.fromkeys(references(file), "sixteen-octets-!")
    text = resolve(file.text, keys).replace("INTERFACE", "GigabitEthernet0/1")
    router = Device.from_text("r1", "interface GigabitEthernet0/1\n no shutdown\n")
    assert router.merge(text, 0.0) == []


def references(file: File) -> set[str]:
    words = file.text.replace("<secret ", "\n<secret ").splitlines()
    return {word[8:].split("|")[0].split(">")[0] for word in words if word.startswith("<secret ")}


def test_it_says_what_a_mobile_node_needs_and_no_key() -> None:
    text = sheet(clusters.west()).files[0].text
    for wanted in (
        "Home Agent address   198.19.0.1",
        "198.19.64.0/18  virtual",
        "@example.net  pool 198.19.64.0/20",
        "SPI 256 (hexadecimal 100), hmac-md5, key env:MN_EXAMPLE_KEY",
        "198.18.9.1",
    ):
        assert wanted in text
    assert "<secret" not in text


def test_members_agree_on_what_outsiders_need_to_know() -> None:
    known = subscribers(clusters.west())
    for model in clusters.west().devices:
        if model.service is not None:
            assert model.home_agent_address == known.home_agent_address
            assert model.service.virtual_networks == known.virtual_networks
            assert [r.security for r in model.service.realms] == [r.security for r in known.realms]
