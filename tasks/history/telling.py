"""Tell each channel its news, once.

That a message is about to leave is written down before it leaves. Whoever finds one of which
nothing more is known does not send it again: it says that it may be missing. So nothing is told
twice, whenever the process or the machine dies; a message that a service refuses is not lost
either, because the next run finds the same news again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from pydantic import TypeAdapter

from .. import who
from ..errors import Problem
from ..findings import Area, Checked
from ..settings import Channel
from . import rows
from .channels import Delivery, require, send
from .news import News, Told, body, news, title
from .store import History
from .tables import messages

# A message that another machine began longer ago than this it has not been sending since: a
# service answers within channels.ANSWER_S.
_ABANDONED: Final = timedelta(minutes=5)
_AFTER: TypeAdapter[dict[str, Told]] = TypeAdapter(dict[str, Told])


@dataclass(frozen=True, slots=True)
class Message:
    """News that were written down and are about to leave."""

    key: int
    channel: Channel
    found: News


def tell(
    history: History,
    channels: Collection[Channel],
    urls: Mapping[str, str],
    checked: Checked,
    areas: Collection[Area],
    run: str,
    now: datetime,
) -> Iterator[Problem]:
    """Send what is new to each channel; yield what went wrong. One run of a machine at a time.

    `urls` maps references to URLs. Raises HistoryError, and HaccError without apprise.
    """
    require()
    for channel in channels:
        message, problems = _begin(history, channel, checked, areas, run, now)
        yield from problems
        if message is None:
            continue
        found = message.found
        delivery, said = send(
            urls[channel.url.ref],
            title(history.location.site, found),
            body(found, run),
            alarming=bool(found.new or found.worse),
        )
        _end(history, message, delivery, said)
        if delivery is not Delivery.SENT:
            yield _problem(channel, delivery, said)


def not_delivered(history: History, channels: Collection[Channel]) -> Iterator[tuple[Channel, str]]:
    """Channels whose last message did not arrive, or may not have, and why."""
    for channel in channels:
        with history.reading() as connection:
            last = connection.execute(
                sa.select(messages.c.delivery, messages.c.said)
                .where(
                    messages.c.site == history.location.site,
                    messages.c.channel == channel.url.ref,
                )
                .order_by(messages.c.id.desc())
                .limit(1)
            ).one_or_none()
        if last is not None and last.delivery != Delivery.SENT:
            yield channel, f"{last.delivery}: {last.said}" if last.said else last.delivery


def _begin(
    history: History,
    channel: Channel,
    checked: Checked,
    areas: Collection[Area],
    run: str,
    now: datetime,
) -> tuple[Message | None, list[Problem]]:
    """Write down what is about to be sent, if anything is."""
    mine = sa.and_(messages.c.site == history.location.site, messages.c.channel == channel.url.ref)
    problems = []
    with history.writing() as connection:
        last = connection.execute(
            sa.select(messages)
            .where(mine, messages.c.delivery != str(Delivery.FAILED))
            .order_by(messages.c.id.desc())
            .limit(1)
        ).one_or_none()
        if last is not None and last.delivery == Delivery.BEGUN:
            begun = datetime.fromisoformat(last.begun)
            if last.machine != who.machine() and now - begun < _ABANDONED:
                return None, [_busy(channel, last.machine)]
            _set(connection, last.id, Delivery.UNKNOWN, "nothing was heard of it")
            problems.append(_lost(channel, last.run))
        before = {} if last is None else _AFTER.validate_json(last.after)
        found = news(before, checked, areas)
        if not found:
            return None, problems
        key = connection.execute(
            sa.insert(messages).values(
                site=history.location.site,
                channel=channel.url.ref,
                run=run,
                machine=who.machine(),
                begun=rows.time(now),
                title=title(history.location.site, found),
                delivery=str(Delivery.BEGUN),
                said="",
                after=_AFTER.dump_json(dict(found.after)).decode(),
            )
        ).inserted_primary_key
        assert key is not None
        return Message(key[0], channel, found), problems


def _end(history: History, message: Message, delivery: Delivery, said: str) -> None:
    with history.writing() as connection:
        _set(connection, message.key, delivery, said)
        if delivery is not Delivery.FAILED:
            connection.execute(
                sa.update(messages)
                .where(
                    messages.c.site == history.location.site,
                    messages.c.channel == message.channel.url.ref,
                    messages.c.id < message.key,
                )
                .values(after="{}")
            )


def _set(connection: sa.Connection, key: int, delivery: Delivery, said: str) -> None:
    connection.execute(
        sa.update(messages).where(messages.c.id == key).values(delivery=str(delivery), said=said)
    )


def _problem(channel: Channel, delivery: Delivery, said: str) -> Problem:
    if delivery is Delivery.UNKNOWN:
        return Problem(
            channel.place,
            channel.url.ref,
            f"the message may not have arrived: the service {said}",
            hint="it is not sent again; hacc history drift shows what is open",
        )
    return Problem(
        channel.place,
        channel.url.ref,
        f"the message did not arrive: {said}",
        hint="the next run tells the same news",
    )


def _lost(channel: Channel, run: str) -> Problem:
    return Problem(
        channel.place,
        channel.url.ref,
        f"it is not known whether the message about {run} arrived: that run ended while it left",
        hint=f"it is not sent again; what it said: hacc history show {run}",
    )


def _busy(channel: Channel, machine: str) -> Problem:
    return Problem(
        channel.place,
        channel.url.ref,
        f"{machine} is telling this channel just now",
        hint="the next run tells what is left",
    )
