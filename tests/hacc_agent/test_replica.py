"""Two controllers, one log: real TLS on loopback, real files, breaks and deaths in between."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hacc_agent import link, standby
from hacc_agent.disk import Disk
from hacc_agent.link import HANDSHAKE, UNKNOWN, LinkError
from hacc_agent.replica import COMPARE, Replica
from hacc_agent.standby import SILENCE, Claim, LinkBroken, Recent
from tasks import pki
from tests.hacc_agent.crashing import Rows, after
from tests.hacc_agent.pair import PORT, Pair, Router, certificates


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("pki"), "west", "hacc1", "hacc2", "ha1", "stranger")


@pytest.fixture
def pair(tmp_path: Path, keys: Path) -> Iterator[Pair]:
    made = Pair(tmp_path, keys)
    yield made
    made.close()


@pytest.fixture
def two(pair: Pair) -> tuple[Router, Router]:
    """One that leads and has twelve groups, one that follows and has them too."""
    active, other = pair.router("hacc1").lead(), pair.router("hacc2").follow()
    active.change(12)
    pair.until(lambda: other.sequence == 12)
    return active, other


def restarted(router: Router) -> dict[int, int]:
    """What the router's disk says."""
    rows = Rows()
    replica = Replica(router.config, rows, os.urandom, lambda *_, **__: None)
    replica.journal.open(rows.apply)
    replica.journal.close()
    return rows.rows


# ------------------------------------------------------------------ in order


def test_both_have_the_same_in_memory_and_on_disk(pair: Pair, two: tuple[Router, Router]) -> None:
    active, other = two
    active.change(30)
    pair.until(lambda: other.sequence == 42)
    assert other.rows.rows == active.rows.rows == after(42)
    pair.until(lambda: active.replica.status()["followers"][0]["behind"] == 0)
    assert other.replica.status()["follows"] == "hacc1"
    pair.close()
    pair.routers.clear()
    assert restarted(active) == restarted(other) == after(42)


def test_a_standby_knows_the_time_of_what_it_was_given(pair: Pair) -> None:
    """A wall clock that is set back must not make lifetimes longer after a restart."""
    active = pair.router("hacc1").lead()
    active.replica._log = Recent(active.replica.journal.position, 7, limit=0)
    active.change(3)
    other = pair.router("hacc2").follow()
    pair.until(lambda: other.sequence == 3)
    assert active.replica.status()["followers"][0]["states"] == 1
    pair.gone(other)
    other.close()
    again = Router(other.config, pair.clock)
    recovered = again.replica.journal.open(again.rows.apply)
    again.replica.journal.close()
    assert 0 < recovered.steady <= pair.clock().steady


def test_a_group_is_on_its_way_before_append_returns(
    pair: Pair, two: tuple[Router, Router]
) -> None:
    active, other = two
    active.change()
    pair.gone(active)
    active.kill()
    pair.until(lambda: other.sequence == 13)


def test_a_standby_that_was_away_goes_on_where_its_disk_ended(
    pair: Pair, two: tuple[Router, Router]
) -> None:
    active, other = two
    pair.gone(other)
    other.close()
    active.change(5)
    again = pair.router("hacc2").follow()
    assert again.sequence == 12
    pair.until(lambda: again.sequence == 17)
    assert again.rows.rows == after(17)
    assert active.replica.status()["followers"][0]["states"] == 0


def test_a_restart_of_the_active_asks_for_no_state(pair: Pair, two: tuple[Router, Router]) -> None:
    active, other = two
    pair.gone(active)
    active.close()
    pair.until(lambda: other.replica.status()["follows"] is None)
    again = pair.router("hacc1").lead()
    pair.later(10)
    again.change()
    pair.until(lambda: other.sequence == 13)
    assert again.replica.status()["followers"][0]["states"] == 0
    assert other.rows.rows == after(13)


def test_a_standby_takes_over_and_who_returns_follows(
    pair: Pair, two: tuple[Router, Router]
) -> None:
    active, other = two
    pair.gone(active)
    active.kill()
    pair.until(lambda: other.replica.status()["follows"] is None)
    other.change(3)
    assert other.replica.leads
    again = pair.router("hacc1").follow()
    pair.until(lambda: again.sequence == 15)
    assert again.rows.rows == other.rows.rows == after(15)


def test_of_two_that_lead_the_one_that_was_busy_later_goes_on(
    pair: Pair, two: tuple[Router, Router]
) -> None:
    """The standby is asked, and so leads; the other is alive, asked no more, and gives way."""
    active, other = two
    other.change(2)
    pair.until(lambda: active.sequence == 14)
    assert (active.replica.leads, other.replica.leads) == (False, True)
    assert active.rows.rows == after(14)
    active.change()
    pair.until(lambda: other.sequence == 15)
    assert (active.replica.leads, other.replica.leads) == (True, False)
    assert active.heard("another router leads")


def test_a_member_leads_its_own_log_and_no_controller(
    pair: Pair, two: tuple[Router, Router]
) -> None:
    active, other = two
    member = pair.member("ha1").lead()
    member.change(3)
    assert member.replica.next_deadline() is None, "it looks for nobody"
    claim = Claim(1e9, 0.0)
    feed = active.replica._answer("ha1", 0.0)
    feed.receive(claim.take(0.0), 0.0)
    with pytest.raises(LinkBroken, match="busy later"):
        claim.receive(feed.take(0.0), 0.0)
    active.change()
    pair.until(lambda: other.sequence == 13)
    assert active.replica.leads


# ------------------------------------------------------------------ slow, silent, different


def test_a_standby_that_stands_still_costs_the_active_nothing(
    pair: Pair, two: tuple[Router, Router], monkeypatch: pytest.MonkeyPatch
) -> None:
    active, other = two
    monkeypatch.setattr(standby, "RETAINED", 4096)
    pair.gone(other)
    active.lead()
    log = active.replica._log
    assert log is not None
    log._limit = 1 << 16
    records = bytes([9]) * 64 * 1000  # not Rows': only their octets count here
    for _ in range(200):  # 12.8 MB: more than any socket's buffer holds
        active.replica.append(records, pair.clock())
    assert sum(map(len, log._frames)) <= 1 << 16
    pair.routers.append(other)
    pair.until(lambda: other.sequence == active.sequence)
    assert active.replica.status()["followers"][0]["states"] == 1
    assert other.rows.rows == active.rows.rows


def test_a_standby_that_is_silent_is_given_up(pair: Pair, two: tuple[Router, Router]) -> None:
    active, other = two
    pair.gone(other)

    def given_up() -> bool:
        pair.later(SILENCE / 2)
        return not active.replica.status()["followers"]

    pair.until(given_up)
    assert active.heard("the link with hacc2 is down")
    assert active.heard("silent")
    other.close()


def test_tables_that_differ_are_found_by_their_digest(
    pair: Pair, two: tuple[Router, Router]
) -> None:
    active, other = two
    other.rows.rows[3] = 4711
    for _ in range(int(COMPARE)):
        pair.later(1)
        for router in pair.routers:
            router.replica.handle(pair.clock())
    pair.until(lambda: other.replica.status()["differed"] == 1)
    pair.until(lambda: other.replica.status()["whole"] and other.rows.rows == active.rows.rows)


def test_who_must_lead_with_half_a_state_goes_back_to_its_disk(
    pair: Pair, two: tuple[Router, Router], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was decided on the half is kept all the same."""
    active, other = two
    monkeypatch.setattr(standby, "CHUNK", 1)
    monkeypatch.setattr(link, "PIECE", 1)
    active.rows.rows |= {1000 + n: 1 for n in range(3000)}
    other.rows.rows[3] = 4711
    pair.later(COMPARE)
    active.replica._compare(pair.clock())
    pair.until(lambda: not other.replica.status()["whole"])
    pair.gone(active)
    active.kill()
    other.number = 12
    other.change()
    assert other.heard("back to what the disk holds")
    assert other.rows.rows == after(13)
    assert other.replica.status()["whole"]


# ------------------------------------------------------------------ fetch


def test_all_bindings_of_a_router_can_be_fetched(pair: Pair, two: tuple[Router, Router]) -> None:
    active, other = two
    fetched, ends = Rows(), list[str]()
    other.replica.fetch("hacc1", fetched.apply, ends.append, pair.clock())
    pair.until(lambda: bool(ends))
    assert ends == [""]
    assert fetched.rows == active.rows.rows


def test_the_bindings_of_a_member_can_be_fetched(pair: Pair, two: tuple[Router, Router]) -> None:
    active, _ = two
    member = pair.member("ha1").lead()
    member.change(7)
    fetched, ends = Rows(), list[str]()
    active.replica.fetch("ha1", fetched.apply, ends.append, pair.clock())
    pair.until(lambda: bool(ends))
    assert (ends, fetched.rows) == ([""], after(7))


def test_a_fetch_that_fails_says_why(pair: Pair, two: tuple[Router, Router]) -> None:
    active, other = two
    ends = list[str]()
    active.replica.fetch("hacc2", Rows().apply, ends.append, pair.clock())
    pair.until(lambda: bool(ends))
    assert ends == ["it does not lead"]
    other.replica.fetch("nobody", Rows().apply, ends.append, pair.clock())
    assert ends[1:] == ["there is no router 'nobody'"]
    other.replica.fetch("ha1", Rows().apply, ends.append, pair.clock())
    pair.later(HANDSHAKE)
    pair.until(lambda: len(ends) == 3)


# ------------------------------------------------------------------ who is believed


def strange(pair: Pair, folder: Path, cluster: str, name: str = "hacc2") -> Router:
    """A router with certificates of its own making, which would follow hacc1."""
    made = certificates(folder, cluster, name)
    (made / "authority.pem").rename(made / "own.pem")
    (made / "authority.pem").write_bytes((pair._keys / "authority.pem").read_bytes())
    return pair.router(name, made)


def test_another_clusters_certificate_is_refused(pair: Pair, tmp_path: Path) -> None:
    active = pair.router("hacc1").lead()
    active.change(3)
    other = strange(pair, tmp_path / "east", "east").follow()
    pair.until(lambda: active.heard("certificate") and other.heard("cannot follow hacc1"))
    assert active.heard("the link with somebody is down")
    assert other.rows.rows == {}
    assert not active.replica.status()["followers"]


def test_another_clusters_authority_is_not_believed_by_a_standby(
    pair: Pair, tmp_path: Path
) -> None:
    """Nothing that it says is taken, though it was asked."""
    folder = certificates(tmp_path / "east", "west", "hacc1")
    active = pair.router("hacc1", folder).lead()
    active.change(3)
    other = pair.router("hacc2").follow()
    pair.until(lambda: other.heard("its certificate is not accepted"))
    assert other.rows.rows == {}


def test_an_authority_for_two_clusters_does_not_join_them(pair: Pair, keys: Path) -> None:
    active = pair.router("hacc1").lead()
    other = pair.router("hacc2", cluster="east").follow()
    pair.until(lambda: other.heard("is for hacc://west/hacc1, which is no router of this cluster"))
    assert not active.replica.status()["followers"]
    assert keys.is_dir()


def test_a_router_that_is_not_in_the_intent_is_refused(pair: Pair, keys: Path) -> None:
    active = pair.router("hacc1").lead()
    caller = socket.create_connection((str(pair.address(1)), PORT))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(keys / "authority.pem")
    context.load_cert_chain(keys / "stranger.pem", keys / "stranger.key")
    caller.settimeout(0)
    stranger = context.wrap_socket(caller, do_handshake_on_connect=False)
    with stranger:

        def told() -> bool:
            with contextlib.suppress(OSError):
                stranger.do_handshake()
            return active.heard("is for hacc://west/stranger, which is no router")

        pair.until(told)


def test_a_certificate_that_has_ended_is_refused(pair: Pair, keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    for name in ("authority.pem", "authority.key"):
        (folder / name).write_bytes((keys / name).read_bytes())
    pki.issue(folder, "west", "hacc2", datetime.now(UTC) - 2 * pki.LIFETIME)
    active = pair.router("hacc1").lead()
    pair.router("hacc2", folder).follow()
    pair.until(lambda: active.heard("certificate has expired"))
    assert not active.replica.status()["followers"]
    pki.issue(folder, "west", "hacc2", datetime.now(UTC), replace=True)
    pair.routers[1].replica.reload()
    pair.later(10)
    pair.until(lambda: bool(active.replica.status()["followers"]))


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(500), os.urandom(5000), b""]
)
def test_strangers_disturb_nobody(pair: Pair, two: tuple[Router, Router], said: bytes) -> None:
    active, other = two
    with socket.create_connection((str(pair.address(1)), PORT)) as stranger:
        stranger.sendall(said)
        if not said:
            stranger.shutdown(socket.SHUT_WR)
        pair.until(lambda: active.heard("the link with somebody is down"))
    active.change()
    pair.until(lambda: other.sequence == 13)


def test_who_says_nothing_is_sent_away_and_there_are_never_many(
    pair: Pair, two: tuple[Router, Router]
) -> None:
    active, other = two
    callers = [socket.create_connection((str(pair.address(1)), PORT)) for _ in range(UNKNOWN + 3)]
    pair.until(lambda: active.heard("too many connections"))
    pair.later(HANDSHAKE)
    pair.until(lambda: active.heard("it does not answer"))
    for caller in callers:
        caller.close()
    pair.later(10)
    active.change()
    pair.until(lambda: other.sequence == 13)


@pytest.mark.parametrize("languages", [[], ["h2"], ["hacc-member"]])
def test_a_router_that_speaks_nothing_of_ours_is_refused(
    pair: Pair, keys: Path, languages: list[str]
) -> None:
    active = pair.router("hacc1").lead()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(keys / "authority.pem")
    context.load_cert_chain(keys / "hacc2.pem", keys / "hacc2.key")
    if languages:
        context.set_alpn_protocols(languages)
    caller = socket.create_connection((str(pair.address(1)), PORT))
    caller.settimeout(0)
    with context.wrap_socket(caller, do_handshake_on_connect=False) as other:

        def told() -> bool:
            with contextlib.suppress(OSError):
                other.do_handshake()
            return active.heard("it does not speak what we do")

        pair.until(told)


def test_an_old_protocol_is_refused(pair: Pair, keys: Path) -> None:
    active = pair.router("hacc1").lead()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(keys / "authority.pem")
    context.load_cert_chain(keys / "hacc2.pem", keys / "hacc2.key")
    caller = socket.create_connection((str(pair.address(1)), PORT))
    caller.settimeout(0)
    with context.wrap_socket(caller, do_handshake_on_connect=False) as old:

        def told() -> bool:
            with contextlib.suppress(OSError):
                old.do_handshake()
            return active.heard("TLS: unsupported protocol")

        pair.until(told)


# ------------------------------------------------------------------ what cannot be set up


@pytest.mark.parametrize("missing", ["authority.pem", "hacc1.pem", "hacc1.key"])
def test_a_file_that_is_missing_is_named(pair: Pair, tmp_path: Path, missing: str) -> None:
    folder = certificates(tmp_path / "keys", "west", "hacc1")
    (folder / missing).unlink()
    with pytest.raises(LinkError, match=rf"{missing}: no such file.*hacc pki issue"):
        pair.router("hacc1", folder)


def test_files_that_do_not_fit_are_told(pair: Pair, keys: Path, tmp_path: Path) -> None:
    folder = certificates(tmp_path / "keys", "west", "hacc1")
    (folder / "hacc1.key").write_bytes((keys / "hacc1.key").read_bytes())
    with pytest.raises(LinkError, match=r"hacc1\.pem: does not fit .*hacc1\.key: TLS: key values"):
        pair.router("hacc1", folder)


def test_a_port_that_is_taken_is_told(pair: Pair) -> None:
    with socket.socket() as taken:
        taken.bind((str(pair.address(1)), PORT))
        taken.listen()
        with pytest.raises(LinkError, match=rf"port {PORT} \(TCP\): address already in use"):
            pair.router("hacc1")


# ------------------------------------------------------------------ the disk


class Full(Disk):
    """The real disk, which can be full."""

    full = False

    def write(self, file: int, octets: bytes | memoryview, at: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(file, octets, at)


def test_a_full_disk_is_told_and_the_standby_has_everything(pair: Pair) -> None:
    disk = Full()
    active, other = pair.router("hacc1", disk=disk).lead(), pair.router("hacc2").follow()
    active.change(3)
    disk.full = True
    active.change(5)
    pair.until(lambda: other.sequence == 8)
    pair.until(lambda: active.heard("in memory alone  why=no space left on device"))
    assert active.replica.status()["trouble"] == "no space left on device"
    assert active.replica.status()["durable"] == 3
    disk.full = False
    pair.later(2)
    pair.until(lambda: active.heard("the journal is whole again"))
    assert active.replica.status()["durable"] == 8


def test_nothing_is_expired_soon(keys: Path) -> None:
    states = {
        each.state(datetime.now(UTC) + timedelta(days=300)) for each in pki.certificates(keys)
    }
    assert states == {"valid"}
