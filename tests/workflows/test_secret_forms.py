"""In whatever form a program writes a secret down, stars stand for it, and a result that has it is refused."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from jeyn.errors import Invalid
from jeyn.sdk.secret import Secret
from jeyn.workflows.leaks import refuse_in, refuse_in_rows, refuse_secrets
from jeyn.workflows.mask import masked
from jeyn.workflows.spool import MOST_BYTES, Spool

SECRETS = [
    "a-hushed-token",
    "qu\"ot'ed\\and/slashed+&<ü",
    "  spaced at both ends \n",
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAAggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEf4/M2\n-----END KEY-----\n",
]
FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "stripped": str.strip,
    "repr": repr,
    "ascii": ascii,
    "in a list": lambda text: repr([text]),
    "JSON": json.dumps,
    "readable JSON": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"key": text})),
    "bytes": lambda text: repr(text.encode()),
    "an address": lambda text: quote(text),
    "an address without slashes": lambda text: quote(text, safe=""),
    "a form": quote_plus,
    "lower-case percents": lambda text: re.sub("%..", lambda each: each[0].lower(), quote(text, safe="")),
    "HTML": html.escape,
    "hexadecimal": lambda text: text.encode().hex(),
    "capital hexadecimal": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of it stripped": lambda text: base64.b64encode(text.strip().encode()).decode(),
    "base64 behind one byte": lambda text: base64.b64encode(b":" + text.encode()).decode(),
    "base64 behind two bytes": lambda text: base64.b64encode(b"u:" + text.encode() + b"@h").decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(b"user:" + text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
}


def traces(secret: str, text: str) -> list[str]:
    """Words of the secret that a text has, once what encodes it is undone as far as it can be."""
    words = [line.strip() for line in secret.splitlines() if len(line.strip()) >= 4]
    views = [text, html.unescape(text)]
    for word in text.replace('"', " ").replace("'", " ").split():
        for pad in ("", "=", "=="):
            try:
                views.append(base64.b64decode(word + pad, altchars=b"-_").decode(errors="replace"))
                views.append(bytes.fromhex(word).decode(errors="replace"))
            except ValueError:
                continue
    return [word for word in words for view in views if word in view]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS)
def test_each_form_is_stars(monkeypatch: pytest.MonkeyPatch, secret: str, form: str) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", secret)
    written = FORMS[form](secret)
    shown = masked(f"before {written} after\n")
    assert shown.startswith("before ") and shown.endswith(" after\n")
    assert "****" in shown and traces(secret, shown) == []
    assert len(shown.encode()) == len(f"before {written} after\n".encode())
    # What is left are quotes, line ends and the padding: nothing to tell it by.
    left = shown.removeprefix("before ").removesuffix(" after\n").replace("*", "")
    assert len(left) <= 24, left


@pytest.mark.parametrize("form", [form for form in FORMS if form != "base64 in lines"])
@pytest.mark.parametrize("secret", SECRETS[:3])
def test_a_result_with_any_form_is_refused(monkeypatch: pytest.MonkeyPatch, secret: str, form: str) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", secret)
    written = FORMS[form](secret)
    arguments = {"token": Secret("api", "token")}
    for returned in (
        written,
        f"url://{written}@host",
        {"a": [written]},
        {written: 1},
        (1, {written}),
        written.encode(),
    ):
        with pytest.raises(Invalid, match=r'returned what Secret\("api", "token"\) holds'):
            refuse_secrets(returned, arguments)
    with pytest.raises(Invalid, match="JEYN_SECRET_API_TOKEN"):
        refuse_in(f"a document {written}".encode(), "a document")


@pytest.mark.parametrize("secret", ["data", "admin", "x1"])
def test_a_short_secret_has_to_stand_by_itself(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", secret)
    arguments = {"token": Secret("api", "token")}
    refuse_secrets({f"{secret}base": f"my{secret}", "n": [1, 2.5, None]}, arguments)
    refuse_in(f"{secret}base".encode(), "a document")
    with pytest.raises(Invalid):
        refuse_secrets([secret], arguments)
    if len(secret) >= 4:
        with pytest.raises(Invalid):
            refuse_secrets(f"url://user:{secret}@host", arguments)


def test_what_holds_no_secret_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "a-hushed-token")
    refuse_secrets({"a hushed": ["token", b"\xff", 1]}, {"token": Secret("api", "token"), "other": "a-hushed"})
    refuse_in(os.urandom(1 << 16), "noise")
    refuse_in_rows(["a-hushed"], [])


def test_all_that_is_kept_is_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow")
    import io
    import zipfile

    import pyarrow.parquet as pq

    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "a-hushed-token")
    file, table, packed = tmp_path / "report.html", io.BytesIO(), io.BytesIO()
    file.write_bytes(b"<b>" + bytes(20 << 20) + b"a-hushed-token")  # beyond what is searched for all forms
    pq.write_table(pa.table({"url": ["x://a-hushed-token@h"] * 100}), table, compression="zstd")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", "a-hushed-token" * 100)
    for data in (file, table.getvalue(), packed.getvalue()):
        with pytest.raises(Invalid, match='"x" holds the text'):
            refuse_in(data, '"x"')
    empty = tmp_path / "empty"
    empty.touch()
    refuse_in(empty, '"x"')


# The spool: what is on the disk, and what a reader of it gets.


def spool_in(folder: Path) -> Spool:
    return Spool(folder / "spool" / "run-1.masked")


def written(spool: Spool, *parts: bytes) -> None:
    for part in parts:
        os.write(spool._file, part)


def test_a_secret_that_is_split_over_two_writes_is_stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "a-hushed-token")
    spool = spool_in(tmp_path)
    written(spool, b"with a-hus")
    spool.write_down()
    assert spool.take() == ""
    written(spool, b"hed-token\nand a-hushed-")
    spool.write_down()
    assert spool.take() == f"with {'*' * 14}\n"
    spool.write_down(last=True)
    assert spool.path.read_bytes() == b"with **************\nand *********"
    assert spool.take(last=True) == "and *********"  # it ended within it


def test_a_secret_of_odd_bytes_is_stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", os.fsdecode(b"hus\xffhed"))
    spool = spool_in(tmp_path)
    written(spool, b"with hus\xffhed and \xfe\n")
    assert spool.take(last=True) == "with ******* and ?\n"


def test_output_without_end_is_bounded_in_memory_and_says_so(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    block = b"x" * 1023 + b"\n"
    for _ in range(65):
        written(spool, block * 1024)
    spool.write_down()
    assert os.fstat(spool._file).st_size == MOST_BYTES == spool.path.stat().st_size
    written(spool, block)
    text = spool.take(last=True)
    assert len(text) < MOST_BYTES + 200 and text.endswith("kept up to 64 MiB]\n")
    spool.rewind()
    written(spool, b"again\n")
    assert spool.take(last=True) == "again\n"


def test_masking_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without secrets nothing; with ten of them a line takes less than it takes to write it."""
    for number in range(10):
        monkeypatch.setenv(f"JEYN_SECRET_API_{number}", f"a-hushed-token-{number}")
    masked("the forms are made once")
    start = time.perf_counter()
    for _ in range(100):
        masked("a line of output, as most are\n")
    assert time.perf_counter() - start < 0.5
