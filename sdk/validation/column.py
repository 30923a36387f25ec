"""`Column`: one feature seen batch by batch, its failures and its statistics in one pass; `Profiler` holds them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from jeyn.sdk.checks import Between, Check, Matches, NotNull, OneOf, Unique
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature, type_only
from jeyn.sdk.validation.arrow import Nested, comparable_type, cure_of_gaps, misfit, sizes
from jeyn.sdk.validation.bounds import allowed, bounds, iso
from jeyn.sdk.validation.categories import MAX_LEVELS, encoded, levels_of
from jeyn.sdk.validation.exact import CURE_OF_NANOSECONDS, CURE_OF_YEARS
from jeyn.sdk.validation.moments import Extent, Moments, finite, scan
from jeyn.sdk.validation.report import MAX_ROWS, Failure, FailureLog, shortened

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Positions = npt.NDArray[np.int64]

BLOCK = 1 << 16  # values that stay in a core's cache while they are read several times
MAX_TEXT = 200

# Where an optional feature that is not nullable may lack: in any row, in whole pieces, or only where it is no column.
Gaps: TypeAlias = Literal["rows", "pieces", "none"]


class Column:
    """Watches one feature. `update` takes the next rows; values within lists are checked and counted one by one."""

    def __init__(self, name: str, feature: Feature, *, statistics: bool, gaps: Gaps) -> None:
        self.feature = feature
        self.gaps: Gaps = gaps if feature.optional and NotNull() not in feature.checks else "none"
        self.keeps_levels = feature.dtype is Dtypes.CATEGORICAL and not feature.levels
        self.log = FailureLog(name)
        self.statistics_wanted = statistics
        self.is_there = False
        self.is_missing = False
        self.absent_rows = 0
        self.levels: dict[str, None] = {}
        self.nulls = 0
        self.count = 0
        self.extent = Extent()
        self.moments = Moments()
        self.texts: tuple[str, str] | None = None
        self.decimals: tuple[Decimal, Decimal] | None = None
        self.kept: list[tuple[pa.Array, Positions | int]] = []

    def missing(self, rows: int) -> None:
        """The feature is in no column of a batch."""
        self.absent_rows += rows
        self.is_missing = not self.is_there
        if not self.feature.optional:
            self.log.add("present", 0, [], "it is required")

    def unreadable(self, problem: str, rows: int, offset: int) -> None:
        """The column could not be read as one type, so none of its checks can run."""
        self.is_there, self.is_missing = True, False
        self.log.add("dtype", rows, _first(rows, offset), f"expected {self._type}: {problem}")

    def update(self, array: pa.Array, offset: int) -> None:
        """The next rows, which begin at row `offset` of the whole."""
        self.is_there, self.is_missing = True, False
        problem = misfit(array.type, self.feature)
        if problem is not None:
            example = f"expected {self._type}, got {array.type}"
            if problem == "dtype" and self.feature.dtype.is_integer and not self.feature.nullable:
                example += cure_of_gaps(array.type, self.feature)
            self.log.add(problem, len(array), _first(len(array), offset), example)
            return
        nested = Nested.of(array, self.feature)
        if nested.inexact.size:
            found = nested.written or _show(nested.leaf, nested.inexact[0], self.feature.dtype)
            told = f"{found} is no {self._type}"
            self._fail("exact", nested.inexact, nested, offset, told + self._cure(nested))
            return
        if self.keeps_levels:
            self.levels |= dict.fromkeys(levels_of(array))
        self._check_lists(nested, offset)
        self._check_nulls(nested, offset)
        self._take(nested, offset)

    @property
    def _type(self) -> str:
        return str(type_only(self.feature))

    def _cure(self, nested: Nested) -> str:
        """What to do about times that are inexact, as far as that is plain."""
        if self.feature.dtype not in (Dtypes.TIMESTAMP, Dtypes.DATE):
            return ""
        if nested.written:
            return f": {CURE_OF_NANOSECONDS}" if self.feature.dtype is Dtypes.TIMESTAMP else ""
        return f": {CURE_OF_YEARS}" if nested.is_beyond_calendar else ""

    def _check_lists(self, nested: Nested, offset: int) -> None:
        import numpy as np

        for depth, (array, size) in enumerate(zip(nested.lists, self.feature.shape[1:], strict=False)):
            if size == -1 or getattr(array.type, "list_size", None) == size:
                continue
            found = sizes(array)
            bad = np.flatnonzero((found != size) & array.is_valid().to_numpy(zero_copy_only=False))
            if bad.size:
                example = f"expected {size} values, got {found[bad[0]]}"
                self._fail("shape", bad, nested, offset, example, depth)

    def _check_nulls(self, nested: Nested, offset: int) -> None:
        import numpy as np

        for depth, array in enumerate([*nested.lists, nested.leaf]):
            if array.null_count and not (self.feature.takes_nulls or (depth == 0 and self._are_gaps(array))):
                bad = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
                self._fail("not_null", bad, nested, offset, "", depth)
            self.nulls += array.null_count
        self.count += len(nested.leaf) - nested.leaf.null_count

    def _are_gaps(self, array: pa.Array) -> bool:
        """Whether nulls stand for rows that lack the optional feature."""
        return self.gaps == "rows" or (self.gaps == "pieces" and array.null_count == len(array))

    def _take(self, nested: Nested, offset: int) -> None:
        """Statistics and checks of the values, the extremes found once for both."""
        self._take_levels(nested, offset)
        extent = self._extent(nested.leaf)
        for check in self.feature.checks:
            if isinstance(check, Unique):
                self._keep(nested, offset)
            elif not (isinstance(check, Between) and extent is not None and self._within(check, extent)):
                bad = self._positions(check, nested.leaf)
                if bad.size:
                    self._fail(str(check), bad, nested, offset, _show(nested.leaf, bad[0], self.feature.dtype))

    def _take_levels(self, nested: Nested, offset: int) -> None:
        """What is none of the declared categories, and categories without end."""
        if self.feature.levels:
            bad = encoded(nested.leaf, self.feature.levels)[1]
            if bad.size:
                self._fail("levels", bad, nested, offset, _show(nested.leaf, bad[0], self.feature.dtype))
        elif len(self.levels) > MAX_LEVELS and "levels" not in self.log.found:
            self.log.add("levels", 0, [], f"it has more than {MAX_LEVELS:,} categories: declare Dtypes.STRING")

    def _extent(self, leaf: pa.Array) -> Extent | None:
        """The extremes of a batch of numbers; texts tell theirs in `_positions` and `_take_texts`."""
        checked = any(isinstance(check, Between) for check in self.feature.checks)
        if not self.statistics_wanted and not checked:
            return None
        if self.feature.dtype.is_text or self.feature.dtype is Dtypes.BYTES:
            self._take_texts(leaf)
            return None
        if self.feature.dtype is Dtypes.DECIMAL:
            self._take_decimals(leaf)
            return None
        extent = Extent()
        if not self.statistics_wanted and self.feature.dtype.is_integer:
            _scan_integers(leaf, extent)
        else:
            for block in _blocks(leaf):
                scan(block, extent, self.moments if self.statistics_wanted else None)
        self.extent.nan += extent.nan
        self.extent.infinite += extent.infinite
        return extent

    def _within(self, check: Between, extent: Extent) -> bool:
        low, high = bounds(check, self.feature.dtype)
        fits = extent.low is None or ((low is None or extent.low >= low) and (high is None or extent.high <= high))
        return fits and not extent.nan

    def _take_texts(self, leaf: pa.Array) -> None:
        import pyarrow.compute as pc

        if not self.statistics_wanted or self.feature.dtype is Dtypes.BYTES or leaf.null_count == len(leaf):
            return
        found = pc.min_max(leaf).as_py()
        low, high = self.texts or (found["min"], found["max"])
        self.texts = min(low, found["min"]), max(high, found["max"])

    def _take_decimals(self, leaf: pa.Array) -> None:
        """Extremes as they are; mean and standard deviation are floats, and so are of the nearest floats."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self.statistics_wanted or leaf.null_count == len(leaf):
            return
        for block in _blocks(leaf.cast(pa.float64())):
            scan(block, Extent(), self.moments)
        found = pc.min_max(leaf).as_py()
        low, high = self.decimals or (found["min"], found["max"])
        self.decimals = min(low, found["min"]), max(high, found["max"])

    def _positions(self, check: Check, leaf: pa.Array) -> Positions:
        """Where in the leaf a value fails; nulls never do."""
        import numpy as np
        import pyarrow.compute as pc

        if isinstance(check, Between):
            bad = self._outside(check, leaf)
        elif isinstance(check, OneOf):
            bad = pc.invert(self._is_one_of(check, leaf))
        elif isinstance(check, Matches):
            bad = pc.invert(pc.match_substring_regex(leaf, check.anchored))
        else:
            return np.empty(0, np.int64)
        bad = pc.and_(pc.fill_null(bad, False), leaf.is_valid())
        return np.flatnonzero(bad.to_numpy(zero_copy_only=False)) if pc.any(bad).as_py() else np.empty(0, np.int64)

    def _outside(self, check: Between, leaf: pa.Array) -> pa.Array:
        import numpy as np
        import pyarrow as pa

        low, high = bounds(check, self.feature.dtype)
        if self.feature.dtype.is_text or self.feature.dtype is Dtypes.DECIMAL:
            return _outside_of(leaf, low, high)
        values = leaf.fill_null(0).to_numpy(zero_copy_only=False)
        bad = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        if self.feature.dtype.is_float:
            # As float64, or NumPy would round the bound to a narrower type of the data.
            low, high = (None if bound is None else np.float64(bound) for bound in (low, high))
        if low is not None:
            bad |= values < low
        if high is not None:
            bad |= values > high
        return pa.array(bad)

    def _is_one_of(self, check: OneOf, leaf: pa.Array) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = leaf.type if self.feature.dtype.is_text else comparable_type(self.feature)
        values = pa.array(allowed(check, self.feature.dtype), wanted)
        return pc.is_in(leaf.cast(wanted), value_set=values)

    def _keep(self, nested: Nested, offset: int) -> None:
        """A copy, so that the whole batch is not kept alive with it."""
        import numpy as np
        import pyarrow as pa

        leaf = nested.leaf
        wanted = pa.large_string() if self.feature.dtype.is_text else comparable_type(self.feature)
        copy = pa.concat_arrays([leaf.cast(wanted), pa.array([], wanted)])
        rows = nested.rows(np.arange(len(leaf), dtype=np.int64)) + offset if nested.lists else offset
        self.kept.append((copy, rows))

    def _fail(
        self, check: str, bad: Positions, nested: Nested, offset: int, example: str, depth: int | None = None
    ) -> None:
        # More positions than rows are asked for, because several may lie in one row.
        import numpy as np

        rows = np.unique(nested.rows(bad, depth))[:MAX_ROWS] + offset
        self.log.add(check, int(bad.size), rows.tolist(), example)

    def failures(self) -> list[Failure]:
        """What failed so far; duplicates are looked for here, over all batches."""
        found = dict(self.log.found)
        if self.is_there and self.absent_rows and NotNull() in self.feature.checks and "present" not in found:
            example = "it is only in some files, and may not be null"
            found["present"] = Failure(self.log.feature, "present", 0, (), example)
        duplicates = self._duplicates() if self.kept else None
        if duplicates is not None:
            found[duplicates.check] = duplicates
        order = ["present", "dtype", "shape", "exact", "levels", "not_null", *map(str, self.feature.checks)]
        return sorted(found.values(), key=lambda failure: order.index(failure.check))

    def _duplicates(self) -> Failure | None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        values = pa.chunked_array([array for array, _ in self.kept])
        count = len(values) - values.null_count - pc.count_distinct(values, mode="only_valid").as_py()
        if not count:
            return None
        encoded = values.dictionary_encode()
        codes = np.concatenate([chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks])
        again = np.ones(len(codes), bool)
        again[np.unique(codes, return_index=True)[1]] = False
        bad = np.flatnonzero(again & (codes >= 0))
        rows = np.concatenate([_all_rows(array, where) for array, where in self.kept])
        example = _show(values, bad[0], self.feature.dtype)
        return Failure(self.log.feature, "unique()", count, tuple(np.unique(rows[bad])[:MAX_ROWS].tolist()), example)

    def statistics(self) -> dict[str, Any]:
        """JSON-able; see `Profiler.statistics`."""
        found = {"count": self.count, "nulls": self.nulls + self.absent_rows, **self._extremes()}
        number = self.feature.dtype.is_number or self.feature.dtype in (Dtypes.BOOL, Dtypes.DECIMAL)
        some = number and self.moments.count > 0
        mean = self.moments.mean_of_integers if some and self.feature.dtype.is_integer else self.moments.mean
        found |= {"mean": finite(mean) if some else None, "std": self.moments.std if some else None}
        special = {"nan": self.extent.nan, "infinite": self.extent.infinite}
        return found | {name: count for name, count in special.items() if count}

    def _extremes(self) -> dict[str, Any]:
        low: Any
        high: Any
        low, high = self.texts or self.decimals or (self.moments.low, self.moments.high)
        if low is None or high is None:
            return {"min": None, "max": None}
        dtype = self.feature.dtype
        if dtype.is_text:
            low, high = (text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…" for text in (low, high))
        elif dtype is Dtypes.TIMESTAMP:
            low, high = iso(low), iso(high)
        elif dtype is Dtypes.DATE:
            low, high = (iso(time).partition("T")[0] for time in (low, high))
        elif dtype is Dtypes.DECIMAL:
            low, high = str(low), str(high)
        elif dtype is Dtypes.BOOL:
            low, high = bool(low), bool(high)
        elif dtype.is_float:
            low, high = float(low), float(high)
        return {"min": low, "max": high}


def _outside_of(leaf: pa.Array, low: Any, high: Any) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    def bound(value: Any) -> pa.Scalar:
        return pa.scalar(value, None if isinstance(value, Decimal) else leaf.type)

    if low is None:
        return pc.greater(leaf, bound(high))
    below = pc.less(leaf, bound(low))
    return below if high is None else pc.or_(below, pc.greater(leaf, bound(high)))


def _first(rows: int, offset: int) -> list[int]:
    return list(range(offset, offset + min(rows, MAX_ROWS)))


def _all_rows(array: pa.Array, where: Positions | int) -> Positions:
    import numpy as np

    return np.arange(where, where + len(array), dtype=np.int64) if isinstance(where, int) else where


def _blocks(leaf: pa.Array) -> Any:
    """The numbers that are not null, a block at a time, without a copy where there is no null."""
    for start in range(0, len(leaf), BLOCK):
        part = leaf.slice(start, BLOCK)
        yield (part.drop_null() if part.null_count else part).to_numpy(zero_copy_only=False)


def _scan_integers(leaf: pa.Array, extent: Extent) -> None:
    """Arrow finds the extremes of integers faster than NumPy, and it skips nulls; of floats it is far slower."""
    import pyarrow.compute as pc

    found = pc.min_max(leaf).as_py()
    if found["min"] is not None:
        extent.widen(found["min"], found["max"])


def _show(values: pa.Array, position: Any, dtype: Dtypes) -> str:
    value = values[int(position)].as_py()
    if dtype is Dtypes.TIMESTAMP:
        value = iso(value)
    elif dtype is Dtypes.DATE:
        value = iso(value).partition("T")[0]
    elif dtype is Dtypes.DECIMAL:
        return shortened(str(value))
    return shortened(repr(bool(value) if dtype is Dtypes.BOOL else value))
