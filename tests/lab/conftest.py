"""Labs that several tests share; gone at the end whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from tests.lab.labs import topology


@pytest.fixture(scope="session")
def trio() -> Iterator[Lab]:
    """Three running routers with addresses on their LAN."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with Lab(topology("trio", 3), keep_host_keys=False) as lab:
        for router in lab.topology.linux:
            address = str(router.ports[0].address)
            done = lab.run(router.name, "ip", "addr", "add", address, "dev", "lan")
            assert done.returncode == 0, done.stderr
        yield lab


@pytest.fixture
def mended(trio: Lab) -> Iterator[Lab]:
    """The same, whole again after each test that breaks it."""
    yield trio
    trio.mend()
