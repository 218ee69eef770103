"""Each channel hears its news once: against a receiver that takes real HTTP, and its faults."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import who
from tasks.errors import Place, Problem
from tasks.findings import Area, Checked, Finding, Severity, Skipped, Waiver
from tasks.history import channels, telling
from tasks.history.channels import Delivery
from tasks.history.faults import HistoryError
from tasks.history.news import LISTED, LONGEST, body, news, title, told
from tasks.history.store import History
from tasks.secrets import SecretRef
from tasks.settings import Channel
from tests.tasks.history.receiver import TOKEN, Receiver, listening
from tests.tasks.history.records import NOON, finding, location

# apprise itself loads a module that Python 3.13 no longer has, where there is one.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

AREAS = tuple(Area)
CHAT = Channel(SecretRef("env:CHAT"), Place("inventory/defaults.yaml", 9))
MAIL = Channel(SecretRef("env:MAIL"), Place("inventory/defaults.yaml", 10))


def checked(*found: Finding, failed: tuple[str, ...] = ()) -> Checked:
    return Checked(
        NOON.isoformat(),
        1.0,
        "5e" * 32,
        ("west",),
        ("ha1", "ha2"),
        found,
        failed=tuple(Skipped(host, (Problem(None, host, "no answer"),)) for host in failed),
    )


WAIVED = replace(finding(), waiver=Waiver("bob", "known", date(2027, 1, 1), Place("w.yaml", 1)))

# --- what is news


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ((), (finding(),), "new"),
        ((finding(),), (finding(),), ""),
        ((finding(),), (replace(finding(), message="otherwise said"),), ""),
        ((finding(),), (finding(severity=Severity.CRITICAL),), "worse"),
        ((finding(severity=Severity.CRITICAL),), (finding(),), ""),
        ((finding(),), (), "gone"),
        ((finding(),), (WAIVED,), "waived"),
        ((), (WAIVED,), ""),
        ((), (finding(severity=Severity.INFO),), ""),
        ((finding(),), (finding(severity=Severity.INFO),), "gone"),
    ],
    ids=["new", "same", "reworded", "worse", "better", "gone", "waived", "never-told", "info",
         "down-to-info"],
)  # fmt: skip
def test_what_is_news(before: tuple[Finding, ...], now: tuple[Finding, ...], said: str) -> None:
    heard = {one.fingerprint: told(one) for one in before}
    found = news(heard, checked(*now), AREAS)
    groups = {"new": found.new, "worse": found.worse, "gone": found.gone, "waived": found.waived}
    assert [word for word, group in groups.items() if group] == ([said] if said else [])
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    "run",
    [
        replace(checked(), clusters=("east",)),
        checked(failed=("ha1",)),
    ],
    ids=["another-cluster", "not-reached"],
)
def test_what_a_run_did_not_look_at_is_not_gone(run: Checked) -> None:
    heard = {finding().fingerprint: told(finding())}
    found = news(heard, run, AREAS)
    assert not found
    assert found.after == heard


def test_what_an_area_was_not_asked_for_is_not_gone() -> None:
    heard = {finding().fingerprint: told(finding())}
    assert not news(heard, checked(), (Area.STATE,))
    assert news(heard, checked(), (Area.CONFIGURATION,)).gone


some = st.lists(
    st.builds(
        finding, st.integers(1, 6), st.sampled_from(Severity), st.sampled_from(("ha1", "ha2"))
    ),
    unique_by=lambda one: one.fingerprint,
)


@given(some, some)
def test_who_has_heard_the_news_knows_what_is_open(
    first: list[Finding], then: list[Finding]
) -> None:
    after = news(news({}, checked(*first), AREAS).after, checked(*then), AREAS).after
    assert set(after) == {one.fingerprint for one in then if one.counts}
    assert not news(after, checked(*then), AREAS), "and nothing of it is news again"


@given(st.lists(st.text(min_size=1, max_size=5000), min_size=1, max_size=60))
def test_a_message_is_bounded(texts: list[str]) -> None:
    found = [replace(finding(n), message=text) for n, text in enumerate(texts)]
    fresh = news({}, checked(*found), AREAS)
    text = body(fresh, "20261123T120000Z-1a2b3c4d")
    assert len(text) <= LONGEST
    assert text.endswith("\nhacc history show 20261123T120000Z-1a2b3c4d")
    assert len(title("west", fresh)) < 100


def test_what_a_message_says() -> None:
    before = {
        one.fingerprint: told(one)
        for one in (finding(1), finding(2, Severity.MINOR), finding(3, host="ha2"))
    }
    fresh = news(before, checked(finding(2), finding(4, Severity.CRITICAL)), AREAS)
    assert title("west", fresh) == "hacc west: 1 new (worst: critical), 1 worse, 2 gone"
    assert body(fresh, "R") == (
        "New:\n- [critical] ha1: line 4 is missing (config.missing)\n"
        "Worse:\n- [major] ha1: line 2 is missing (config.missing)\n"
        "Gone:\n- [major] ha1: line 1 is missing (config.missing)\n"
        "- [major] ha2: line 3 is missing (config.missing)\n"
        "hacc history show R"
    )
    many = news({}, checked(*map(finding, range(1, LISTED + 4))), AREAS)
    assert "\n- and 3 more\n" in body(many, "R")


# --- sending


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as held:
        yield held


@dataclass(slots=True)
class Site:
    """A history, channels, and the runs that tell them."""

    place: Path
    urls: Mapping[str, str]
    runs: int = 0

    def run(self, *found: Finding, to: tuple[Channel, ...] = (CHAT,), at: datetime = NOON) -> str:
        """A run that found these tells them; what it had to say of the telling."""
        self.runs += 1
        with History.open(location(self.place)) as history:
            problems = [
                *telling.tell(
                    history, to, self.urls, checked(*found), AREAS, f"run-{self.runs}", at
                )
            ]
        text = "\n".join(map(str, problems))
        assert TOKEN not in text, "a URL holds a token"
        return text


@pytest.fixture
def site(tmp_path: Path, receiver: Receiver) -> Site:
    return Site(tmp_path, {"env:CHAT": receiver.url, "env:MAIL": receiver.url})


def test_news_are_told_once(site: Site, receiver: Receiver) -> None:
    for _ in range(3):
        assert site.run(finding(1), finding(2)) == ""
    (message,) = receiver.heard
    assert message["title"] == "hacc west: 2 new (worst: major)"
    assert message["type"] == "warning"
    assert "ha1: line 1 is missing" in message["message"]
    assert site.run(finding(1)) == ""
    assert receiver.heard[1]["title"] == "hacc west: 1 gone"
    assert receiver.heard[1]["type"] == "success"
    assert len(receiver.heard) == 2


def test_each_channel_has_a_memory_of_its_own(site: Site, receiver: Receiver) -> None:
    site.run(finding(1))
    site.run(finding(1), to=(CHAT, MAIL))
    assert len(receiver.heard) == 2
    site.run(finding(1), to=(CHAT, MAIL))
    assert len(receiver.heard) == 2


def test_a_channel_that_fails_hears_the_same_news_in_the_next_run(
    site: Site, receiver: Receiver
) -> None:
    receiver.answers = lambda: 500
    said = site.run(finding(1))
    assert said.startswith("inventory/defaults.yaml:9: env:CHAT: the message did not arrive: ")
    assert "500" in said
    assert "the next run tells the same news" in said
    with History.open(location(site.place)) as history:
        ((mute, why),) = telling.not_delivered(history, (CHAT, MAIL))
    assert (mute, why.partition(":")[0]) == (CHAT, "failed")
    receiver.answers = lambda: 200
    assert site.run(finding(1), finding(2)) == ""
    assert receiver.heard[-1]["title"] == "hacc west: 2 new (worst: major)"
    assert site.run(finding(1), finding(2)) == ""
    assert len(receiver.heard) == 2
    with History.open(location(site.place)) as history:
        assert not [*telling.not_delivered(history, (CHAT, MAIL))]


def test_one_channel_that_fails_keeps_nobody_else_from_hearing(
    site: Site, receiver: Receiver
) -> None:
    # Port 1 of this machine: nothing listens there, and nothing but root may.
    site.urls = {"env:CHAT": f"json://hacc:{TOKEN}@127.0.0.1:1/", "env:MAIL": receiver.url}
    assert "env:CHAT: the message did not arrive" in site.run(finding(1), to=(CHAT, MAIL))
    assert len(receiver.heard) == 1


def test_a_url_that_is_none(site: Site) -> None:
    site.urls = {"env:CHAT": f"nonsense-{TOKEN}"}
    assert "is no notification URL that apprise knows" in site.run(finding(1))


def test_a_service_that_falls_silent_may_have_heard(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the message: to send it again would be to tell it twice."""
    monkeypatch.setattr(channels, "ANSWER_S", 0.2)
    silence = threading.Event()

    def waits() -> int:
        silence.wait(60)
        return 0

    receiver.answers = waits
    try:
        said = site.run(finding(1))
    finally:
        silence.set()
    assert "the message may not have arrived: the service did not answer within" in said
    receiver.answers = lambda: 200
    assert site.run(finding(1)) == ""
    assert len(receiver.heard) == 1


class Killed(BaseException):
    """The process is no more."""


@pytest.mark.parametrize("moment", ["before-it-left", "after-it-left"])
def test_a_process_that_dies_while_it_tells_leaves_no_doubt_unsaid(
    site: Site, receiver: Receiver, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(url: str, title: str, body: str, *, alarming: bool) -> tuple[Delivery, str]:
        if moment == "after-it-left":
            channels.send(url, title, body, alarming=alarming)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(telling, "send", dies)
        with pytest.raises(Killed):
            site.run(finding(1))
    said = site.run(finding(1))
    assert "it is not known whether the message about run-1 arrived" in said
    assert "it is not sent again; what it said: hacc history show run-1" in said
    assert site.run(finding(1)) == "", "said once"
    assert len(receiver.heard) == (moment == "after-it-left"), "and never sent twice"
    assert site.run(finding(1), finding(2)) == ""
    assert receiver.heard[-1]["title"] == "hacc west: 1 new (worst: major)"


def test_another_machine_that_is_telling_is_left_to_it(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> tuple[Delivery, str]:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(telling, "send", dies)
        patch.setattr(who, "machine", lambda: "noc2")
        with pytest.raises(Killed):
            site.run(finding(1))
    soon, later = NOON + timedelta(minutes=1), NOON + timedelta(hours=1)
    assert "noc2 is telling this channel just now" in site.run(finding(1), at=soon)
    assert "it is not known whether the message about run-1 arrived" in site.run(
        finding(1), at=later
    )
    assert receiver.heard == []


def test_what_cannot_be_written_down_is_not_sent(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: History) -> None:
        raise HistoryError(Problem(None, "history", "locked"))

    with monkeypatch.context() as patch:
        patch.setattr(History, "writing", locked)
        # The tables are there: only what is written now cannot be.
        patch.setattr(History, "_make_ready", lambda _: None)
        with pytest.raises(HistoryError):
            site.run(finding(1))
    assert receiver.heard == []
    assert site.run(finding(1)) == ""
    assert len(receiver.heard) == 1
