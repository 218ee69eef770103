"""What Prometheus gets: read by its own parser, named as it wants, and all that there is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bench.crowd import EACH, Crowd, answering
from hacc_agent.api import metrics
from hacc_agent.api.feed import INTERVAL_S
from hacc_agent.engine.cluster.counters import Counters
from hacc_agent.engine.health import State
from tests.hacc_agent.api.served import Served, configured, open_folder, serving

UNITS = ("seconds", "bytes", "ratio", "total", "info", "per_second")
NOT_BASE = ("milliseconds", "_ms", "percent", "kilobytes", "mib", "minutes", "_s_")


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[Crowd, Served]]:
    with open_folder() as folder, answering(Crowd(12), folder) as crowd:
        crowd.kill("ha0003")
        with serving(folder / "api", configured(folder / "api", str(folder))) as made:
            yield crowd, made


def families(api: Served) -> dict[str, Metric]:
    reply = api.call("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {each.name: each for each in text_string_to_metric_families(reply.body.decode())}


def values(family: Metric, **labels: str) -> list[float]:
    return [each.value for each in family.samples if labels.items() <= each.labels.items()]


def test_it_tells_what_the_daemon_does(api: tuple[Crowd, Served]) -> None:
    crowd, served = api
    found = families(served)
    assert values(found["hacc_agent_up"]) == [1]
    assert values(found["hacc_bindings"]) == [12 * EACH]
    assert values(found["hacc_member_bindings"], member="ha0004") == [2 * EACH]
    assert values(found["hacc_member_state"], member="ha0003", state="down") == [1]
    assert sum(values(found["hacc_member_state"])) == len(crowd.states)
    assert values(found["hacc_replies"], result="accepted")[0] > 0


def test_names_and_units_are_as_promtool_would_have_them(api: tuple[Crowd, Served]) -> None:
    """`promtool check metrics`: help and type for each, base units, `_total` for counters alone."""
    body = api[1].call("/metrics").body.decode()
    for name, family in families(api[1]).items():
        assert family.documentation.endswith("."), name
        assert family.type in ("gauge", "counter"), name
        assert not any(word in f"{name}_" for word in NOT_BASE), name
        typed = f"# TYPE {name}{'_total' if family.type == 'counter' else ''} {family.type}\n"
        assert typed in body
        for sample in family.samples:
            assert sample.name == name + ("_total" if family.type == "counter" else "")
            assert all(label.isidentifier() for label in sample.labels)
        if name.endswith("_info"):
            assert {sample.value for sample in family.samples} == {1}


def test_every_counter_and_every_state_of_the_engine_is_there() -> None:
    mapped = [field for _, _, fields in metrics.COUNTERS.values() for field in fields]
    assert sorted(mapped) == sorted(field.name for field in dataclasses.fields(Counters))
    assert sorted(metrics.STATES) == sorted(state.value for state in State)


def test_while_the_daemon_is_silent_that_is_told_and_nothing_invented() -> None:
    with open_folder() as folder, serving(folder, configured(folder, str(folder))) as api:
        found = families(api)
        assert values(found["hacc_agent_up"]) == [0]
        assert not any(name.startswith("hacc_member") for name in found)
        refused = api.call("/v1/status")
        assert refused.status == 503
        assert "nobody answers" in refused.value["detail"]


def test_what_is_not_known_has_no_sample() -> None:
    with open_folder() as folder, answering(Crowd(2), folder) as crowd:
        crowd.deaf.add("ha0001")
        with serving(folder / "api", configured(folder / "api", str(folder))) as api:
            found = families(api)
            for name in ("hacc_member_cpu_ratio", "hacc_member_heard_timestamp_seconds"):
                assert len(values(found[name], member="ha0000")) == 1
                assert values(found[name], member="ha0001") == []
            assert values(found["hacc_member_bindings"], member="ha0001") == [EACH]


def test_however_many_ask_the_daemon_is_asked_once_a_second(api: tuple[Crowd, Served]) -> None:
    crowd, served = api
    before, began = crowd.asked, time.monotonic()
    for _ in range(60):
        served.get("/v1/members")
    assert crowd.asked - before <= (time.monotonic() - began) / INTERVAL_S + 2
