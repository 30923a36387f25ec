"""`kill -9` at random moments: work in a child process that is killed, and what must hold of the catalog after it."""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import text

from jeyn import Workspace
from jeyn.sdk.version import Version
from jeyn.stores.catalog.database import Database

LONGEST_SECONDS = 120.0  # that a piece of work may take when nobody kills it
# What a kill may leave: bytes that nothing needs, and what a sweep was deleting. Both are gone after `fsck --repair`.
HARMLESS = {"orphaned", "stale_condemnation"}

Work = Callable[[], object]


def in_child(work: Work, kill_after: float | None = None) -> bool:
    """Whether a process that does it was killed so many seconds after it began; fails where it failed by itself.

    It is a child of this process, which is warm: what is killed is the work, and not its imports.
    """
    reads, writes = os.pipe()
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            _do(work, writes, said.fileno())
        os.close(writes)
        with ExitStack() as stack:
            stack.callback(os.close, reads)
            assert os.read(reads, 1) == b"!"
            if kill_after is not None:
                time.sleep(kill_after)
                os.kill(child, signal.SIGKILL)
            status = _waited(child)
        said.seek(0)
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, said.read()
    return os.WIFSIGNALED(status)


def _do(work: Work, writes: int, said: int) -> None:
    os.setsid()
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.write(writes, b"!")
    code = 3
    try:
        work()
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _waited(child: int) -> int:
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"it did not end within {LONGEST_SECONDS:g} s")
        time.sleep(0.002)


def jeyn(home: Path, catalog: str, *arguments: str) -> None:
    """The command line, in this process and to its end: for a child."""
    from jeyn.cli.main import main

    os.environ |= {"JEYN_HOME": str(home), "JEYN_CATALOG": catalog}
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    sys.argv = ["jeyn", *arguments]
    main()


class Scenario(Protocol):
    """Work that may be killed and repeated, on one catalog or on another in each round."""

    @property
    def database(self) -> Database: ...
    def prepare(self, round: int) -> None:
        """Make something new to do."""

    def work(self) -> object:
        """Do it, in a child; also what was cut off before."""

    def after_kill(self) -> None:
        """What must hold then, beside what holds always."""

    def look(self, *, repair: bool) -> None:
        """What `fsck` finds then."""

    def check(self) -> None:
        """It is done, once and wholly."""


@dataclass(frozen=True)
class Content:
    """What must never be lost or doubled: ids, edges as (child, parent, type), claims as (owner, number, id)."""

    artefacts: frozenset[str]
    edges: frozenset[tuple[str, str, int]]
    claims: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, database: Database) -> Content:
        with database.read() as connection:
            ids = connection.execute(text("SELECT id FROM artefact")).scalars().all()
            edges = connection.execute(
                text(
                    "SELECT c.id, p.id, e.type FROM edge e"
                    " JOIN artefact c ON c.key = e.child JOIN artefact p ON p.key = e.parent"
                )
            ).all()
            claims = connection.execute(
                text(
                    "SELECT c.owner, c.number, a.id FROM claim c JOIN artefact a ON a.key = c.artefact"
                    " ORDER BY c.seq, c.owner, c.major, c.minor, c.patch"
                )
            ).all()
        assert len(ids) == len(set(ids))
        return cls(frozenset(ids), frozenset(map(tuple, edges)), tuple(map(tuple, claims)))

    def check(self, before: Content) -> None:
        """Nothing of `before` is lost, no content has two numbers, and numbers rise in the order of their commits."""
        assert before.artefacts <= self.artefacts
        assert before.edges <= self.edges
        assert self.claims[: len(before.claims)] == before.claims
        doubled = [key for key, count in Counter((owner, id) for owner, _, id in self.claims).items() if count > 1]
        assert not doubled
        for owner in {owner for owner, _, _ in self.claims}:
            numbers = [number for of, number, _ in self.claims if of == owner]
            found = [int(each) if each.isdigit() else Version.parse(each) for each in numbers]
            assert found == sorted(found), owner  # type: ignore[type-var]


def clean(workspace: Workspace, *, repair: bool) -> None:
    """`fsck` finds nothing but what a kill may leave, and mends that."""
    found = workspace.fsck(repair=repair)
    assert set(found.counts) <= HARMLESS, str(found)
    if repair:
        assert found.left == 0, str(found)
        assert workspace.fsck().ok


def warm_up(scenario: Scenario) -> None:
    """Do it once, and import here what that imported."""
    scenario.prepare(0)
    with tempfile.NamedTemporaryFile("w+") as names:

        def work() -> None:
            try:
                scenario.work()
            finally:
                Path(names.name).write_text("\n".join(sys.modules))

        assert not in_child(work)
        for name in sorted(set(names.read().split()) - set(sys.modules)):
            with suppress(ImportError):
                importlib.import_module(name)
    scenario.check()


def kill_many(scenario: Scenario, times: int, *, seed: int, look_every: int = 1) -> int:
    """Kill so often while it works; only kills that landed count. The number that cut work off between two commits."""
    chance = random.Random(seed)
    warm_up(scenario)
    scenario.prepare(1)
    begun = time.monotonic()
    assert not in_child(scenario.work)
    seconds = time.monotonic() - begun
    scenario.check()
    landed = between = 0
    for round in range(2, 10 * times + 2):
        scenario.prepare(round)
        before = Content.of(scenario.database)
        if not in_child(scenario.work, chance.uniform(0, seconds)):
            scenario.check()
            seconds *= 0.85  # it is quicker now than when it was timed
            continue
        landed += 1
        seconds *= 1.05
        after = Content.of(scenario.database)
        after.check(before)
        scenario.after_kill()
        if landed % look_every == 0:
            scenario.look(repair=landed % 2 == 0)
        assert not in_child(scenario.work), "what was cut off is done again"
        scenario.check()
        done = Content.of(scenario.database)
        done.check(after)
        between += before != after != done
        if landed == times:
            break
    assert landed == times, f"of {round} kills only {landed} landed"
    scenario.look(repair=True)
    print(f"{seconds:.2f} s of {type(scenario).__name__}: {landed} kills landed, {between} of them between two commits")
    return between
