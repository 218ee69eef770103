"""`hacc doctor` as it is typed: on a desk that lacks things, and with routers that run."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.commands.fleet import LabDesk
from tests.commands.program import Desk


def test_offline(desk: Desk) -> None:
    subprocess.run(["git", "init", "-q", str(desk.place)], check=True, timeout=60)
    desk.work.mkdir(mode=0o755)
    (desk.work / "history.sqlite").write_text("no database at all, whatever its name is")
    del desk.secrets["OSPF_KEY"]
    done = desk.hacc("doctor", "--offline", "--json").ends(2)
    wrong = {(one["what"], one["found"]): one for one in done.value if one["state"] == "wrong"}
    told = "\n".join(f"{what}: {found}" for what, found in wrong)
    assert "secrets: inventory/clusters/west.yaml:" in told
    assert "env:OSPF_KEY: the environment has no OSPF_KEY" in told
    assert "mode of .hacc: 0755" in told
    assert "history: is damaged, or is no history" in told
    assert ".gitignore: .hacc would be committed" in told
    assert all(one["remedy"] for one in wrong.values())
    (desk.place / ".gitignore").write_text(".hacc/\n")
    (desk.work / "history.sqlite").unlink()
    desk.work.chmod(0o700)
    desk.secrets["OSPF_KEY"] = "ospfKeyOfAll"
    desk.hacc("doctor", "--offline").ends(0)


def test_an_inventory_that_does_not_load(desk: Desk) -> None:
    desk.edit("lifetime: 1800", "lifetime: [")
    told = desk.hacc("doctor").ends(2)
    assert "inventory/clusters/west.yaml:" in told.out


def test_without_any_inventory(desk: Desk) -> None:
    shutil.rmtree(desk.inventory)
    assert "this machine" in desk.hacc("doctor", "--all").ends(0).out


def test_a_router_that_nobody_knows(desk: Desk) -> None:
    assert "ios3: no such router in any cluster\n    hint: did you mean ios" in (
        desk.hacc("doctor", "ios3").ends(1).err
    )


@pytest.mark.lab
def test_real_routers(fleet: LabDesk) -> None:
    found = fleet.hacc("doctor", "--json").value
    of = {(one["where"], one["what"]): one for one in found}
    for host in ("hacc1", "hacc2", "ha1", "ios1", "ios2"):
        assert of[host, "reach"]["state"] == "good"
        assert of[host, "privilege"]["state"] == "good"
        assert of[host, "clock"]["state"] in ("good", "advice")
    assert of["ios1", "way back"]["state"] in ("good", "advice")
    assert of["ios1", "flash"]["state"] == "good"
    assert of["ha1", "program vtysh"]["state"] == "good"
    fleet.secrets["HACC_PASSWORD"] = "notTheLogin"
    one = fleet.hacc("doctor", "ha1", "--json").ends(2).value
    (reach,) = (symptom for symptom in one if symptom["where"] == "ha1")
    assert (reach["what"], reach["state"]) == ("reach", "wrong")
