"""What was done and found, run by run: kept, read again, and told to people once.

    record      Record               one run: who, when, every line sent, every finding
    recording   a command -> Record  at its end, however it ends; a file where the database is away
    store       Record <-> database  SQLite beside the inventory, PostgreSQL by URL
    news        findings -> news     what is new, worse or gone since a channel was last told
    telling     news -> channels     once, whenever this machine dies
    checking    a check              alone, recorded, measured, told
    chart       runs -> SVG          findings over runs, for the report

The record of a run never decides how the run ends: a history that is locked, full or gone is said,
the record waits as a file, and the next run brings it in.
"""
