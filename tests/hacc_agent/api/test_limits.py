"""What is too long, too slow, too often or too many is refused, and the others do not notice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from bench.crowd import Crowd, answering
from hacc_agent.api import protocol
from hacc_agent.api.access import comes_from_elsewhere
from hacc_agent.api.allowance import KNOWN, Allowance
from hacc_agent.api.gate import CALLS, STRANGERS, TARGET
from tests.hacc_agent.api.served import OPERATOR, READER, Served, configured, open_folder, serving

LISTENERS = 20


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with open_folder() as folder, answering(Crowd(20), folder):
        config = configured(folder / "api", str(folder), listeners=LISTENERS)
        with serving(folder / "api", config) as made:
            yield made


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8443"},
    ],
    ids=["cross-site", "same-site", "origin", "null", "not-https"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_page_of_another_site_gets_nothing_even_with_a_right(
    api: Served, headers: dict[str, str], method: str
) -> None:
    path = "/v1/status" if method == "GET" else "/v1/members/ha0001/drain"
    reply = api.call(path, token=OPERATOR, method=method, headers=headers)
    assert (reply.status, reply.value["detail"]) == (403, "the page of another site may not call")
    assert "access-control-allow-origin" not in reply.headers


def test_our_own_page_and_programs_may_call() -> None:
    own = {"host": "hacc1:8443", "origin": "https://hacc1:8443"}
    assert not comes_from_elsewhere(own | {"sec-fetch-site": "same-origin"})
    assert not comes_from_elsewhere(own)
    assert not comes_from_elsewhere({})


@pytest.mark.parametrize(
    "path",
    ["/v1/bindings?nai=" + "a" * TARGET, "/" + "a" * TARGET, "/v1/bindings?" + "a&" * TARGET],
    ids=["value", "path", "names"],
)
def test_a_giant_query_is_refused(api: Served, path: str) -> None:
    assert api.call(path).status == 414


def test_giant_headers_are_refused(api: Served) -> None:
    """Those that come in one piece, and those that a parser would have to collect."""
    assert api.call("/v1/status", headers={"x": "y" * 20_000}).status == 431
    many = {f"x-{number}": "y" * 200 for number in range(100)}
    assert api.call("/v1/status", headers=many).status == 431
    with api.raw() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "headers",
    [b"content-length: 5", b"content-length: 99999999999", b"transfer-encoding: chunked"],
)
def test_a_body_is_refused_before_it_is_read(api: Served, headers: bytes) -> None:
    token = OPERATOR.encode()
    with api.raw() as connection:
        connection.sendall(
            b"POST /v1/members/ha0001/drain HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
            + token
            + b"\r\n"
            + headers
            + b"\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\r\n\r\n",
        b"GET\r\n\r\n",
        b"\xff" * 100 + b"\r\n\r\n",
    ],
    ids=["tls-in-tls", "no-path", "noise"],
)
def test_what_is_no_request_ends_the_connection(api: Served, octets: bytes) -> None:
    with api.raw() as connection:
        connection.sendall(octets)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert api.call("/v1/status").status == 200


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/bindings?limit=0", "limit: 1 to 1000"),
        ("/v1/bindings?limit=1001", "limit: 1 to 1000"),
        ("/v1/bindings?limit=many", "limit: a whole number belongs here"),
        ("/v1/bindings?limit=5&limit=6", "limit: stands there twice"),
        ("/v1/bindings?all=yes", "parameters are: home_address, nai, member, after, limit"),
        ("/v1/bindings?home_address=1.2.3.256", "home_address: an IPv4 address"),
        ("/v1/events?since=yesterday", "since: the id of the last event that is known"),
        ("/v1/status?x=1", "parameters are: none"),
    ],
)
def test_a_query_that_is_not_right_is_told_how_it_would_be(
    api: Served, path: str, said: str
) -> None:
    reply = api.call(path)
    assert reply.status == 400
    assert reply.value["detail"].startswith(said)


def test_one_listener_more_than_there_may_be_is_refused(api: Served) -> None:
    with ExitStack() as stack:
        for _ in range(LISTENERS):
            listener = stack.enter_context(api.listening())
            assert listener.until(lambda kind, _: kind == "figures")
        refused = api.call("/v1/events/stream")
        assert (refused.status, refused.value["detail"]) == (503, f"{LISTENERS} listen already")
        assert api.call("/v1/status").status == 200, "who asks once is served beside them"


def test_who_guesses_is_told_to_wait_and_locks_nobody_out(api: Served) -> None:
    """Each case has its own server's allowance; here it is worn out for good."""
    statuses = {api.call("/v1/status", token="guess").status for _ in range(STRANGERS[1] + 10)}
    assert statuses <= {401, 429}
    assert 429 in statuses
    assert api.call("/v1/status", token=READER).status == 200


def test_an_allowance_comes_back_with_time_and_forgets_in_bounds() -> None:
    allowance = Allowance(*CALLS)
    per_s, burst = CALLS
    assert all(allowance.take("ann", 5.0) for _ in range(burst))
    assert not allowance.take("ann", 5.0)
    assert allowance.take("bob", 5.0)
    assert allowance.take("ann", 5.0 + 1.1 / per_s)
    assert not allowance.take("ann", 5.0 + 1.2 / per_s)
    for number in range(2 * KNOWN):
        allowance.take(str(number), 6.0)
    assert len(allowance._buckets) == KNOWN


# ------------------------------------------------------------------ slow ones, without waiting


class _Transport(asyncio.Transport):
    """One end, which nobody is at the other of."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 5), "sockname": ("192.0.2.2", 6)}.get(name, default)

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def close(self) -> None:
        self.aborted = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _application(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _connected(monkeypatch: pytest.MonkeyPatch) -> tuple[protocol.Protocol, _Transport]:
    monkeypatch.setattr(protocol, "ASK_S", 0.05)
    monkeypatch.setattr(protocol, "TAKE_S", 0.05)
    settings = Config(_application, log_config=None, ws="none", lifespan="off")
    settings.load()
    made, transport = protocol.Protocol(settings, ServerState(), {}), _Transport()
    made.connection_made(transport)
    return made, transport


async def _ended(transport: _Transport) -> None:
    async with asyncio.timeout(20):
        while not transport.aborted:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab",
    ],
    ids=["nothing", "half-a-line", "half-the-headers", "half-a-body"],
)
def test_a_request_that_does_not_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, octets: bytes
) -> None:
    async def scene() -> None:
        made, transport = _connected(monkeypatch)
        if octets:
            made.data_received(octets)
        await _ended(transport)
        made.connection_lost(None)

    asyncio.run(scene())


def test_an_answer_that_is_not_taken_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        made, transport = _connected(monkeypatch)
        made.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        made.pause_writing()
        await _ended(transport)
        made.connection_lost(None)

    asyncio.run(scene())


def test_a_request_that_has_ended_is_no_longer_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        made, _ = _connected(monkeypatch)
        made.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        made.pause_writing()
        made.resume_writing()
        assert made._asking is None
        assert made._taking is None
        made.connection_lost(None)

    asyncio.run(scene())


def test_old_tls_is_refused(api: Served) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        api.call("/v1/status", context=old)
