"""The error tree: exit codes and code names are what scripts rely on, and what callers catch is what they expect."""

from __future__ import annotations

import pickle
import re

import pytest

from jeyn import errors
from jeyn.errors import JeynError

# DESIGN 6.
EXIT_CODES = {
    "JeynError": 1,
    "OperationFailed": 1,
    "Fatal": 1,
    "TimedOut": 1,
    "WorkerDied": 1,
    "UsageError": 2,
    "InvalidVersion": 2,
    "InvalidReference": 2,
    "InvalidFilter": 2,
    "Ambiguous": 2,
    "Unsaved": 2,
    "PlanInvalid": 2,
    "NotDigestible": 2,
    "NotFound": 3,
    "Conflict": 4,
    "Immutable": 4,
    "VersionTaken": 4,
    "AliasMoved": 4,
    "Invalid": 5,
    "DataInvalid": 5,
    "NoData": 5,
    "Corrupt": 5,
    "PayloadMissing": 5,
    "NotSerializable": 5,
    "Incompatible": 6,
    "CatalogMismatch": 6,
    "BumpTooSmall": 6,
    "NewerSchema": 6,
    "WrongType": 6,
    "CodeChanged": 6,
    "Unreachable": 7,
    "Busy": 7,
    "NoSpace": 7,
    "NoMemory": 7,
    "NotAllowed": 8,
    "Interrupted": 130,
}
BUILTINS = {
    "UsageError": ValueError,
    "NotFound": LookupError,
    "Invalid": ValueError,
    "NotDigestible": TypeError,
    "NotSerializable": TypeError,
    "WrongType": TypeError,
    "Unreachable": OSError,
    "NotAllowed": PermissionError,
}
CLASSES = {
    name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, JeynError)
}


def test_every_class_has_its_exit_code() -> None:
    assert {name: value.exit_code for name, value in CLASSES.items()} == EXIT_CODES


def test_the_picture_shows_the_tree() -> None:
    """The module's docstring is where people look."""
    shown = dict(re.findall(r"(\w+) {2,}(\d+)? *", errors.__doc__ or ""))
    assert set(CLASSES) <= set(shown)
    assert {name: int(code) for name, code in shown.items() if code and name in CLASSES}.items() <= EXIT_CODES.items()


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_errors_are_also_the_builtin_that_a_caller_expects(name: str, builtin: type[Exception]) -> None:
    assert issubclass(CLASSES[name], builtin)


@pytest.mark.parametrize(
    ("name", "code"),
    [("VersionTaken", "VERSION_TAKEN"), ("NotFound", "NOT_FOUND"), ("Busy", "BUSY"), ("JeynError", "JEYN_ERROR")],
)
def test_code_names(name: str, code: str) -> None:
    assert CLASSES[name]("what failed").code == code


@pytest.mark.parametrize("name", CLASSES)
def test_each_says_what_failed_and_what_to_do(name: str) -> None:
    error = CLASSES[name]('"x" failed', hint="do this", refs=["sha256:1"])
    assert str(error) == '"x" failed\n  → do this'
    assert (error.message, error.hint, error.refs) == ('"x" failed', "do this", ("sha256:1",))
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error.code)


def test_code_names_are_unique() -> None:
    assert len({value("x").code for value in CLASSES.values()}) == len(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_errors_travel_between_processes(name: str) -> None:
    error = CLASSES[name]("what failed", hint="do this", refs=["a", "b"])
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.message, copy.hint, copy.refs) == (type(error), "what failed", "do this", ("a", "b"))
    assert str(copy) == str(error)


@pytest.mark.parametrize("name", CLASSES)
def test_a_retry_helps_only_where_a_store_was_not_reached_or_an_operation_was_stopped(name: str) -> None:
    helps = issubclass(CLASSES[name], errors.Unreachable | errors.TimedOut | errors.WorkerDied)
    assert CLASSES[name].retry_helps == helps


def test_every_error_in_jeyn_belongs_to_the_tree() -> None:
    """What other modules add (such as a lost attempt) keeps the exit code of its branch."""
    from jeyn.stores.catalog.commit import AttemptLost

    assert issubclass(AttemptLost, errors.Conflict)
    assert AttemptLost("x").exit_code == 4
