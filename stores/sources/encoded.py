"""Text in any encoding, given as UTF-8 without a byte-order mark."""

from __future__ import annotations

import codecs
from typing import BinaryIO, Protocol

from jeyn.errors import DataInvalid

_MARK = "\ufeff"
_HINT = 'write the file as UTF-8, or say what it is: options=SourceOptions(encoding="cp1252")'
_UTF_16 = 'write the file as UTF-8, or say options=SourceOptions(encoding="utf-16")'


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def in_utf8(stream: BinaryIO, encoding: str) -> Readable:
    """The same text in UTF-8; its `read` raises `DataInvalid` for bytes that the encoding does not have."""
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return _Unmarked(stream)
    return _Decoded(stream, encoding)


def not_utf8(what: str) -> DataInvalid:
    return DataInvalid(f"{what} is not UTF-8", hint=_HINT)


class _Unmarked:
    """Any block is still to be checked: Arrow does so for the columns that it reads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._began = False

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        if not self._began:
            self._began = True
            if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise DataInvalid("it is not UTF-8 but begins as UTF-16", hint=_UTF_16)
            if data.startswith(codecs.BOM_UTF8):
                return data[3:] or self._stream.read(size)
        return data


class _Decoded:
    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._began = False

    def read(self, size: int, /) -> bytes:
        while True:
            data = self._stream.read(size)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeError as exc:
                raise DataInvalid(f'it is not "{self._encoding}": {exc}', hint="correct encoding=") from exc
            if text and not self._began:
                self._began = True
                text = text.removeprefix(_MARK)
            if text or not data:
                return text.encode()
