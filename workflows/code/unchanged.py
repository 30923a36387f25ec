"""Whether the modules that a worker imports are those that its run was planned with (SEMANTICS 18)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from jeyn.errors import CodeChanged, JeynError
from jeyn.workflows.code.digest import function_code
from jeyn.workflows.code.values import without_values


class Unchanged:
    """Asked after each import. Else what edited code gives would be found under the key of the code before.

    `parts` are those of each function's code (`FunctionCode.parts`), by reference.
    """

    def __init__(self, parts: Mapping[str, Mapping[str, str]], root: Path) -> None:
        self._parts, self.root = parts, root
        self._seen: set[str] = set()
        self._changed: dict[str, list[str]] = {}

    def check(self, reference: str) -> None:
        """Raise `CodeChanged` for a function whose files were others when its module was imported."""
        module = reference.partition(":")[0]
        if module not in self._seen:
            # All of its functions now: what is edited later counts no more in this process.
            self._seen.add(module)
            functions = [each for each in self._parts if each.partition(":")[0] == module]
            self._changed |= {each: names for each in functions if (names := self._differing(each))}
        if reference in self._changed:
            raise CodeChanged(
                f'"{", ".join(self._changed[reference])}" changed after the run had started',
                hint="start a new run; what did not change comes from the cache",
            )

    def _differing(self, reference: str) -> list[str]:
        module, _, qualname = reference.partition(":")
        found = getattr(sys.modules.get(module), qualname, None)
        if found is None:
            return [reference]
        before = without_values(self._parts[reference])
        try:
            now = function_code(found, root=self.root, uses=getattr(found, "uses", ()), values=False).parts
        except JeynError:
            return [reference]
        # What only the plan has it found by values, such as the name of a module in a configuration.
        return sorted(name for name in now if before.get(name) != now[name])
