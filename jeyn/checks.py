"""The checks that a feature can carry, under one short name: `from jeyn.checks import between, one_of`."""

from jeyn.sdk.checks import between, matches, not_null, one_of, unique

__all__ = ["between", "matches", "not_null", "one_of", "unique"]
