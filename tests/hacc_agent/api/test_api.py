"""The API beside a running controller: what it gives is what the daemon says, and to whom."""

from __future__ import annotations

import gzip
import json
import signal
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.control import ask
from tests.hacc_agent.api.served import (
    ONCALL,
    OPERATOR,
    READER,
    Served,
    configured,
    open_folder,
    serving,
)
from tests.loopback import Loopback, cluster, status, until

NAMES = [f"node{number}@example.net" for number in range(5)]


@pytest.fixture(scope="module")
def west() -> Iterator[Loopback]:
    with open_folder() as folder, cluster(folder, "ha1", "hacc1", complete=True) as made:
        for name in NAMES:
            with closing(made.mobile_node(name)) as node:
                assert node.register().code == 0
        yield made


@pytest.fixture(scope="module")
def api(west: Loopback, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("api")
    runtime = west["hacc1"].config.runtime_directory
    with serving(folder, configured(folder, runtime)) as made:
        yield made


def test_the_status_is_the_daemons(west: Loopback, api: Served) -> None:
    told, given = status(west["hacc1"]), api.get("/v1/status")
    same = ("cluster", "role", "version", "configuration", "since", "bindings", "capacity")
    assert {name: given[name] for name in same} == {name: told[name] for name in same}
    assert given["router"] == "hacc1"
    assert given["bindings"] == len(NAMES)
    assert given["decides"] is True
    assert sum(given["states"].values()) == len(told["members"])


def test_members_are_told_with_what_they_serve(west: Loopback, api: Served) -> None:
    told = status(west["hacc1"])["members"]
    given = api.get("/v1/members")["members"]
    same = ("name", "kind", "state", "bindings", "slots", "capacity", "backup")
    assert [[each[name] for name in same] for each in given] == [
        [each[name] for name in same] for each in told
    ]


def test_every_binding_is_on_one_of_the_pages(api: Served) -> None:
    found, after = [], ""
    while True:
        page = api.get("/v1/bindings?limit=2" + (f"&after={after}" if after else ""))
        found += [each["nai"] for each in page["bindings"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert sorted(found) == NAMES
    (one,) = api.get(f"/v1/bindings?nai={NAMES[2]}")["bindings"]
    assert (
        api.get(f"/v1/bindings?home_address={one['home_address']}")["bindings"][0]["nai"]
        == NAMES[2]
    )
    both = f"/v1/bindings?nai={NAMES[2]}&home_address="
    assert len(api.get(both + one["home_address"])["bindings"]) == 1
    assert api.get(both + "198.51.100.1") == {"bindings": [], "next": None}
    assert len(api.get("/v1/bindings?member=ha1")["bindings"]) == len(NAMES)
    assert api.call("/v1/bindings?member=ha77").status == 404


def test_the_runs_of_slots_hold_all_of_them(api: Served) -> None:
    given = api.get("/v1/slots")
    assert sum(run["last"] - run["first"] + 1 for run in given["runs"]) == given["slots"]


def test_what_is_large_comes_packed_to_who_takes_it(api: Served) -> None:
    reply = api.call("/v1/members", headers={"accept-encoding": "gzip, br"})
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body))["members"] == api.get("/v1/members")["members"]


def test_a_client_with_a_certificate_needs_no_token(api: Served) -> None:
    known = ssl.create_default_context(cafile=api.folder / "authority.pem")
    known.load_cert_chain(api.folder / "oncall.pem", api.folder / "oncall.key")
    assert api.call("/v1/status", token="", context=known).status == 200
    refused = api.call("/v1/members/ha1/drain", token="", method="POST", context=known)
    assert (refused.status, refused.value["detail"]) == (403, f"{ONCALL} may read, and no more")


@pytest.mark.parametrize(
    "path",
    ["/v1/status", "/v1/members", "/v1/events/stream", "/metrics", "/v1/nothing", "/v1/../etc"],
)
@pytest.mark.parametrize("token", ["", "guess", READER[:-1], "x" * 5000], ids=len)
def test_nobody_gets_nothing(api: Served, path: str, token: str) -> None:
    reply = api.call(path, token=token)
    assert reply.status in (401, 429)
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(reply.value) == {"title", "status", "detail"}


def test_who_may_read_may_not_order(api: Served) -> None:
    for order in ("drain", "undrain", "failover"):
        reply = api.call(f"/v1/members/ha1/{order}", method="POST")
        assert (reply.status, reply.value["detail"]) == (403, "prometheus may read, and no more")


def test_an_order_is_carried_out_and_told_with_its_giver(west: Loopback, api: Served) -> None:
    done = api.call("/v1/members/ha1/drain", token=OPERATOR, method="POST")
    assert (done.status, done.value["order"]) == (200, "drain")
    until(lambda: _state(west, "ha1") in ("draining", "maintenance"))
    try:
        folder = Path(west["hacc1"].config.runtime_directory)
        orders = [each for each in ask(folder, "events", limit=100) if "order" in each]
        assert (orders[-1]["member"], orders[-1]["by"]) == ("ha1", "night-shift")
        assert any(line["event"] == "ordered" and line["by"] == "night-shift" for line in api.said)
    finally:
        assert api.call("/v1/members/ha1/undrain", token=OPERATOR, method="POST").status == 200
    until(lambda: _state(west, "ha1") in ("up", "unknown"))
    assert api.call("/v1/members/ha77/drain", token=OPERATOR, method="POST").status == 404


def _state(west: Loopback, member: str) -> Any:
    return next(
        each["state"] for each in status(west["hacc1"])["members"] if each["name"] == member
    )


def test_a_listener_hears_what_happens(west: Loopback, api: Served) -> None:
    folder = Path(west["hacc1"].config.runtime_directory)
    with api.listening() as listener:
        whole = listener.until(lambda kind, _: kind == "figures")
        assert {"ha1"} <= set(whole["members"])
        list(ask(folder, "announce", drill="member-kill", phase="begins", what="ha1 dies"))
        event = listener.until(lambda kind, data: kind == "event" and data.get("phase") == "begins")
        running = listener.until(lambda kind, data: kind == "figures" and bool(data["drill"]))
        assert running["drill"]["name"] == "member-kill"
        assert running["members"].get("ha1") != whole["members"]["ha1"]  # what has changed alone
    list(ask(folder, "announce", drill="member-kill", phase="ends"))
    with api.listening(since=event["id"]) as again:
        assert again.until(lambda kind, _: kind == "event")["phase"] == "ends"
        again.until(lambda kind, data: kind == "figures" and data["drill"] is None)


def test_events_since_one_are_those_after_it(api: Served) -> None:
    every = api.get("/v1/events")
    assert every["next"] == every["events"][-1]["id"]
    assert api.get(f"/v1/events?since={every['next']}") == {"events": [], "next": every["next"]}
    later = api.get(f"/v1/events?since={every['events'][0]['id']}")["events"]
    assert later == every["events"][1:]


def test_it_is_told_to_stop_and_does(west: Loopback, tmp_path: Path) -> None:
    """With a listener that hears of nothing: its stream ends, and so does the process."""
    config = configured(tmp_path, west["hacc1"].config.runtime_directory)
    with serving(tmp_path, config) as made, made.listening() as listener:
        listener.until(lambda kind, _: kind == "figures")
        assert made.process is not None
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(20) == 0
        assert made.said[-1]["event"] == "stopped"
