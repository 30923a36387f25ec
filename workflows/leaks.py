"""What an operation returns or saves is looked through for the text of secrets: it is kept for all to read.

Texts, keys and bytes are, at any depth, whatever form a secret has in them (`secret_forms`). A secret of less than
`ANYWHERE` characters has to stand by itself, as in "url://user:key@host", or half of all words would hold one.
"""

from __future__ import annotations

import io
import mmap
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jeyn.errors import Invalid
from jeyn.sdk.secret import PREFIX, Secret
from jeyn.settings import variable, variables_with
from jeyn.workflows.secret_forms import SHORTEST, forms_of

ANYWHERE = 8  # characters
ALL_FORMS = 16 << 20  # bytes; of what is larger only the text itself is looked for
_HINT = "return what was done with it; other operations take jeyn.{} themselves"


def refuse_secrets(returned: Any, arguments: Mapping[str, Any]) -> None:
    """Raise `Invalid` where a function returns the text of a secret that it was given, alone or in something else."""
    given = {repr(each): variable(each.variable) for each in _secrets_in(list(arguments.values()))}
    given = {name: text for name, text in given.items() if text}
    for text in _texts_in(returned, 0) if given else ():
        for name, secret in given.items():
            if _holds(text, secret):
                raise Invalid(
                    f"the operation returned what {name} holds, and what is returned is kept for all to read",
                    hint=_HINT.format(name),
                )


def refuse_in(data: bytes | Path | str, what: str) -> None:
    """Raise `Invalid` where bytes, a file or a text has a secret that this process knows, `ANYWHERE` in it."""
    secrets = variables_with(PREFIX)
    if not secrets:
        return
    for found in _contents(data):
        for name, secret in secrets.items():
            if any(found.find(form) >= 0 for form in _needles(secret, len(found) <= ALL_FORMS)):
                raise Invalid(
                    f"{what} holds the text of the secret in {name}, and it is kept for all to read",
                    hint="keep what was done with the secret, or its jeyn.Secret, which is a name",
                )


def refuse_in_rows(*rows: Sequence[object]) -> None:
    """The same for what goes into the catalog itself: names, facts, metrics, reasons, what was asked for."""
    if any(rows) and variables_with(PREFIX):
        refuse_in(repr(rows), "what the operation saves")


@lru_cache(maxsize=64)
def _needles(secret: str, all_forms: bool) -> tuple[bytes, ...]:
    plain = {text for text in (secret, secret.strip()) if len(text) >= ANYWHERE}
    found = [form for form in (forms_of(secret) if all_forms else plain) if len(form) >= ANYWHERE]
    wide = [text.encode(code, "surrogatepass") for text in plain for code in ("utf-16-le", "utf-32-le")]
    return (*(form.encode(errors="surrogateescape") for form in found), *(wide if all_forms else ()))


def _holds(text: str, secret: str) -> bool:
    if text == secret or (secret.strip() and text.strip() == secret.strip()):
        return True
    return any(
        form in text if len(form) >= ANYWHERE else re.search(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])", text)
        for form in forms_of(secret)
        if len(form) >= SHORTEST and form[0] in text
    )


def _secrets_in(values: Sequence[Any]) -> Iterator[Secret]:
    for each in values:
        if isinstance(each, Secret):
            yield each
        elif type(each) is list and each and isinstance(each[0], Secret | list):
            yield from _secrets_in(each)


def _texts_in(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield value.decode("utf-8", "surrogateescape")
    elif depth > 100:  # what saves it says so
        return
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts_in(key, depth + 1)
            yield from _texts_in(each, depth + 1)
    elif isinstance(value, list | tuple | Set):
        for each in value:
            yield from _texts_in(each, depth + 1)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts_in(getattr(value, field.name, None), depth + 1)


def _contents(data: bytes | Path | str) -> Iterator[bytes | mmap.mmap]:
    """The bytes, and those that are packed in them."""
    if isinstance(data, str):
        yield data.encode(errors="surrogateescape")
        return
    if isinstance(data, Path):
        from jeyn.stores.payloads.source import opened

        with opened(data) as file:
            if file.seek(0, io.SEEK_END):
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    yield from _unpacked(mapped)
        return
    yield from _unpacked(data)


def _unpacked(data: bytes | mmap.mmap) -> Iterator[bytes | mmap.mmap]:
    yield data
    if data[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for member in archive.infolist():
                    if member.compress_type != zipfile.ZIP_STORED and member.file_size <= ALL_FORMS:
                        yield archive.read(member)
        except (zipfile.BadZipFile, NotImplementedError):
            return
    elif data[:4] == b"PAR1" and data[-4:] == b"PAR1":
        yield from _rows(data)


def _rows(data: bytes | mmap.mmap) -> Iterator[bytes]:
    """What a Parquet file has, without its compression."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(pa.BufferReader(pa.py_buffer(data))).iter_batches():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield sink.getvalue().to_pybytes()
