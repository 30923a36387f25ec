"""Prints the floor of each dependency in pyproject.toml as `name==version`, what `make test-floors` installs.

`--digest` prints a digest of these lines, by which `.ci/run` knows whether the tests have passed with them. Used by
floors.sh; needs the standard library only.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
# What the tests install in place of xgboost, whose wheels bring libraries of a GPU.
LEFT_OUT = {"xgboost", "jeyn"}
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?\s*(>=\s*(?P<floor>[0-9.]+))?")


def requirements(project: dict[str, object]) -> Iterator[str]:
    """Every requirement of the project, of its extras and of the group that the tests need."""
    about: dict[str, list[str]] = project["project"]  # type: ignore[assignment]
    yield from about["dependencies"]
    for extra in about["optional-dependencies"].values():  # type: ignore[attr-defined]
        yield from extra
    yield from project["dependency-groups"]["dev"]  # type: ignore[index]


def floors(text: str) -> list[str]:
    """`name==version` for each, in order of names. ValueError for a dependency that has no floor, or two."""
    found: dict[str, str] = {}
    for requirement in requirements(tomllib.loads(text)):
        match = REQUIREMENT.match(requirement)
        name, floor = (match["name"], match["floor"]) if match else (requirement, None)
        if name in LEFT_OUT:
            continue
        if floor is None or found.setdefault(name, floor) != floor:
            raise ValueError(f'"{requirement}" in pyproject.toml gives no floor, or another one: write "{name}>=1.2"')
    return [f"{name}=={floor}" for name, floor in sorted(found.items())]


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


if __name__ == "__main__":
    lines = floors(PROJECT.read_text(encoding="utf-8"))
    print(digest(lines) if "--digest" in sys.argv[1:] else "\n".join(lines))
