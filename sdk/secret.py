"""`jeyn.Secret`: a secret by name as an operation's input; only its name is in plans, logs and cache keys."""

from __future__ import annotations

import re

from jeyn.errors import NotFound, UsageError
from jeyn.settings import variable

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")  # of a Kubernetes Secret
_KEY = re.compile(r"[-._a-zA-Z0-9]+")  # of an entry in it
_MOST = 253  # characters of either
PREFIX = "JEYN_SECRET_"


class Secret:
    """One entry of a Kubernetes Secret; on a laptop the environment variable `JEYN_SECRET_<NAME>_<KEY>`.

    An operation gets the `Secret` itself and reads `.value` where it needs it, so printing it shows a name only.
    """

    __slots__ = ("key", "name")

    def __init__(self, name: str, key: str) -> None:
        self.name = _checked("name", name, _NAME, 'write it in lower case, with dashes: jeyn.Secret("database", "url")')
        self.key = _checked("key", key, _KEY, "use letters, digits, dashes, dots and underscores")

    @property
    def variable(self) -> str:
        """The environment variable that holds it, in a pod as on a laptop."""
        return variable_of(self.name, self.key)

    @property
    def value(self) -> str:
        """The secret itself. Raises `NotFound` that says where it was looked for."""
        found = variable(self.variable)
        if not found:
            raise NotFound(
                f'there is no secret "{self.key}" of "{self.name}"',
                hint=f"set {self.variable} here; for Argo: kubectl create secret generic {self.name} "
                f"--from-literal={self.key}=…",
            )
        return found

    def __eq__(self, other: object) -> bool:
        return (self.name, self.key) == (other.name, other.key) if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, self.key))

    def __repr__(self) -> str:
        return f'Secret("{self.name}", "{self.key}")'


def variable_of(name: str, key: str) -> str:
    """The environment variable of a secret; two secrets may share one, which the checks of a plan refuse."""
    return PREFIX + re.sub(r"[^A-Z0-9]", "_", f"{name}_{key}".upper())


def _checked(what: str, text: str, pattern: re.Pattern[str], hint: str) -> str:
    if not isinstance(text, str) or len(text) > _MOST or not pattern.fullmatch(text):
        raise UsageError(f'"{text}" is not the {what} of a secret', hint=hint)
    return text
