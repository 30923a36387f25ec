"""SEMANTICS 9 to 12: attempts, idempotent saves, one counter for the order of commits, and what durable means."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import Immutable, NotFound, Unreachable, Unsaved
from jeyn.sdk import schemas
from jeyn.sdk.artefact import Edge, PayloadRef, Record, id_of_document
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.relationship import RelationshipType
from jeyn.stores import workspace as workspace_module
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.catalog.commit import AttemptLost
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.filesystem import NETWORK, file_system, refuse_network
from jeyn.stores.catalog.tables import APPEND_ONLY
from jeyn.stores.payloads import file as file_payloads
from tests.stores.conftest import Sql
from tests.stores.digits import DIGITS, READER, a_batch, a_checkpoint, rows


def an_operation(sql: Sql) -> int:
    sql("INSERT INTO run (key, id, pipeline, actor, at) VALUES (1, 'r1', 'nightly', 'ada', 0)")
    sql("INSERT INTO operation (key, run, name) VALUES (7, 1, 'train')")
    return 7


# 9. Inside an attempt, payloads go up at once and rows wait.


def test_rule_09_an_attempt_reads_its_own_writes_and_nobody_else_does(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        checkpoint = a_checkpoint(attempt)
        attempt.model_store.bless(checkpoint)
        for ref in ("digit-reader@latest", "digit-reader@blessed", "digit-reader@0.1.0", checkpoint.id):
            assert attempt.model_store.get_checkpoint(ref).id == checkpoint.id
            with pytest.raises(NotFound):
                workspace.model_store.get_checkpoint(ref)
        assert attempt.model_store.get_checkpoint("digit-reader@latest").load().tolist() == [1.0]
        assert attempt.get("digits@1.0.0").name == "digits"
        with pytest.raises(NotFound):
            workspace.get("digits@1.0.0")


def test_rule_09_payloads_go_up_at_once_and_rows_wait(workspace: Workspace, sql: Sql) -> None:
    with workspace.attempt() as attempt:
        payload = a_checkpoint(attempt).record().payloads[0]
        assert workspace.payloads.exists(payload.digest[7:])
        assert sql("SELECT count(*) FROM artefact") == [(0,)]


def test_rule_09_one_transaction_writes_it_all(workspace: Workspace, sql: Sql) -> None:
    operation = an_operation(sql)
    with workspace.attempt(operation, 1) as attempt:
        checkpoint = a_checkpoint(attempt, metrics={"accuracy": 1.0})
        attempt.model_store.bless(checkpoint, reason="good")
        attempt.tag(checkpoint, "gold")
        attempt.finish([("return", 0, checkpoint.id)])
    for table in ("artefact", "claim", "alias_move", "mark", "event"):
        assert sql(f"SELECT DISTINCT seq FROM {table}") == [(1,)], table
    assert {e.kind for e in workspace.events()} >= {
        "jeyn.batch.saved",
        "jeyn.checkpoint.saved",
        "jeyn.checkpoint.blessed",
    }
    assert workspace.model_store.get_checkpoint("digit-reader@blessed").version == jeyn.Version.parse("0.1.0")
    assert sql("SELECT name FROM operation_artefact") == [("return",)]


def test_rule_09_a_loser_discards(workspace: Workspace, sql: Sql) -> None:
    operation = an_operation(sql)
    with workspace.attempt(operation, 1) as slow, workspace.attempt(operation, 2) as quick:
        lost, kept = a_checkpoint(slow, 1), a_checkpoint(quick, 2)
        quick.finish([("return", 0, kept.id)])
        slow.model_store.bless(lost)
        with pytest.raises(AttemptLost) as refused:
            slow.finish([("return", 0, lost.id)])
    assert refused.value.exit_code == 4
    assert workspace.reader.row(lost.id) is None
    assert sql("SELECT count(*) FROM claim WHERE owner = 'checkpoint:digit-reader'") == [(1,)]
    assert sql("SELECT count(*) FROM alias_move") == [(0,)]
    assert sql("SELECT committed_by FROM operation") == [(2,)]


def test_rule_09_a_failed_attempt_leaves_only_unreferenced_payloads(workspace: Workspace, sql: Sql) -> None:
    with pytest.raises(RuntimeError, match="the operation failed"), workspace.attempt() as attempt:
        a_checkpoint(attempt)
        raise RuntimeError("the operation failed")
    assert len(list(workspace.payloads.list())) == 2
    for table in (*APPEND_ONLY, "lease"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert workspace.events() == []


def test_rule_09_numbers_are_given_when_the_operation_commits(workspace: Workspace) -> None:
    a_checkpoint(workspace, 1)
    with workspace.attempt() as attempt:
        staged = a_checkpoint(attempt, 2)
        with pytest.raises(Unsaved, match="when the operation commits"):
            _ = staged.version
        between = a_checkpoint(workspace, 3)
        attempt.finish()
    assert (str(between.version), str(workspace.get(staged.id).version)) == ("0.2.0", "0.3.0")


def test_rule_09_quarantine_commits_on_its_own(workspace: Workspace) -> None:
    with workspace.attempt() as attempt, pytest.raises(jeyn.JeynError) as refused:
        attempt.dataset_store.save_formula(DIGITS)
        attempt.finish()
        attempt.dataset_store.save_batch(DIGITS.new_table({"x": [1.0], "label": ["no number"]}))
    assert refused.value.exit_code == 5
    assert workspace.get(refused.value.refs[0]).is_quarantined


def test_rule_09_outside_a_run_saves_commit_at_once(workspace: Workspace, catalog_url: str, home: Path) -> None:
    batch = a_batch(workspace)
    with jeyn.open(home=home, catalog=catalog_url) as other:
        assert other.dataset_store.get_batch("digits@1.0.0/1").id == batch.id


# 10. Saving is optional and idempotent (that operations save what they return comes with operations).


def test_rule_10_saving_what_is_saved_gives_it_back(workspace: Workspace) -> None:
    batch, checkpoint = a_batch(workspace), a_checkpoint(workspace)
    assert workspace.dataset_store.save_batch(batch) is batch
    assert workspace.model_store.save_checkpoint(checkpoint) is checkpoint


def test_rule_10_saving_again_writes_nothing(workspace: Workspace, sql: Sql) -> None:
    checkpoint = a_checkpoint(workspace, metrics={"accuracy": 1.0})
    workspace.model_store.save_evaluation(checkpoint, None, {"accuracy": 1.0})
    before = [sql(f"SELECT count(*) FROM {table}") for table in APPEND_ONLY], sql("SELECT seq FROM catalog_clock")
    again = a_checkpoint(workspace, metrics={"accuracy": 1.0})
    workspace.model_store.save_evaluation(again, None, {"accuracy": 1.0})
    assert (again.id, again.version, again.is_new) == (checkpoint.id, checkpoint.version, False)
    after = [sql(f"SELECT count(*) FROM {table}") for table in APPEND_ONLY], sql("SELECT seq FROM catalog_clock")
    assert after == before


def test_rule_10_an_attempt_stages_once(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        first = a_checkpoint(attempt)
        assert a_checkpoint(attempt).id == first.id
        attempt.finish()
    assert sum(e.kind == "jeyn.checkpoint.saved" for e in workspace.events()) == 1


# 11. Commit order is one counter.


def test_rule_11_events_carry_seq_and_position(workspace: Workspace) -> None:
    a_checkpoint(workspace)
    places = [(e.seq, e.position) for e in workspace.events()]
    assert places == [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3)]


def test_rule_11_the_relay_is_a_cursor(workspace: Workspace) -> None:
    a_checkpoint(workspace)
    everything = workspace.events()
    seen, cursor = [], (0, -1)
    while step := workspace.events(cursor, limit=2):
        seen += step
        cursor = (step[-1].seq, step[-1].position)
    assert seen == everything
    a_batch(workspace, seed=2)
    assert [e.kind for e in workspace.events(cursor)] == ["jeyn.batch.saved"]


def test_rule_11_time_never_stands_still_or_goes_back(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    a_batch(workspace, 1)
    frozen = time.time_ns() - 10**12
    monkeypatch.setattr(time, "time_ns", lambda: frozen)
    for seed in (2, 3):
        a_batch(workspace, seed)
    times = [e.at for e in workspace.events()]
    assert times[2:] == [times[1] + 1, times[1] + 2]


def test_rule_11_as_of_is_the_last_commit_by_then(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    models, moves = [], []
    for seed in (1, 2):
        models.append(a_checkpoint(workspace, seed, dataset=batch))
        workspace.model_store.bless(models[-1])
        moves.append(workspace.events()[-1])
    when = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=move.at) for move in moves]
    tick = timedelta(microseconds=1)
    for as_of, expected in [
        (moves[0].seq, models[0]),
        (moves[1].seq - 1, models[0]),
        (moves[1].seq, models[1]),
        (when[0], models[0]),
        (when[1] - tick, models[0]),
        (when[1], models[1]),
        (None, models[1]),
    ]:
        assert workspace.alias("digit-reader@blessed", as_of=as_of).id == expected.id, as_of
    with pytest.raises(NotFound, match="then"):
        workspace.alias("digit-reader@blessed", as_of=when[0] - tick)


def test_rule_11_the_counter_follows_the_order_of_commits(workspace: Workspace) -> None:
    """Whoever ticks first holds the others off until it has committed; a rollback gives its tick back."""
    a_batch(workspace)
    second: list[int] = []

    def other_writer() -> None:
        with workspace.database.write() as tx:
            second.append(tx.seq)

    thread = threading.Thread(target=other_writer)
    with workspace.database.write() as tx:
        first = tx.seq
        thread.start()
        time.sleep(0.2)
        assert second == []
    thread.join(timeout=30)
    assert second == [first + 1]
    with pytest.raises(RuntimeError), workspace.database.write():
        raise RuntimeError
    with workspace.database.write() as tx:
        assert tx.seq == first + 2


def test_rule_11_the_tick_is_what_serialises_and_readers_do_not_wait(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    with workspace.database.write():
        assert workspace.get(batch.id).epoch == 1


# 12. Durable and immutable.


def test_rule_12_payload_and_folder_are_synced_before_the_row(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    formula = workspace.dataset_store.save_formula(DIGITS)
    happened: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        happened.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink()}")
        sync(descriptor)

    def committing(*arguments: Any) -> Any:
        happened.append("row")
        return commit(*arguments)

    commit = workspace_module.commit
    monkeypatch.setattr(workspace_module, "commit", committing)
    monkeypatch.setattr(os, "fsync", noted)
    batch = workspace.dataset_store.save_batch(formula.new_table(rows(1)))
    digest = batch.files[0].digest[7:]
    folder = Path(workspace.payloads.local_path(digest) or "").parent
    row = happened.index("row")
    assert f"sync {folder}" in happened[:row]
    assert any("/staging/" in step for step in happened[:row])


def test_rule_12_sqlite_is_in_wal_with_full_synchronous(home: Path) -> None:
    with jeyn.open(home=home) as workspace, workspace.database.read() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 120_000}


def test_rule_12_writes_begin_immediately(home: Path) -> None:
    with jeyn.open(home=home) as workspace:
        a_batch(workspace)
        with workspace.database.write(), closing(sqlite3.connect(home / "catalog.db", timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize("kind", sorted(NETWORK))
def test_rule_12_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "share" / "team"
    home.mkdir(parents=True)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        f"2 1 0:9 / {tmp_path}/share rw,relatime shared:1 - {kind} server:/x rw\n"
        f"3 1 0:9 / {tmp_path}/shared rw - tmpfs tmpfs rw\n"
    )
    with pytest.raises(Unreachable, match=kind) as refused:
        refuse_network(home, mounts)
    assert refused.value.exit_code == 7
    assert "JEYN_CATALOG" in refused.value.hint
    refuse_network(tmp_path, mounts)
    assert file_system(tmp_path / "shared", mounts) == "tmpfs"


def test_rule_12_the_file_system_of_a_catalog_is_looked_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jeyn.stores.catalog.filesystem.file_system", lambda *_: "nfs4")
    with pytest.raises(Unreachable, match="nfs4"), jeyn.open(home=home) as workspace:
        a_batch(workspace)


@pytest.fixture
def filled(workspace: Workspace, home: Path) -> Workspace:
    """A workspace with at least one row in every table that is append-only."""
    (home.parent / "data").mkdir()
    checkpoint = a_checkpoint(workspace, metrics={"accuracy": 1.0})
    workspace.model_store.bless(checkpoint)
    with workspace.database.exclusive() as connection:
        connection.exec_driver_sql("INSERT INTO batch_member (formula, member, batch) VALUES (1, 'a', 2)")
    return workspace


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_rule_12_saved_rows_refuse_every_change(filled: Workspace, sql: Sql, table: str) -> None:
    column = APPEND_ONLY[table][0][0]
    attempts = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"]
    if filled.database.is_sqlite:
        attempts.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    else:
        attempts.append(f"TRUNCATE {table} CASCADE")
    before = sql(f"SELECT * FROM {table}")
    assert before
    for statement in attempts:
        with pytest.raises(Immutable) as refused:
            sql(statement)
        assert refused.value.exit_code == 4
    assert sql(f"SELECT * FROM {table}") == before


def put_raw(workspace: Workspace, record: Record) -> str:
    workspace.commit([NewArtefact(record)])
    return record.id


def test_rule_12_old_schemas_are_upcast_on_read_and_ids_stay(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    steps: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
        "evaluation/-1": ("evaluation/0", lambda body: {"scores": body["marks"]}),
        "evaluation/0": ("evaluation/1", lambda body: {"metrics": body["scores"]}),
    }
    monkeypatch.setattr(schemas, "UPCASTERS", steps)
    parent = a_checkpoint(workspace)
    edge = Edge(RelationshipType.evaluation_of, parent.id)
    id = put_raw(workspace, Record("evaluation/-1", "digit-reader", {"marks": {"accuracy": 0.5}}, (edge,)))
    read = workspace.get(id)
    assert (read.metrics, read.id) == ({"accuracy": 0.5}, id)
    (document,) = sql(f"SELECT document FROM artefact WHERE id = '{id[7:]}'")[0]
    assert '"marks"' in document
    assert id_of_document(document.encode()) == id


def test_rule_12_a_newer_schema_is_opaque_but_traversable(workspace: Workspace) -> None:
    parent = a_checkpoint(workspace)
    edge = Edge(RelationshipType.checkpoint_parent, parent.id)
    future = put_raw(workspace, Record("model_checkpoint/9", "digit-reader", {"weights": "elsewhere"}, (edge,)))
    unheard_of = put_raw(workspace, Record("hologram/1", "x", {}, (Edge(RelationshipType.derived_from, future),)))
    read = workspace.get(future)
    assert (read.type, read.name, read.record().body) == ("opaque", "digit-reader", {"weights": "elsewhere"})
    assert parent.id in {node.id for node in read.upstream()}
    assert {node.id for node in workspace.downstream(parent.id)} == {future, unheard_of}


def test_rule_12_a_closure_visits_each_node_once(workspace: Workspace) -> None:
    """Sixty diamonds on top of each other have 2^60 paths."""

    def value(name: str, *parents: Record) -> Record:
        body = {"format": "json", "cache_key": name, "output": "result"}
        edges = tuple(Edge(RelationshipType.derived_from, parent.id) for parent in parents)
        return Record("value/1", name, body, edges, (PayloadRef("result", sha256_of(name.encode()), 1),))

    previous = value("0")
    changes = [NewArtefact(previous)]
    for step in range(1, 61):
        sides = [value(f"{step}{side}", previous) for side in "ab"]
        previous = value(f"{step}", *sides)
        changes += [NewArtefact(record) for record in (*sides, previous)]
    workspace.commit(changes)
    start = time.perf_counter()
    assert len(workspace.upstream(previous.id)) == 180
    assert time.perf_counter() - start < 5
    assert len(workspace.upstream(previous.id, depth=4)) == 6
    assert len(workspace.upstream(previous.id, depth=1)) == 2


def test_rule_12_edges_use_integer_keys(workspace: Workspace, sql: Sql) -> None:
    a_checkpoint(workspace)
    assert all(isinstance(value, int) for row in sql("SELECT child, parent, type FROM edge") for value in row)


def test_rule_12_a_url_that_is_no_catalog_is_refused() -> None:
    for url in ("mysql://host/db", "not a url", ""):
        with pytest.raises(jeyn.JeynError) as refused:
            Database(url)
        assert refused.value.exit_code == 2


def test_rule_12_a_durable_payload_is_needed_before_the_commit(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    batch = a_batch(workspace)

    def broken(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(file_payloads, "sync_folder", broken)
    with pytest.raises(Unreachable):
        workspace.model_store.save_checkpoint(READER.update_minor(dataset=batch, model=np.array([1.0])))
    assert sql("SELECT count(*) FROM artefact WHERE type = 'model_checkpoint'") == [(0,)]
