"""What workers do in these tests. A module of its own: workers of dask are told its name."""

from __future__ import annotations

import os
import signal
from typing import Any

from distributed import get_worker

from tasks.devices.fleet import Fleet
from tasks.errors import HaccError, Problem
from tasks.pipeline import Opened, Prepared

KEYS = {"PASSWORD": "secret-of-all", "MN_KEY": "0123456789abcdef", "COMMUNITY": "not-public"}


def names(prepared: Prepared, opened: Opened, _: Fleet) -> tuple[int, tuple[str, ...]]:
    assert set(opened.values.values()) == set(KEYS.values())
    return os.getpid(), tuple(prepared.rendered)


def refuses(prepared: Prepared, _opened: Opened, _: Fleet) -> str:
    if prepared.clusters[0].name == "c2":
        raise HaccError(Problem(None, "c2", "does not want to"))
    if prepared.clusters[0].name == "c3":
        raise ZeroDivisionError
    return prepared.clusters[0].name


def dies_once(prepared: Prepared, _opened: Opened, _: Fleet) -> str:
    """As under the kernel's out-of-memory killer, the first time that anybody has the part."""
    mark = prepared.work / "died"
    if prepared.clusters[0].name == "c1" and not mark.exists():
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return prepared.clusters[0].name


def sampled(_prepared: Prepared, _opened: Opened, _: Fleet) -> bool:
    """Whether dask still looks at the stacks of the worker's threads."""
    worker: Any = get_worker()
    running: bool = worker.periodic_callbacks["profile"].is_running()
    return running


def dies(prepared: Prepared, _opened: Opened, _: Fleet) -> str:
    if prepared.clusters[0].name == "c1":
        os.kill(os.getpid(), signal.SIGKILL)
    return prepared.clusters[0].name
