"""The contract that every kind of formula keeps, on both databases: one suite, four kinds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jeyn.errors import JeynError, NoData
from tests.stores.datasets.formula_cases import CASES, Case, in_new_process

MakeCase = Callable[..., Case]


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest, tmp_path: Path, catalog: str | None) -> Iterator[Case]:
    made = CASES[request.param](tmp_path / "one", catalog)
    yield made
    made.workspace.close()


def rows(batch: object) -> list[int]:
    return sorted(batch.load().column("at").to_pylist())  # type: ignore[attr-defined]


def test_no_data_ever_is_no_data(case: Case) -> None:
    with pytest.raises(NoData) as refused:
        case.save()
    assert refused.value.exit_code == 5
    assert refused.value.hint


def test_the_first_batch_has_all_and_epoch_1(case: Case) -> None:
    case.add(10)
    batch = case.save()
    assert (batch.epoch, batch.is_new, rows(batch)) == (1, True, [10, 11, 12])


def test_nothing_new_gives_the_latest_batch(case: Case) -> None:
    case.add(10)
    first = case.save()
    again = case.save()
    assert (again.id, again.epoch, again.is_new) == (first.id, 1, False)


def test_the_same_data_give_the_same_ids_in_another_home(case: Case, tmp_path: Path) -> None:
    other = CASES[case.name](tmp_path / "two")
    for world in (case, other):
        world.add(10)
        world.save()
        world.add(20)
    assert case.save().id == other.save().id


def test_what_is_added_comes_in_the_next_batch(case: Case) -> None:
    case.add(10)
    case.save()
    case.add(20)
    batch = case.save()
    assert (batch.epoch, batch.is_new, rows(batch)) == (2, True, [20, 21, 22])


def test_late_data_come_in_the_next_batch(case: Case) -> None:
    case.add(10)
    case.save()
    case.add_late()
    late = case.save()
    assert (late.epoch, rows(late)) == (2, [1, 2, 3])
    assert case.save().is_new is False


def test_late_data_arrive_together_with_new_data_and_nothing_is_twice(case: Case) -> None:
    case.add(10)
    case.save()
    case.add_late()
    case.add(20)
    assert rows(case.save()) == [1, 2, 3, 20, 21, 22]
    assert case.save().is_new is False


def test_a_changed_schema_is_refused_and_work_goes_on_once_it_is_mended(case: Case) -> None:
    case.add(10)
    first = case.save()
    case.break_schema()
    with pytest.raises(JeynError) as refused:
        case.save()
    assert refused.value.exit_code in (2, 5, 6)
    assert '"x"' in str(refused.value) or "'x'" in str(refused.value) or " x" in str(refused.value)
    claimed = case.workspace.dataset_store.get_formula_batches(first.formula)
    assert [batch.epoch for batch in claimed] == [1]
    case.add(20)
    case.mend()
    batch = case.save()
    assert set(rows(batch)) >= {20, 21, 22}
    assert batch.epoch == 2


def test_killed_half_way_and_done_again_is_as_if_undisturbed(case: Case, tmp_path: Path) -> None:
    undisturbed = CASES[case.name](tmp_path / "two")
    for world in (case, undisturbed):
        world.add(10)
    dying = in_new_process(case, die_before_commit=True)
    dying.communicate(timeout=120)
    assert dying.returncode == -9
    assert case.save().id == undisturbed.save().id
    assert case.workspace.fsck().of("missing") == []


def test_two_processes_at_once_make_one_batch(case: Case) -> None:
    case.add(10)
    both = [in_new_process(case), in_new_process(case)]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert said[0] == said[1]
    assert said[0]["epoch"] == 1
    batches = case.workspace.dataset_store.get_formula_batches(case.formula())
    assert [batch.epoch for batch in batches] == [1]


def test_a_sweep_of_old_batches_does_not_make_their_data_new_again(case: Case) -> None:
    case.add(10)
    case.save()
    case.add(20)
    last = case.save()
    case.workspace.gc(keep=[last.id], retention={"batch": {"last": 0}}, grace=timedelta(0), yes=True)
    assert case.save().is_new is False
    case.add(30)
    assert rows(case.save()) == [30, 31, 32]
