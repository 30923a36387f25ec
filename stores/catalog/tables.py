"""The catalog's tables as SQLAlchemy knows them; what creates them are the migrations.

Artefacts and all that belongs to them are append-only, and triggers hold that (`triggers.py`); leases, condemnations,
the clock, the relay's cursor and the states of runs change. Edges, claims and histories refer to artefacts by their
integer `key`: closures over a hundred thousand rows stay quick. Digests are bare lower-case hex; times are microseconds
since the epoch, UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData()
Big = BigInteger().with_variant(Integer, "sqlite")

clock = Table(
    "catalog_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Big, nullable=False),
    Column("at", Big, nullable=False),
)

# What a process that wrote had for the time: when, in which start of its machine, for how long that was up (µs).
clock_reading = Table(
    "clock_reading",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Big, nullable=False),
    Column("boot", String(80), nullable=False),
    Column("uptime", Big, nullable=False),
)

# Times that were put right: those of the commits `first_seq` to `last_seq` are `shift` earlier now.
clock_shift = Table(
    "clock_shift",
    metadata,
    Column("key", Big, primary_key=True),
    Column("first_seq", Big, nullable=False),
    Column("last_seq", Big, nullable=False),
    Column("shift", Big, nullable=False),
    Column("not_before", Big, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
)

artefact = Table(
    "artefact",
    metadata,
    Column("key", Big, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("schema", String(80), nullable=False),
    Column("name", String(200), nullable=False),
    Column("document", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("quarantined", Boolean, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
    UniqueConstraint("id", name="artefact_id"),
    Index("artefact_type_name", "type", "name"),
)

edge = Table(
    "edge",
    metadata,
    Column("child", Big, ForeignKey("artefact.key"), primary_key=True, autoincrement=False),
    Column("parent", Big, ForeignKey("artefact.key"), primary_key=True, autoincrement=False),
    Column("type", Integer, primary_key=True, autoincrement=False),
    Index("edge_down", "parent", "child", "type"),
    sqlite_with_rowid=False,
)

claim = Table(
    "claim",
    metadata,
    Column("owner", String(300), primary_key=True),
    Column("number", String(200), primary_key=True),
    Column("major", Big, nullable=False),
    Column("minor", Big, nullable=False),
    Column("patch", Big, nullable=False),
    Column("prerelease", String(200), nullable=False),
    Column("artefact", Big, ForeignKey("artefact.key"), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Index("claim_order", "owner", "major", "minor", "patch"),
    Index("claim_artefact", "artefact"),
    sqlite_with_rowid=False,
)

alias_move = Table(
    "alias_move",
    metadata,
    Column("key", Big, primary_key=True),
    Column("owner", String(300), nullable=False),
    Column("alias", String(100), nullable=False),
    Column("artefact", Big, ForeignKey("artefact.key")),
    Column("verb", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Index("alias_move_history", "owner", "alias", "key"),
    Index("alias_move_artefact", "artefact"),
)

# Tags, pins, tombstones, withdrawals, orders and contracts: the newest row of (artefact, kind, value) is what holds.
mark = Table(
    "mark",
    metadata,
    Column("key", Big, primary_key=True),
    Column("artefact", Big, ForeignKey("artefact.key"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("value", Text, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Index("mark_history", "artefact", "kind", "key"),
    Index("mark_kind", "kind", "value"),
)

artefact_payload = Table(
    "artefact_payload",
    metadata,
    Column("artefact", Big, ForeignKey("artefact.key"), primary_key=True, autoincrement=False),
    Column("name", String(1000), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size", Big, nullable=False),
    Column("external", Boolean, nullable=False),
    Index("artefact_payload_digest", "digest"),
    sqlite_with_rowid=False,
)

batch_member = Table(
    "batch_member",
    metadata,
    Column("formula", Big, ForeignKey("artefact.key"), primary_key=True, autoincrement=False),
    Column("member", String(300), primary_key=True),
    Column("batch", Big, ForeignKey("artefact.key"), nullable=False),
    Index("batch_member_batch", "batch"),
    sqlite_with_rowid=False,
)

metric = Table(
    "metric",
    metadata,
    Column("subject", Big, ForeignKey("artefact.key"), primary_key=True, autoincrement=False),
    Column("name", String(200), primary_key=True),
    Column("source", Big, ForeignKey("artefact.key"), primary_key=True, autoincrement=False),
    Column("value", Float),  # NULL for NaN and the infinities, which no comparison finds
    Index("metric_value", "name", "value"),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(80), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("data", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    sqlite_with_rowid=False,
)

lease = Table(
    "lease",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("holder", String(80), primary_key=True),
    Column("expires", Big, nullable=False),
)

condemned = Table(
    "condemned",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("sweeper", String(80), nullable=False),
    Column("expires", Big, nullable=False),
    # The process that deletes; NULL where an older Jeyn wrote the row.
    Column("host", String(400)),
    Column("pid", Big),
    Column("started", Big),
)

relay_cursor = Table(
    "relay_cursor",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("seq", Big, nullable=False),
    Column("position", Integer, nullable=False),
)

# The bytes of values that are small enough: the commit of their artefact writes them too (`small.py`).
small_payload = Table(
    "small_payload",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("at", Big, nullable=False),
    sqlite_with_rowid=False,
)

# Payloads that `fsck` found to be bad: the next put of one looks at the bytes that are there.
suspect_payload = Table(
    "suspect_payload",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", Big, nullable=False),
)

# Rows that cannot be read and that `fsck` has buried where they lie: `row` is the primary key as JSON.
tombstone = Table(
    "tombstone",
    metadata,
    Column("key", Big, primary_key=True),
    Column("table", String(40), nullable=False),
    Column("row", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
)

# Which payload store this catalog's bytes are in (SEMANTICS 39): the newest row holds.
payload_store = Table(
    "payload_store",
    metadata,
    Column("key", Big, primary_key=True),
    Column("identity", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
)

# Provenance (SEMANTICS 7): runs, operations and attempts are not artefacts; their rows refer to ids.
run = Table(
    "run",
    metadata,
    Column("key", Big, primary_key=True),
    Column("id", String(80), nullable=False),
    Column("pipeline", String(200), nullable=False),
    Column("code", Big, ForeignKey("artefact.key")),
    Column("actor", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("plan", Text),
    Column("parameters", Text),
    Column("pins", Text),
    Column("environment", Text),
    Column("engine", String(40)),
    Column("state", String(20)),
    Column("host", String(200)),
    Column("pid", Integer),
    Column("heartbeat", Big),
    Column("started", Big),
    Column("ended", Big),
    Column("error", Text),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("resumed_from", Big),
    UniqueConstraint("id", name="run_id"),
)

operation = Table(
    "operation",
    metadata,
    Column("key", Big, primary_key=True),
    Column("run", Big, ForeignKey("run.key"), nullable=False),
    Column("name", String(300), nullable=False),
    Column("committed_by", Big),
    Column("item", Integer, nullable=False, server_default="-1"),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("function", String(500)),
    Column("state", String(20)),
    Column("cache_key", String(64)),
    Column("origin", Big),  # the operation that its outputs were taken from: cached or adopted
    Column("started", Big),
    Column("ended", Big),
    Column("error", Text),
    Column("effects", Text),
    UniqueConstraint("run", "name", name="operation_name"),
    Index("operation_function", "function"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("key", Big, primary_key=True),
    Column("operation", Big, ForeignKey("operation.key"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("host", String(200), nullable=False),
    Column("at", Big, nullable=False),
    Column("pid", Integer),
    Column("state", String(20)),
    Column("ended", Big),
    Column("error", Text),
    UniqueConstraint("operation", "number", name="attempt_number"),
)

# What an item of a map would have committed: it waits for those before it, which claim their numbers first.
held_work = Table(
    "held_work",
    metadata,
    Column("operation", Big, ForeignKey("operation.key"), primary_key=True, autoincrement=False),
    Column("attempt", Big, nullable=False),
    Column("changes", Text, nullable=False),
    Column("at", Big, nullable=False),
)

operation_artefact = Table(
    "operation_artefact",
    metadata,
    Column("operation", Big, ForeignKey("operation.key"), primary_key=True, autoincrement=False),
    Column("direction", String(3), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("artefact", Big, ForeignKey("artefact.key"), nullable=False),
    Index("operation_artefact_artefact", "artefact"),
)

# What an attempt wrote to stdout, stderr and the log, piece by piece; the order of the keys is that of the commits.
log_chunk = Table(
    "log_chunk",
    metadata,
    Column("key", Big, primary_key=True),
    Column("attempt", Big, ForeignKey("attempt.key"), nullable=False),
    Column("at", Big, nullable=False),
    Column("text", Text, nullable=False),
    Index("log_chunk_attempt", "attempt"),
)

# What a later run may take over instead of running (SEMANTICS 17): at most one entry of each operation.
cache_entry = Table(
    "cache_entry",
    metadata,
    Column("operation", Big, ForeignKey("operation.key"), primary_key=True, autoincrement=False),
    Column("cache_key", String(64), nullable=False),
    Column("observations", Text, nullable=False),
    Column("components", Text, nullable=False),
    Column("at", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Index("cache_entry_cache_key", "cache_key"),
)

# table -> the columns that make a row the same row: what triggers refuse to change, delete or insert again.
APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "artefact": (("id",), ("key",)),
    "edge": (("child", "parent", "type"),),
    "claim": (("owner", "number"),),
    "alias_move": (("key",),),
    "mark": (("key",),),
    "artefact_payload": (("artefact", "name"),),
    "batch_member": (("formula", "member"),),
    "metric": (("subject", "name", "source"),),
    "event": (("seq", "position"),),
}
