"""Figures of a router: what the kernel's files say in each kind of place that it may run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from hacc_agent.resources import INITIAL_PIDS, TICKS, Resources

STAT = "cpu  {user} 0 100 {idle} 50 0 0 0 0 0\ncpu0 1 2 3\n"
MEMINFO = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\n"


def files(root: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def machine(root: Path, pids: str = INITIAL_PIDS) -> Path:
    files(root, proc__stat=STAT.format(user=0, idle=0), proc__meminfo=MEMINFO)
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to(pids)
    return root


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})


def test_a_machine(tmp_path: Path) -> None:
    looked = Resources(machine(tmp_path))
    assert looked.of == "the machine"
    assert looked.look(10.0) == (None, 25.0, 1_024_000)
    files(tmp_path, proc__stat=STAT.format(user=3 * TICKS, idle=99 * TICKS))
    assert looked.look(12.0) == (75.0, 25.0, 1_024_000)


def test_a_namespace_of_processes(tmp_path: Path) -> None:
    """A name may look like figures, and who ended takes his time with him."""
    machine(tmp_path, "pid:[4026532001]")
    files(tmp_path, proc__7__stat=f"7 (a b) 9 9) S {'1 ' * 10}100 100 0 0\n")
    files(tmp_path, proc__8__stat=f"8 (gone) S {'1 ' * 10}500 500 0 0\n", proc__9__stat="")
    looked = Resources(tmp_path)
    assert looked.of == "the processes of its namespace"
    looked.look(10.0)
    files(tmp_path, proc__7__stat=f"7 (a b) 9 9) S {'1 ' * 10}{100 + TICKS} 100 0 0\n")
    assert looked.look(11.0) == (50.0, 25.0, 1_024_000)
    (tmp_path / "proc/8/stat").unlink()
    assert looked.look(12.0) == (0.0, 25.0, 1_024_000)


def test_a_container(tmp_path: Path) -> None:
    machine(tmp_path, "pid:[4026532001]")
    groups = {
        "sys__fs__cgroup__memory_dot_max": "1000\n",
        "sys__fs__cgroup__memory_dot_current": "800\n",
        "sys__fs__cgroup__memory_dot_stat": "anon 700\ninactive_file 100\n",
        "sys__fs__cgroup__cpu_dot_max": "50000 100000\n",
        "sys__fs__cgroup__cpu_dot_stat": "usage_usec 1000000\nuser_usec 1\n",
    }
    files(tmp_path, **groups)
    looked = Resources(tmp_path)
    assert looked.of == "its container"
    assert looked.look(10.0) == (None, 30.0, 1000)
    files(tmp_path, sys__fs__cgroup__cpu_dot_stat="usage_usec 1250000\n")
    files(tmp_path, sys__fs__cgroup__memory_dot_max="max\n")
    assert looked.look(11.0) == (50.0, 25.0, 1_024_000)


def test_a_container_of_version_1(tmp_path: Path) -> None:
    machine(tmp_path, "pid:[4026532001]")
    memory = "sys__fs__cgroup__memory__memory_dot_"
    files(
        tmp_path,
        sys__fs__cgroup__cpuacct__cpuacct_dot_usage="1000000000",
        sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us="-1",
        **{
            f"{memory}limit_in_bytes": "2000\n",
            f"{memory}usage_in_bytes": "1500\n",
            f"{memory}stat": "total_inactive_file 100\n",
        },
    )
    looked = Resources(tmp_path)
    looked.look(10.0)
    files(tmp_path, sys__fs__cgroup__cpuacct__cpuacct_dot_usage="1500000000")
    assert looked.look(11.0) == (25.0, 30.0, 2000)


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    machine(tmp_path)
    files(tmp_path, proc__stat="nonsense\n", proc__meminfo="MemTotal: 0 kB\nMemAvailable: 0 kB\n")
    assert Resources(tmp_path).look(10.0) == (None, None, None)
    assert Resources(tmp_path / "empty").look(10.0) == (None, None, None)


def test_this_very_place_is_known() -> None:
    looked = Resources()
    looked.look(10.0)
    cpu, free, memory = looked.look(11.0)
    assert cpu is not None
    assert free is not None
    assert 0 <= cpu <= 100
    assert 0 < free <= 100
    assert memory
