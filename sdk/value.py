"""A plain value that an operation returned, kept in a safe format (SEMANTICS 5), and the code that a run used."""

from __future__ import annotations

from typing import Any, ClassVar

from jeyn.sdk.artefact import Artefact, PayloadRef, Record


class Value(Artefact):
    """A value artefact. Its id covers the bytes, the operation's cache key, the output's name and a file's own name."""

    type: ClassVar[str] = "value"

    def __init__(self, *, output: str, cache_key: str, format: str, payload: PayloadRef, file: str = "") -> None:
        self.output = output
        self.cache_key = cache_key
        self.format = format
        self.payload = payload
        self.file = file  # what a file that was returned is called: plot.png

    @property
    def name(self) -> str:
        return self.output

    def record(self) -> Record:
        return Record(
            "value/1",
            self.output,
            {"format": self.format, "cache_key": self.cache_key, "output": self.output}
            | ({"file": self.file} if self.file else {}),
            payloads=(self.payload,),
        )

    def load(self) -> Any:
        """The value itself, checked by digest."""
        return self._need_saved("value").workspace.load(self)
