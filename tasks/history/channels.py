"""Sending: through apprise, which knows a hundred services (https://github.com/caronc/apprise)."""

from __future__ import annotations

import enum
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from ..errors import HaccError, Problem

ANSWER_S: Final = 30.0  # how long a service may take to answer a message


class Delivery(enum.StrEnum):
    """What became of a message. The words stand in the history."""

    BEGUN = "begun"  # nothing is known yet
    SENT = "sent"
    FAILED = "failed"  # it did not arrive
    UNKNOWN = "unknown"  # it may have arrived: the service, or we, fell silent in between


def require() -> None:
    """Raises HaccError where nothing can be sent at all."""
    if find_spec("apprise") is None:
        raise HaccError(
            Problem(None, "notify", "the library apprise is not installed",
                    hint="pip install 'hacc[notify]'")
        )  # fmt: skip


def send(url: str, title: str, body: str, *, alarming: bool) -> tuple[Delivery, str]:
    """Send one message, and say why when it did not go. No part of the URL is repeated."""
    import apprise

    with _overheard() as said:
        channel = apprise.Apprise()
        if not channel.add(url):
            return Delivery.FAILED, "is no notification URL that apprise knows"
        for service in channel:
            service.socket_read_timeout = ANSWER_S
        begun = time.monotonic()
        kind = apprise.NotifyType.WARNING if alarming else apprise.NotifyType.SUCCESS
        sent = channel.notify(body=body, title=title, notify_type=kind, body_format="text")
    if sent:
        return Delivery.SENT, ""
    if time.monotonic() - begun >= ANSWER_S:  # it took the message, and did not say that it did
        return Delivery.UNKNOWN, f"did not answer within {ANSWER_S:.0f} s"
    return Delivery.FAILED, _without(url, said[-1] if said else "refused")


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What apprise logs; its words would otherwise stand on standard error, URLs and all."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger = logging.getLogger("apprise")
    ear, level, on = Ear(logging.WARNING), logger.level, logger.propagate
    logger.addHandler(ear)
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    try:
        yield said
    finally:
        logger.removeHandler(ear)
        logger.propagate = on
        logger.setLevel(level)


def _without(url: str, text: str) -> str:
    """Neither the URL nor a part of it: tokens, users and passwords are its parts."""
    parts = [url, *re.split(r"[^\w.%-]+", url.partition("://")[2])]
    secret = "|".join(re.escape(part) for part in parts if len(part) > 3)
    return re.sub(secret, "***", " ".join(text.split())) if secret else text
