"""Who is calling, and whether a page of somebody else's has made a browser call.

Nothing here remembers a caller: there are no cookies and no sessions, so what a browser sends by
itself is at most a client's certificate. Against pages that would use it, a call that a browser
says comes from elsewhere is refused (Fetch Metadata; RFC 6454 for browsers without).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from .config import ApiConfig, Scope

OURS: Final = frozenset({"same-origin", "none"})  # none: typed, or from a bookmark
BEARER: Final = "bearer "
TOKEN: Final = 512  # characters; more is no token of ours


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    scope: Scope

    def may(self, needed: Scope) -> bool:
        return needed is Scope.READ or self.scope is Scope.OPERATE


class Access:
    """The callers of a configuration."""

    def __init__(self, config: ApiConfig) -> None:
        self._tokens = [
            (bytes.fromhex(each.sha256), Caller(each.name, each.scope)) for each in config.tokens
        ]
        self._clients = {each.name: Caller(each.name, each.scope) for each in config.clients}

    def by_token(self, authorization: str) -> Caller | None:
        """All known digests are compared, in constant time: how long it takes tells nothing."""
        if authorization[: len(BEARER)].lower() != BEARER or len(authorization) > TOKEN:
            return None
        given = sha256(authorization[len(BEARER) :].strip().encode()).digest()
        found = None
        for digest, caller in self._tokens:
            if hmac.compare_digest(digest, given):
                found = caller
        return found

    def by_certificate(self, names: Iterable[str]) -> Caller | None:
        """`names`: the subject alternative names of a certificate that was verified."""
        return next((self._clients[name] for name in names if name in self._clients), None)


def comes_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that the page of another site calls."""
    if headers.get("sec-fetch-site", "none") not in OURS:
        return True
    origin = headers.get("origin")
    return origin is not None and origin != f"https://{headers.get('host', '')}"
