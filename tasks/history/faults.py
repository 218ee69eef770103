"""What a database may say, in the words of this program: what it means for the run, what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from ..errors import HaccError, Place, Problem
from .place import Location


class HistoryError(HaccError):
    """The history cannot be used now, or not by this program."""


# SQLite's result codes (https://sqlite.org/rescode.html), by the start of their names, and the
# SQLSTATE classes and codes of PostgreSQL (its manual, appendix A) that a person can do something
# about. The text of the database itself stands behind what is not listed.
_LOCKED: Final = ("is locked by somebody else", "the run goes on; look who has it open")
_FULL: Final = ("its disk is full", "make room")
_DAMAGED: Final = (
    "is damaged, or is no history",
    "move it away, and the next run begins a new one; sqlite3 FILE .recover saves what it can",
)
_SQLITE: Final = {
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": ("cannot be read or written", "is its disk full, or failing?"),
    "SQLITE_CANTOPEN": ("cannot be opened", "who may write into its folder?"),
    "SQLITE_READONLY": ("may not be written", "who owns it?"),
    "SQLITE_PERM": ("may not be opened", "who owns it?"),
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
}
_POSTGRESQL: Final = {
    "55P03": _LOCKED,  # lock_not_available: lock_timeout has passed
    "57014": ("has not answered in time", "the run goes on; what keeps the server busy?"),
    "53100": _FULL,
    "53": ("has no resources left", "what keeps the server busy?"),
    "42501": ("does not allow it", "GRANT the user CREATE on the schema once, then DML"),
    "25006": ("may not be written", "is it a standby server?"),
}


@contextmanager
def told(location: Location) -> Iterator[None]:
    """Turn whatever a database raises into a HistoryError."""
    try:
        yield
    except exc.DBAPIError as error:
        raise _error(location, error.orig) from None
    except exc.ArgumentError as error:
        raise HistoryError(
            Problem(None, "history", f"{location}: {_first_line(error, location)}")
        ) from None


def _error(location: Location, raised: BaseException | None) -> HistoryError:
    message, hint = "", ""
    if isinstance(raised, sqlite3.Error):
        name = getattr(raised, "sqlite_errorname", "")
        message, hint = next((v for k, v in _SQLITE.items() if name.startswith(k)), ("", ""))
    else:
        state = getattr(raised, "sqlstate", None) or ""
        message, hint = next((v for k, v in _POSTGRESQL.items() if state.startswith(k)), ("", ""))
        if not state:  # psycopg has no session to ask for one: only the text tells the two apart
            refused = "FATAL:" in str(raised)
            message = "the server refuses" if refused else "does not answer"
            hint = "" if refused else "the run goes on; is the server up?"
    said = _first_line(raised, location).rpartition("FATAL:")[2].strip()
    return HistoryError(
        Problem(
            Place(str(location), 0),
            "history",
            f"{message} ({said})" if message else said,
            hint=hint,
        )
    )


def _first_line(raised: BaseException | None, location: Location) -> str:
    lines = str(raised or "").strip().splitlines() or [type(raised).__name__]
    return lines[0].replace(location.url, str(location))
