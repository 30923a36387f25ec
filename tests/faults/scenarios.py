"""What is killed: saving, importing, exporting, sweeping and upgrading, each on any catalog."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

import jeyn
from jeyn import Workspace
from jeyn.sdk.artefact import Artefact
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.migrate import REVISIONS, current_revision, upgrade
from jeyn.stores.catalog.tables import APPEND_ONLY
from jeyn.stores.payloads import FilePayloads
from tests.faults.killing import clean
from tests.faults.killing import jeyn as command
from tests.stores.conftest import execute
from tests.stores.digits import DIGITS, READER, rows
from tests.stores.old_catalog import BATCH, DIGEST, fill

NewCatalog = Callable[[Path], str]
AT_ONCE = 3


def train(workspace: Workspace, seed: int) -> Artefact:
    """A batch with a payload, a checkpoint with another, and its promotion: what a training run saves."""
    batch = workspace.dataset_store.save_batch(DIGITS.new_table(rows(seed)))
    model = {"weights": np.full(2000, float(seed))}
    checkpoint = workspace.model_store.save_checkpoint(READER.update_patch(dataset=batch, model=model))
    workspace.model_store.bless(checkpoint)
    return checkpoint


class Places:
    """A home of its own with a catalog of some kind."""

    def __init__(self, folder: Path, new_catalog: NewCatalog) -> None:
        self.folder, self.new_catalog = folder, new_catalog
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.catalog = new_catalog(self.home)

    @cached_property
    def workspace(self) -> Workspace:
        return jeyn.open(home=self.home, catalog=self.catalog, data=self.folder / "data")

    @property
    def database(self) -> Database:
        return self.workspace.database

    def prepare(self, round: int) -> None:
        self.round = round

    def look(self, *, repair: bool) -> None:
        clean(self.workspace, repair=repair)

    def after_kill(self) -> None:
        """Nothing else."""

    def jeyn(self, *arguments: str) -> None:
        command(self.home, self.catalog, *arguments)


class Save(Places):
    """Some models, one after the other."""

    def work(self) -> None:
        with jeyn.open(home=self.home, catalog=self.catalog, data=self.folder / "data") as workspace:
            for seed in range(AT_ONCE * self.round, AT_ONCE * (self.round + 1)):
                train(workspace, seed)

    def check(self) -> None:
        numbers = [claimed.number for claimed in self.workspace.reader.claims("checkpoint:digit-reader")]
        assert len(numbers) == AT_ONCE * (self.round + 1)
        epochs = [claimed.number for claimed in self.workspace.reader.claims(f"batch:{DIGITS.record().id[7:]}")]
        assert sorted(map(int, epochs)) == list(range(1, len(numbers) + 1))
        latest = self.workspace.model_store.get_checkpoint("digit-reader@latest")
        assert latest == self.workspace.model_store.get_checkpoint("digit-reader@blessed")
        assert latest.load()["weights"][0] == AT_ONCE * (self.round + 1) - 1


class Import(Places):
    """A bundle with what is new since the last one."""

    @cached_property
    def source(self) -> Workspace:
        return jeyn.open(home=self.folder / "source", data=self.folder / "data")

    def prepare(self, round: int) -> None:
        super().prepare(round)
        for seed in range(AT_ONCE):
            self.made = train(self.source, AT_ONCE * round + seed)
        self.bundle = self.folder / f"{round}.jeyn"
        self.source.export_bundle(self.made, self.bundle)

    def work(self) -> None:
        self.jeyn("import", str(self.bundle), "--yes")

    def check(self) -> None:
        found = self.workspace.model_store.get_checkpoint(self.made.ref)
        assert found.id == self.made.id
        assert found.load()["weights"][0] == AT_ONCE * self.round + AT_ONCE - 1
        up, theirs = self.workspace.upstream(found), self.source.upstream(self.made)
        assert {node.id for node in up} == {node.id for node in theirs}


class Export(Places):
    """A bundle of the newest model, in place of the one before."""

    def prepare(self, round: int) -> None:
        super().prepare(round)
        self.made = train(self.workspace, round)
        self.bundle = self.folder / "made.jeyn"

    def work(self) -> None:
        self.jeyn("export", self.made.ref, str(self.bundle), "--yes")

    def after_kill(self) -> None:
        self.is_whole()  # this one, or that of the round before

    def check(self) -> None:
        assert self.is_whole() == self.made.id

    def is_whole(self) -> str:
        with jeyn.open(home=self.folder / "copy", data=self.folder / "data") as copy:
            return str(copy.import_bundle(self.bundle).root)


class Sweep(Places):
    """Bytes that belong to nothing, beside a model that is used."""

    def prepare(self, round: int) -> None:
        super().prepare(round)
        self.made = train(self.workspace, round)
        self.strays = [b"%d of %d" % (each, round) for each in range(20)]
        for stray in self.strays:
            self.workspace.payloads.put(digest_of(stray), stray)

    def work(self) -> None:
        self.jeyn("gc", "--grace", "0s", "--yes")

    def after_kill(self) -> None:
        writer = self.workspace._writer()
        for stray in self.strays[::7]:
            writer.keep(stray, "again")  # at once, whatever the sweep had condemned
        writer._end_save()
        assert all(self.workspace.payloads.read(digest_of(stray)) == stray for stray in self.strays[::7])

    def check(self) -> None:
        assert not any(self.workspace.payloads.exists(digest_of(stray)) for stray in self.strays)
        checkpoint = self.workspace.model_store.get_checkpoint(self.made.ref)
        assert checkpoint.load()["weights"][0] == self.round


class Upgrade:
    """A catalog of the first Jeyn, another one in each round."""

    def __init__(self, folder: Path, new_catalog: NewCatalog) -> None:
        self.folder, self.new_catalog = folder, new_catalog
        self.undisturbed: Counter[str] = Counter()

    def prepare(self, round: int) -> None:
        self.home = self.folder / str(round)
        self.home.mkdir(parents=True)
        self.catalog = self.new_catalog(self.home)
        self.database = Database(self.catalog)
        upgrade(self.database, "0001")
        fill(self.database)
        FilePayloads(self.home / "payloads").put(DIGEST, b"old bytes")
        self.before = self.rows()

    def look(self, *, repair: bool) -> None:
        """Opening it would upgrade it."""

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        return {table: sorted(map(tuple, execute(self.database, f"SELECT * FROM {table}"))) for table in APPEND_ONLY}

    def work(self) -> None:
        command(self.home, self.catalog, "db", "upgrade")

    def after_kill(self) -> None:
        assert self.rows() == self.before

    def check(self) -> None:
        assert self.rows() == self.before
        with self.database.read() as connection:
            assert current_revision(connection) == REVISIONS[-1]
        with jeyn.open(home=self.home, catalog=self.catalog, data=self.folder / "data") as workspace:
            assert workspace.dataset_store.get_batch("digits@good/latest").id == BATCH.id
            found = workspace.fsck().counts  # its rows are made up, and `fsck` says so
        self.undisturbed = self.undisturbed or found
        assert found == self.undisturbed


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
