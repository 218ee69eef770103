"""Where the disks of a lab are, and that nothing of them stays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab import disk


def test_room_is_made_once_and_cleared_wherever_it_is(tmp_path: Path) -> None:
    routers, lab = tmp_path / "routers", f"room-{os.getpid()}"
    disk.make_room(routers, lab)
    place = routers.resolve()
    try:
        (routers / "r1").mkdir()
        disk.make_room(routers, lab)
        assert (place / "r1").is_dir()  # a lab that is up keeps its disks
    finally:
        disk.clear_room(routers)
        shutil.rmtree(tmp_path)
    assert not place.exists()


def test_room_in_memory_that_somebody_removed_or_forgot_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routers, memory = tmp_path / "routers", tmp_path / "memory"
    (memory / "hacc-lab/lab/r1").mkdir(parents=True)  # of a lab that was forgotten
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\ntmpfs {memory} tmpfs rw 0 0\n")
    monkeypatch.setattr(disk, "MEMORY", memory)
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    monkeypatch.setattr(disk, "ENOUGH", 0)
    disk.make_room(routers, "lab")
    assert routers.resolve() == memory / "hacc-lab/lab"
    assert not [*routers.iterdir()]
    shutil.rmtree(memory / "hacc-lab/lab")
    disk.make_room(routers, "lab")
    assert routers.is_dir()
    monkeypatch.setattr(disk, "ENOUGH", 1 << 60)
    disk.make_room(tmp_path / "others", "other")  # too little of it
    assert not (tmp_path / "others").is_symlink()
