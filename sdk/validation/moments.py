"""`Moments`: count, extremes, mean and standard deviation of numbers that come in parts, in one pass.

Parts are merged as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances" (1979), which stays accurate where the sum of squares does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Number = int | float
EXACT = 2**53  # up to here float64 holds every integer


@dataclass
class Extent:
    """The lowest and highest of some numbers, infinities included and NaN not, and how many of them are no numbers."""

    low: Number | None = None
    high: Number | None = None
    nan: int = 0
    infinite: int = 0

    def widen(self, low: Number, high: Number) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)


@dataclass
class Moments:
    """Of finite numbers; `m2` is the sum of the squared distances from the mean, and `total` the sum of integers."""

    count: int = 0
    low: Number | None = None
    high: Number | None = None
    mean: float = 0.0
    m2: float = 0.0
    total: int = 0

    def update(self, values: npt.NDArray[Any], low: Number, high: Number) -> None:
        """Add finite numbers, at least one, whose extremes are known."""
        import numpy as np

        if values.dtype.kind in "iu":
            self.merge(_of_integers(values, int(low), int(high)))
            return
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean(dtype=np.float64))
            distances = values - mean if values.dtype == np.float64 else values.astype(np.float64) - mean
            self.merge(Moments(values.size, low, high, mean, float(np.dot(distances, distances))))

    def merge(self, other: Moments) -> None:
        """Add the numbers of `other`."""
        if not other.count or other.low is None or other.high is None:
            return
        count = self.count + other.count
        delta = other.mean - self.mean
        self.m2 += other.m2 + delta * delta * (self.count / count) * other.count
        self.mean = other.mean if not self.count else self.mean + delta * (other.count / count)
        self.low = other.low if self.low is None else min(self.low, other.low)
        self.high = other.high if self.high is None else max(self.high, other.high)
        self.total += other.total
        self.count = count

    @property
    def mean_of_integers(self) -> Number:
        """Rounded once, and not at all beyond what a float holds exactly."""
        whole, rest = divmod(self.total, self.count)
        return whole if not rest and abs(whole) > EXACT else self.total / self.count

    @property
    def std(self) -> float | None:
        """The sample standard deviation (divided by count - 1); None below two numbers or where it overflows."""
        return finite(math.sqrt(self.m2 / (self.count - 1))) if self.count > 1 else None


def _of_integers(values: npt.NDArray[Any], low: int, high: int) -> Moments:
    """Their sum is exact; distances are taken where floats hold them best, near the lowest."""
    import numpy as np

    total = _sum(values, max(-low, high))
    if max(-low, high) <= EXACT:
        distances = values.astype(np.float64) - total / values.size
    else:
        above = values.astype(np.uint64) - np.uint64(low % 2**64)  # modulo 2**64, as the difference may be that large
        distances = above.astype(np.float64) - (total - low * values.size) / values.size
    return Moments(values.size, low, high, total / values.size, float(np.dot(distances, distances)), total)


def _sum(values: npt.NDArray[Any], largest: int) -> int:
    """By halves where 64 bits may not hold it."""
    if largest * values.size < 2**63:
        return int(values.sum())
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def finite(value: Number) -> Number | None:
    """None for what JSON cannot write."""
    return value if math.isfinite(value) else None


def scan(values: npt.NDArray[Any], extent: Extent, moments: Moments | None) -> None:
    """Take a block of numbers into both; without NaN and infinities, which are rare, nothing is copied to find them."""
    import numpy as np

    if not values.size:
        return
    with np.errstate(invalid="ignore"):
        low, high = values.min().item(), values.max().item()
    if math.isfinite(low) and math.isfinite(high):
        extent.widen(low, high)
    else:
        values = _scan_special(values, extent)
        if not values.size:
            return
        low, high = values.min().item(), values.max().item()
    if moments is not None:
        moments.update(values, low, high)


def _scan_special(values: npt.NDArray[Any], extent: Extent) -> npt.NDArray[Any]:
    """Count NaN and infinities, and give the finite rest."""
    import numpy as np

    numbers = values[~np.isnan(values)]
    rest: npt.NDArray[np.floating[Any]] = numbers[np.isfinite(numbers)]
    extent.nan += values.size - numbers.size
    extent.infinite += numbers.size - rest.size
    if numbers.size:
        extent.widen(numbers.min().item(), numbers.max().item())
    return rest
