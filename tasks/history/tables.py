"""The tables of a history. What is asked for stands in columns, the rest of a value in its JSON.

Times are ISO 8601 texts in UTC, which sort as they are and mean the same in every database.
The order of runs is that in which they were recorded (`id`): clocks go back, this does not.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

VERSION: Final = 2  # of these tables; a change of them is a new number, and a way there in `store`

# From each version to the next, in words that both databases know.
STEPS: Final = {1: ("ALTER TABLE hacc_runs ADD COLUMN areas TEXT DEFAULT '[]' NOT NULL",)}

metadata = MetaData()

schema = Table("hacc_schema", metadata, Column("version", Integer, nullable=False))

sites = Table(
    "hacc_sites",
    metadata,
    Column("site", Text, primary_key=True),
    Column("forgotten", Text, nullable=False),  # runs that began before were pruned
)

runs = Table(
    "hacc_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("exit", Integer),
    Column("intent_sha256", Text, nullable=False),
    Column("plan_sha256", Text, nullable=False),
    Column("clusters", Text, nullable=False),  # JSON
    Column("areas", Text, nullable=False, server_default="[]"),  # JSON
    Column("problems", Text, nullable=False),  # JSON
    Column("recorded", Text, nullable=False),
    Column("clock_went_back", Boolean, nullable=False),
    UniqueConstraint("site", "machine", "name"),
)
Index("hacc_runs_by_start", runs.c.site, runs.c.started)


def _of_a_run(table: str, *columns: Column[object]) -> Table:
    """A table of parts of a run, in their order, gone with the run."""
    return Table(
        table,
        metadata,
        Column("run", ForeignKey(runs.c.id, ondelete="CASCADE"), primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        *columns,
    )


hosts = _of_a_run(
    "hacc_hosts",
    Column("host", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("problems", Text, nullable=False),  # JSON
)

lines = _of_a_run(
    "hacc_lines",  # the journal: what was sent, and the steps between
    Column("at", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
)

findings = _of_a_run(
    "hacc_findings",
    Column("fingerprint", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("counts", Boolean, nullable=False),
    Column("finding", Text, nullable=False),  # JSON, whole
)

messages = Table(
    "hacc_messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", Text, nullable=False),
    Column("channel", Text, nullable=False),  # the reference to its URL, never that
    Column("run", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("begun", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("delivery", Text, nullable=False),  # channels.Delivery
    Column("said", Text, nullable=False),  # why not
    # What the channel has been told once it has this, JSON; emptied when a later one says it all.
    Column("after", Text, nullable=False),
)
Index("hacc_messages_by_channel", messages.c.site, messages.c.channel)
