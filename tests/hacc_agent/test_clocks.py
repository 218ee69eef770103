"""The wall clock of one router of a cluster is set, far forward and back, while it serves.

The cluster of `test_failover`, its daemons under libfaketime: a namespace has no clock of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hacc_agent.site import NODES, Site, killed

pytestmark = pytest.mark.lab

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
HOUR_S = 3600


class Clocks:
    """One file a router, which its process reads whenever it asks for the time of day."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, host: str) -> Mapping[str, str]:
        self.set(host, 0)
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(host)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, host: str, ahead_s: float) -> None:
        """Of one router; the file is never seen half."""
        part = self._folder / f"{host}.part"
        part.write_text(f"{ahead_s:+f}")
        part.replace(self._file(host))

    def _file(self, host: str) -> Path:
        return self._folder / f"{host}.clock"


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> Clocks:
    return Clocks(tmp_path_factory.mktemp("clocks"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, clocks: Clocks) -> Iterator[Site]:
    with ExitStack() as stack:
        made = Site(tmp_path_factory.mktemp("site"), stack, clocks.environment)
        made.until(lambda: set(made.states().values()) <= {"up", "failing"})
        made.register()
        made.register()
        made.until(lambda: made.status(made.standby)["bindings"] == NODES)
        yield made


def time_of(site: Site, member: str) -> float:
    """How far ahead of its clock is the time that mobile nodes are told, s."""
    return float(site.status(member)["serves"]["time_ahead_s"])


def test_a_member_whose_clock_is_set_forward_and_back_loses_nobody(
    site: Site, clocks: Clocks
) -> None:
    member = site.serving
    clocks.set(member, HOUR_S)
    site.register()
    assert all(node.ahead_s > HOUR_S - 60 for node in site.nodes)
    clocks.set(member, 0)
    site.until(lambda: time_of(site, member) > HOUR_S - 60)
    site.register()  # at once, and not in an hour
    site.unharmed(member)


def test_its_heir_goes_on_with_its_time(site: Site, clocks: Clocks) -> None:
    """Else everybody would have to wait until the heir's clock is where the other one was."""
    failing, heir = site.serving, site.other
    clocks.set(failing, 2 * HOUR_S)
    site.register()
    site.register()
    assert time_of(site, heir) == 0
    killed(site, failing)
    site.unharmed(heir)
    assert time_of(site, heir) > 2 * HOUR_S - 60
    clocks.set(failing, 0)
    site.well()


@pytest.mark.parametrize("ahead_s", [-HOUR_S, HOUR_S])
def test_an_heir_with_a_wrong_clock_accepts_no_replay(
    site: Site, clocks: Clocks, ahead_s: float
) -> None:
    failing, heir = site.serving, site.other
    clocks.set(heir, ahead_s)
    killed(site, failing)
    site.unharmed(heir)
    clocks.set(heir, 0)
    site.well()


@pytest.mark.parametrize("ahead_s", [-HOUR_S, HOUR_S])
def test_the_clock_of_a_controller_moves_nothing(
    site: Site, clocks: Clocks, ahead_s: float
) -> None:
    """It counts lifetimes by the steady clock, and leaves Identifications to members."""
    controller, member = site.active, site.serving
    clocks.set(controller, ahead_s)
    site.unharmed(member)
    killed(site, controller)
    site.take_over(site.standby)
    site.nodes[0].send(site.nodes[0].request())  # it is asked, and so it leads
    site.unharmed(member)
    clocks.set(controller, 0)
    site.well()
