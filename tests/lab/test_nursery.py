"""The process that routers are forked from: each is known by its own mark from then on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def in_process(code: str, *, lines: str = "") -> subprocess.CompletedProcess[str]:
    """As the nursery is started, with an environment of fifty octets."""
    found = "import sys; sys.path.insert(0, sys.argv[1])"
    return subprocess.run(
        [sys.executable, "-S", "-E", "-s", "-c", f"{found}; {code}", str(ROOT)],
        env={"NAME": "lab/nursery", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


SHOWN = "from pathlib import Path; sys.stdout.write(Path('/proc/self/environ').read_text())"


def test_a_mark_is_all_that_the_environment_shows() -> None:
    done = in_process(
        f"from lab.guest.nursery import mark; mark('NAME=lab/router/a-longer-one'); {SHOWN}"
    )
    assert done.stdout.rstrip("\0") == "NAME=lab/router/a-longer-one"


def test_a_mark_that_has_no_room_is_refused_and_nothing_is_written() -> None:
    done = in_process(
        "from lab.guest.nursery import mark\n"
        "try: mark('NAME=' + 1000 * 'x')\n"
        "except ValueError as error: sys.stderr.write(str(error))\n"
        f"{SHOWN}"
    )
    assert "no room" in done.stderr
    assert done.stdout.startswith("NAME=lab/nursery\0")


@pytest.mark.lab
def test_a_router_that_cannot_be_made_says_why_in_its_log_and_the_next_is_made(
    tmp_path: Path,
) -> None:
    orders: list[dict[str, Any]] = [
        {
            "mark": f"NAME=lab/router/{name}",
            "log": str(tmp_path / name),
            "name": name,
            "disk": str(tmp_path / "no-such-disk"),
            "layers": {"etc": "/etc"},
            "folders": {},
            "needed": [],
        }
        for name in ("one", "two")
    ]
    done = in_process(
        "from lab.guest.nursery import main; main()",
        lines="".join(json.dumps(order) + "\n" for order in orders),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # The nursery does not wait for its routers.
    for name in ("one", "two"):
        log = tmp_path / name
        subprocess.run(
            ["timeout", "60", "sh", "-c", f"until grep -q /etc {log}; do sleep 0.05; done"],
            check=True,
        )
        assert "OSError" in log.read_text() or "FileNotFoundError" in log.read_text()
