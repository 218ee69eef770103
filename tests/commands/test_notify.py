"""A scheduled check from end to end: routers that are away, a channel, Prometheus, the history."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.commands.program import Desk
from tests.tasks.history.receiver import TOKEN, Receiver, listening


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as held:
        yield held


def test_routers_that_are_away_are_told_of_once(desk: Desk, receiver: Receiver) -> None:
    """Nothing listens on the first ports of this machine, so each router refuses at once."""
    hosts = desk.inventory / "hosts.yaml"
    ports = iter(range(1, 99))
    text = hosts.read_text()
    away = re.sub(r"hostname: .*", lambda _: f"hostname: 127.0.0.1\n  port: {next(ports)}", text)
    hosts.write_text(away)
    defaults = desk.inventory / "defaults.yaml"
    defaults.write_text(f'notify: ["env:CHAT"]\n{defaults.read_text()}')
    desk.secrets["CHAT"] = receiver.url
    for _ in range(2):
        told = desk.hacc("check", "--notify", "--metrics", "hacc.prom").ends(3)
        assert TOKEN not in told.out + told.err
    (message,) = receiver.heard
    assert message["title"] == f"hacc {desk.place.name}: 5 new (worst: critical)"
    families = text_string_to_metric_families((desk.place / "hacc.prom").read_text())
    samples = {family.name: family.samples for family in families}
    assert {s.labels["state"]: s.value for s in samples["hacc_check_hosts"]} == {
        "judged": 0, "failed": 5, "foreign": 0
    }  # fmt: skip
    first, second = desk.hacc("history", "--json").ends(0).value
    assert (first["exit"], second["exit"]) == (3, 3)
    assert message["message"].endswith(f"hacc history show {first['name']}")
