"""The schema of the SQLite ledger, its version and its migrations."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from spantally.ground.errors import LedgerError

SCHEMA_VERSION: Final = 6
"""1: first release. 2: lost attempts. 3: budgets, and what programs say of sessions.
4: prompt caches, list values, earlier ratings and more parts. 5: started marks.
6: finish reasons."""

APPLICATION_ID: Final = 0x5350_544C
"""Tells a ledger from another program's database (``SPTL``)."""

_BUDGETS: Final = """\
-- What was used under a budget: the common account of the processes that share it.
CREATE TABLE budget (
    account            TEXT PRIMARY KEY,  -- the session, or the line of the settings file with whom and when
    usd                INTEGER NOT NULL,  -- nano-USD
    calls              INTEGER NOT NULL,
    tokens             INTEGER NOT NULL,
    unpriced           INTEGER NOT NULL,  -- calls whose cost is not known
    updated_ns         INTEGER NOT NULL
);
-- What a process has set aside of a budget for the calls that it is making.
CREATE TABLE budget_lease (
    account            TEXT NOT NULL,
    process            TEXT NOT NULL,     -- host:pid:start
    usd                INTEGER NOT NULL,
    calls              INTEGER NOT NULL,
    tokens             INTEGER NOT NULL,
    PRIMARY KEY (account, process)
) WITHOUT ROWID;
"""

_HISTORY: Final = """\
-- What a call was rated at before `spantally reprice` rated it anew.
CREATE TABLE rating_history (
    call_id            TEXT NOT NULL,
    at_ns              INTEGER NOT NULL,  -- when it was rated anew
    cost_nano_usd      INTEGER,           -- as it was until then; so are the others
    cost_status        TEXT NOT NULL,
    cost_source        TEXT,
    price_id           TEXT,
    PRIMARY KEY (call_id, at_ns)
) WITHOUT ROWID;
"""

_CACHE_FIELDS: Final = (
    "cache_calls",
    "cache_input",
    "cache_read",
    "cache_write",
    "cache_rated",
    "cache_saving",
    "cache_premium",
)
_FIND_DIMENSION: Final = """\
DROP INDEX dimension_session;
CREATE INDEX dimension_session ON dimension (session_id, model, agent_path);
"""
_CACHE: Final = (
    _FIND_DIMENSION
    + "".join(
        f"ALTER TABLE {table} ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0;\n"
        for table in ("session", "rollup")
        for name in _CACHE_FIELDS
    )
    + "".join(
        f"ALTER TABLE call ADD COLUMN {name};\n"
        for name in (
            "cache_saving_nano_usd INTEGER",
            "cache_premium_nano_usd INTEGER",
            "cache_reported INTEGER NOT NULL DEFAULT 0",
        )
    )
)
"""Of calls that are there already nothing is known until they are rated anew."""

_FIND_RUNNING: Final = "CREATE INDEX call_running ON call (session_id) WHERE status = 'running';\n"
_MARKS: Final = "ALTER TABLE call ADD COLUMN process TEXT;\n" + _FIND_RUNNING
"""Operations that have begun: earlier releases told of none of them."""

SCHEMA: Final = (
    """
-- One row per operation: model call, agent, tool or workflow; the merge of all that was said of it.
CREATE TABLE call (
    call_id            TEXT PRIMARY KEY,  -- foreign rows: <trace id>-<span id>
    session_id         TEXT NOT NULL,
    kind               TEXT NOT NULL,     -- inference, embeddings, tool, agent, workflow, ...
    operation          TEXT NOT NULL,     -- gen_ai.operation.name
    start_ns           INTEGER NOT NULL,  -- UNIX time
    end_ns             INTEGER,
    status             TEXT NOT NULL,     -- running, ok, error, cancelled, interrupted
    precedence         INTEGER NOT NULL,  -- highest of the observers
    parent_call_id     TEXT,
    trace_id           TEXT,
    span_id            TEXT,
    parent_span_id     TEXT,
    implicit_session   INTEGER NOT NULL,
    session_name       TEXT,
    conversation_id    TEXT,
    user_id            TEXT,
    entity_type        TEXT,
    entity_id          TEXT,
    tags               TEXT,              -- JSON object
    name               TEXT,
    provider           TEXT,
    request_model      TEXT,
    response_model     TEXT,
    response_id        TEXT,
    first_chunk_ns     INTEGER,
    error_type         TEXT,
    abandoned          INTEGER NOT NULL,
    attempts           INTEGER NOT NULL,
    possibly_billed    INTEGER NOT NULL,
    usage              TEXT,              -- JSON, as the provider sent it
    usage_format       TEXT,
    price_context      TEXT,              -- JSON
    estimated          INTEGER NOT NULL,
    agent_path         TEXT,              -- JSON array of names, outermost first
    run_id             TEXT,
    tool               TEXT,
    turn               INTEGER NOT NULL,
    tool_call_id       TEXT,
    inferred           INTEGER NOT NULL,
    project            TEXT,
    scope_name         TEXT,
    server_address     TEXT,
    server_port        INTEGER,
    finish_reasons     TEXT,              -- JSON array, by choice
    content            TEXT,              -- JSON, redacted
    attributes         TEXT,              -- JSON, redacted
    process            TEXT,              -- host:pid:start of who runs it; NULL once somebody saw its end
    ranks              TEXT,              -- JSON: rank of each field, where several observers differ
    counted            INTEGER NOT NULL,  -- 1 if the row counts as a call
    hidden             INTEGER NOT NULL,  -- 1 if another row shows the same operation
    cost_nano_usd      INTEGER,
    cost_status        TEXT,              -- NULL for kinds without a cost of their own
    cost_source        TEXT,
    price_id           TEXT,
    list_nano_usd      INTEGER,           -- of a covered call: its value by the rates of the list
    input_tokens       INTEGER,           -- cached ones included
    output_tokens      INTEGER,           -- reasoning included
    uncached_input     INTEGER,
    cache_read         INTEGER,
    cache_write_5m     INTEGER,
    cache_write_1h     INTEGER,
    audio_input        INTEGER,
    image_input        INTEGER,
    video_input        INTEGER,
    cache_audio_read   INTEGER,
    cache_image_read   INTEGER,
    cache_video_read   INTEGER,
    output             INTEGER,
    reasoning          INTEGER,           -- within output
    audio_output       INTEGER,
    image_output       INTEGER,
    video_output       INTEGER,
    citations          INTEGER,           -- tokens of cited pages, in neither total
    web_searches       INTEGER,
    file_searches      INTEGER,
    search_units       INTEGER,
    audio_ms           INTEGER,           -- of what is billed by time
    characters         INTEGER,           -- of what is billed by them
    pages              INTEGER,
    annotated_pages    INTEGER,
    images             INTEGER,
    cache_saving_nano_usd  INTEGER,       -- what cached input cost less than uncached would have
    cache_premium_nano_usd INTEGER,       -- what written input cost more than uncached would have
    cache_reported     INTEGER NOT NULL DEFAULT 0  -- 1 if the provider tells how much it read from its cache
);
CREATE INDEX call_session ON call (session_id, start_ns);
CREATE INDEX call_start ON call (start_ns);
CREATE INDEX call_span ON call (trace_id, span_id) WHERE trace_id IS NOT NULL;
CREATE INDEX call_parent ON call (parent_call_id) WHERE parent_call_id IS NOT NULL;
CREATE INDEX call_parent_span ON call (trace_id, parent_span_id) WHERE parent_span_id IS NOT NULL;
CREATE INDEX call_response ON call (response_id) WHERE response_id IS NOT NULL;
CREATE INDEX call_tool ON call (tool_call_id) WHERE tool_call_id IS NOT NULL;
CREATE INDEX call_pending ON call (start_ns) WHERE cost_status = 'pending';
"""
    + _FIND_RUNNING
    + """\
-- One row per session; the integers are the session's own totals, without its child sessions.
CREATE TABLE session (
    session_id         TEXT PRIMARY KEY,
    name               TEXT,
    implicit           INTEGER NOT NULL,
    parent_id          TEXT,
    previous_id        TEXT,
    conversation_id    TEXT,
    user_id            TEXT,
    entity_type        TEXT,
    entity_id          TEXT,
    tags               TEXT,              -- JSON object
    project            TEXT,
    status             TEXT,              -- NULL while only its calls are known
    reason             TEXT,
    error_type         TEXT,
    process            TEXT,              -- host:pid:start of the process that runs it
    started_ns         INTEGER NOT NULL,
    ended_ns           INTEGER,
    last_ns            INTEGER NOT NULL,
    declared           INTEGER NOT NULL,  -- 1 once a record of the session itself came
    said               TEXT,              -- JSON: title, metadata, labels, metrics, input, output, reported
    facts              TEXT NOT NULL,     -- JSON: all that was said, with ranks
    rows               INTEGER NOT NULL DEFAULT 0,
    calls              INTEGER NOT NULL DEFAULT 0,
    turns              INTEGER NOT NULL DEFAULT 0,
    errors             INTEGER NOT NULL DEFAULT 0,
    running            INTEGER NOT NULL DEFAULT 0,
    input_tokens       INTEGER NOT NULL DEFAULT 0,
    output_tokens      INTEGER NOT NULL DEFAULT 0,
    cache_calls        INTEGER NOT NULL DEFAULT 0,
    cache_input        INTEGER NOT NULL DEFAULT 0,
    cache_read         INTEGER NOT NULL DEFAULT 0,
    cache_write        INTEGER NOT NULL DEFAULT 0,
    cache_rated        INTEGER NOT NULL DEFAULT 0,
    cache_saving       INTEGER NOT NULL DEFAULT 0,
    cache_premium      INTEGER NOT NULL DEFAULT 0,
    cost               INTEGER NOT NULL DEFAULT 0,
    priced             INTEGER NOT NULL DEFAULT 0,
    unpriced           INTEGER NOT NULL DEFAULT 0,
    pending            INTEGER NOT NULL DEFAULT 0,
    billed             INTEGER NOT NULL DEFAULT 0,
    lost               INTEGER NOT NULL DEFAULT 0,
    covered            INTEGER NOT NULL DEFAULT 0,
    list_value         INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX session_start ON session (started_ns, session_id);
CREATE INDEX session_conversation ON session (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX session_parent ON session (parent_id) WHERE parent_id IS NOT NULL;
-- Agents, models and providers seen in a session, with the number of rows that name them.
CREATE TABLE seen (
    session_id         TEXT NOT NULL,
    what               TEXT NOT NULL,     -- agent, model, request_model, provider
    name               TEXT NOT NULL,
    n                  INTEGER NOT NULL,
    PRIMARY KEY (session_id, what, name)
) WITHOUT ROWID;
CREATE INDEX seen_name ON seen (what, name);
-- What a rollup is of; the digest is over all columns.
CREATE TABLE dimension (
    dimension_id       INTEGER PRIMARY KEY,
    digest             BLOB NOT NULL UNIQUE,
    session_id         TEXT NOT NULL,
    project            TEXT,
    provider           TEXT,
    model              TEXT,
    request_model      TEXT,
    agent_path         TEXT,
    user_id            TEXT,
    entity_type        TEXT,
    entity_id          TEXT,
    tool               TEXT,
    tags               TEXT
);
CREATE INDEX dimension_session ON dimension (session_id, model, agent_path);
-- Sums of the rows that began in one quarter-hour (UTC) of one dimension.
CREATE TABLE rollup (
    quarter            INTEGER NOT NULL,  -- start_ns / (900 * 10^9)
    dimension_id       INTEGER NOT NULL,
    calls              INTEGER NOT NULL,
    errors             INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_calls        INTEGER NOT NULL DEFAULT 0,  -- whose provider tells what it read from its cache
    cache_input        INTEGER NOT NULL DEFAULT 0,  -- all input tokens of these
    cache_read         INTEGER NOT NULL DEFAULT 0,
    cache_write        INTEGER NOT NULL DEFAULT 0,
    cache_rated        INTEGER NOT NULL DEFAULT 0,  -- those of them whose rates are known
    cache_saving       INTEGER NOT NULL DEFAULT 0,  -- nano-USD, of these
    cache_premium      INTEGER NOT NULL DEFAULT 0,
    cost               INTEGER NOT NULL,  -- nano-USD, of the priced calls
    priced             INTEGER NOT NULL,
    unpriced           INTEGER NOT NULL,
    pending            INTEGER NOT NULL,
    billed             INTEGER NOT NULL,  -- something of them was possibly billed without known usage
    lost               INTEGER NOT NULL DEFAULT 0,  -- of these: with usage, an earlier attempt was lost
    covered            INTEGER NOT NULL DEFAULT 0,  -- of the unpriced: paid otherwise
    list_value         INTEGER NOT NULL DEFAULT 0,  -- nano-USD, of the covered calls by the rates of the list
    PRIMARY KEY (quarter, dimension_id)
) WITHOUT ROWID;
CREATE INDEX rollup_dimension ON rollup (dimension_id);
-- Parents of spans that are no operation, so that ancestry passes through them.
CREATE TABLE link (
    trace_id           TEXT NOT NULL,
    span_id            TEXT NOT NULL,
    parent_span_id     TEXT,
    end_ns             INTEGER NOT NULL,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
CREATE INDEX link_parent ON link (trace_id, parent_span_id);
CREATE INDEX link_end ON link (end_ns);
-- Response ids that too many rows carry to identify an operation.
CREATE TABLE common_response (
    provider           TEXT NOT NULL,
    response_id        TEXT NOT NULL,
    PRIMARY KEY (provider, response_id)
) WITHOUT ROWID;
CREATE TABLE event (
    event_id           TEXT PRIMARY KEY,
    session_id         TEXT NOT NULL,
    type               TEXT NOT NULL,
    time_ns            INTEGER NOT NULL,
    call_id            TEXT,
    agent_path         TEXT,
    trace_id           TEXT,
    span_id            TEXT,
    attributes         TEXT
);
CREATE INDEX event_session ON event (session_id, time_ns);
"""
    + _BUDGETS
    + _HISTORY
    + """\
-- Records that could not be stored; they keep nobody else out.
CREATE TABLE quarantine (
    digest             BLOB PRIMARY KEY,
    at_ns              INTEGER NOT NULL,
    reason             TEXT NOT NULL,
    body               TEXT NOT NULL
);
"""
)

_MORE_PARTS: Final = """\
ALTER TABLE call ADD COLUMN video_input INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN cache_image_read INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN cache_video_read INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN video_output INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN citations INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN search_units INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN audio_ms INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN characters INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN pages INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN annotated_pages INTEGER DEFAULT 0;
ALTER TABLE call ADD COLUMN images INTEGER DEFAULT 0;
"""
"""Parts that earlier releases did not tell apart: 0 in the rows that they wrote."""

MIGRATIONS: Final[Mapping[int, str]] = {
    1: """\
ALTER TABLE session ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
""",
    2: """\
ALTER TABLE session ADD COLUMN said TEXT;
CREATE INDEX session_conversation ON session (conversation_id) WHERE conversation_id IS NOT NULL;
"""
    + _BUDGETS,
    3: """\
ALTER TABLE call ADD COLUMN list_nano_usd INTEGER;
ALTER TABLE session ADD COLUMN covered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN list_value INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN covered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN list_value INTEGER NOT NULL DEFAULT 0;
"""
    + _CACHE
    + _HISTORY
    + _MORE_PARTS,
    4: _MARKS,
    5: "ALTER TABLE call ADD COLUMN finish_reasons TEXT;\n",
}
"""SQL that brings a ledger of the version in the key to the next one."""


def statements(script: str) -> list[str]:
    """The statements of a script, one by one: ``executescript`` would commit an open transaction."""
    found: list[str] = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            found.append(text.strip())
            text = ""
    return found


def version(db: sqlite3.Connection) -> int:
    """The schema version of a database, 0 of a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(found: int, target: str) -> None:
    """Raise if the ledger was made by a newer release.

    Raises:
        LedgerError: with slug ``newer_schema``.
    """
    if found > SCHEMA_VERSION:
        raise LedgerError(
            f"the ledger {target} has schema version {found} and this release knows up to {SCHEMA_VERSION}; "
            "upgrade spantally (pip install -U spantally), or choose another file with SPANTALLY_LEDGER",
            slug="newer_schema",
        )


def older(target: str) -> LedgerError:
    """The error for a ledger of an earlier release that may only be read."""
    return LedgerError(
        f"the ledger {target} was made by an earlier release and cannot be brought up to date without being "
        "written; give write permission for the file and its directory once, or copy it and read the copy",
        slug="older_schema",
    )


def refuse_strangers(db: sqlite3.Connection, target: str) -> None:
    """Raise if the database belongs to another program.

    Raises:
        LedgerError: with slug ``not_a_database``.
    """
    # All three of one moment: between two of them another process may create the schema.
    alone = not db.in_transaction
    if alone:
        db.execute("BEGIN")
    try:
        ours = int(db.execute("PRAGMA application_id").fetchone()[0]) == APPLICATION_ID
        used = bool(version(db)) or db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    finally:
        if alone and db.in_transaction:
            db.execute("COMMIT")
    if used and not ours:
        raise LedgerError(
            f"{target} is a database of another program, not a ledger; nothing in it was changed; "
            "choose another file with SPANTALLY_LEDGER",
            slug="not_a_database",
        )


def bring_up(db: sqlite3.Connection, target: str) -> None:
    """Create the schema in a new database, or migrate an older one, in one transaction.

    Args:
        db: a connection in autocommit mode.
        target: what error texts call the ledger.

    Raises:
        LedgerError: newer schema, or not a ledger.
    """
    refuse_strangers(db, target)
    found = version(db)
    refuse_newer(found, target)
    if found == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited for the lock.
        found = version(db)
        refuse_newer(found, target)
        while found < SCHEMA_VERSION:
            script = SCHEMA if found == 0 else MIGRATIONS[found]
            for statement in statements(script):
                db.execute(statement)
            found = SCHEMA_VERSION if found == 0 else found + 1
        db.execute(f"PRAGMA user_version = {found:d}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
