"""Random generators start from the cache key, so that what is run again gives the same (SEMANTICS 18 and 35).

Those of a library that the operation imports itself are seeded when it is imported: a process that had it already
and one that had not give the same numbers.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def seed(value: int) -> None:
    """Seed Python's, NumPy's and torch's generators, now or when they come."""
    random.seed(value)
    _later.value = value
    if _later not in sys.meta_path:
        sys.meta_path.insert(0, _later)
    for name, start in _GENERATORS.items():
        if name in sys.modules:
            start(sys.modules[name], value)


def _seed_numpy(random: Any, value: int) -> None:
    if type(random.get_bit_generator()).__name__ != "MT19937":  # another was put in its place
        random.set_bit_generator(random.MT19937())
    random.seed(value)


def _seed_torch(torch: Any, value: int) -> None:
    torch.manual_seed(value)


_GENERATORS: dict[str, Callable[[Any, int], None]] = {"numpy.random": _seed_numpy, "torch": _seed_torch}


class _Later(MetaPathFinder):
    """Finds what Python would find, and seeds it once it is there."""

    value = 0

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        start = _GENERATORS.get(fullname)
        spec = self._found(fullname, path, target) if start else None
        if start is None or spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            start(module, self.value)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _found(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        others = (each for each in sys.meta_path if each is not self)
        return next((spec for each in others if (spec := each.find_spec(name, path, target)) is not None), None)


_later = _Later()
