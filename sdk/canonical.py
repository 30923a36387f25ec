"""The one byte form of a JSON value and its digest, on which every artefact id rests (RFC 8785, SEMANTICS 3).

The bytes are RFC 8785 (https://www.rfc-editor.org/rfc/rfc8785) after three rewritings that keep it one-to-one:
an integer beyond ±(2^53-1) is `{"$int": "<decimal>"}`, NaN and ±inf are `{"$float": "nan|inf|-inf"}`, and a user's
key that starts with "$" gets one more "$". JSON has one kind of number: 1.0 and 1, and -0.0 and 0, are the same value.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from typing import Any, NoReturn

from jeyn.errors import Invalid, NotSerializable

PREFIX = b"jeyn/artefact/1\n"

_SAFE_INT = 2**53 - 1
_INT_BITS = 14_000  # under CPython's limit of 4300 digits for int <-> str
_DEPTH = 100
_FLOAT_TAGS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# Byte-equal to RFC 8785 for what `_is_plain` lets through, and several times faster.
_plain_encoder = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def canonical(value: Any) -> bytes:
    """The canonical UTF-8 bytes of None, bool, int, float, str, list, tuple (as list) or dict, nested up to 100 deep.

    Raises NotSerializable with the path and the type of anything else.
    """
    if _is_plain(value, 0):
        try:
            return _plain_encoder.encode(value).encode()
        except UnicodeEncodeError:
            pass  # a lone surrogate: _tagged below says where
    import rfc8785

    return rfc8785.dumps(_tagged(value, ()))


def parse(data: bytes | str) -> Any:
    """The value whose canonical form is `data`; integral floats come back as the equal int.

    Raises Invalid for what is not JSON, repeats a key, or carries a tag that `canonical` never writes.
    """
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
        may_have_tags = '"$' in text or "\\u" in text
        return (_tag_decoder if may_have_tags else _decoder).decode(text)
    except Invalid:
        raise
    except (ValueError, RecursionError) as exc:
        raise Invalid(f"cannot read {_shown(data)} as JSON: {exc}", hint="write it with canonical()") from exc


def parse_facts(text: str) -> Any:
    """What `json` wrote, its integers to the last digit, with NaN and the infinities as `canonical` tags them."""
    return _facts_decoder.decode(text)


def digest(value: Any) -> str:
    """The artefact id of `value`: "sha256:" + 64 hex digits over PREFIX + canonical(value)."""
    return sha256_of(PREFIX + canonical(value))


def sha256_of(data: bytes) -> str:
    """The digest of bytes as Python writes it: "sha256:" + 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _is_plain(value: Any, depth: int) -> bool:
    """Whether json's output is RFC 8785's: nothing to tag, ASCII keys, only floats that repr writes as ECMAScript."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-_SAFE_INT <= value <= _SAFE_INT)
    if kind is float:
        return 1e-4 <= abs(value) < 1e16 and not value.is_integer()
    if depth >= _DEPTH:
        return False
    if kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii() or key[:1] == "$":
                return False
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        return False
    for item in items:  # noqa: SIM110 (a generator costs twice the time here)
        if type(item) is not str and not _is_plain(item, depth + 1):
            return False
    return True


def _tagged(value: Any, path: tuple[str | int, ...]) -> Any:
    """A copy of `value` in RFC 8785's domain; subclasses such as StrEnum and numpy.float64 become their base."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _tagged_int(int(value), path)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, str):
        return _checked_text(value, path)
    if len(path) >= _DEPTH and isinstance(value, list | tuple | dict):
        _refuse(
            path, f"it is nested more than {_DEPTH} deep", "flatten it, and look for an object that contains itself"
        )
    if isinstance(value, list | tuple):
        return [_tagged(item, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {_tagged_key(key, path): _tagged(item, (*path, key)) for key, item in value.items()}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    _refuse(path, f"JSON has no '{kind}'", "use None, bool, int, float, str, list, tuple or a dict with str keys")


def _tagged_int(value: int, path: tuple[str | int, ...]) -> Any:
    if -_SAFE_INT <= value <= _SAFE_INT:
        return value
    if value.bit_length() > _INT_BITS:
        _refuse(
            path, f"an integer of {value.bit_length()} bits is more than {_INT_BITS}", "store it as a string or bytes"
        )
    return {"$int": str(value)}


def _tagged_key(key: Any, path: tuple[str | int, ...]) -> str:
    if not isinstance(key, str):
        _refuse(path, f"its key {key!r} is a '{type(key).__qualname__}'", "make the keys of the dict strings")
    text = _checked_text(key, path)
    return "$" + text if text.startswith("$") else text


def _checked_text(value: str, path: tuple[str | int, ...]) -> str:
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse(path, f"the text {text[:80]!r} has a lone surrogate", "decode it from bytes with errors='replace'")
    return text


def _refuse(path: tuple[str | int, ...], why: str, hint: str) -> NoReturn:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[:12])
    where = "$" + where + ("…" if len(path) > 12 else "")
    raise NotSerializable(f"cannot write {where!r} as canonical JSON: {why}", hint=hint)


def _number(text: str) -> int | float:
    """A bare integer beyond 2^53-1 can only have been a float: such an int is tagged."""
    if len(text) < 18 and -_SAFE_INT <= (value := int(text)) <= _SAFE_INT:
        return value
    return _real(text)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Invalid(f"the number {_shown(text)} is not a finite 64-bit float")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise Invalid(f"an object repeats a key: {_shown(str([key for key, _ in pairs]))}")
    return value


def _untagged(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) == 1 and pairs[0][0] in ("$int", "$float"):
        return _tag_value(*pairs[0])
    for key, _ in pairs:
        if key.startswith("$") and not key.startswith("$$"):
            raise Invalid(
                f"the key {_shown(key)} is not one that canonical() writes", hint='double the "$" of your own keys'
            )
    return _pairs([(key[1:] if key.startswith("$") else key, item) for key, item in pairs])


def _untagged_fact(pairs: list[tuple[str, Any]]) -> Any:
    is_tag = len(pairs) == 1 and pairs[0][0] in ("$int", "$float")
    return _tag_value(*pairs[0]) if is_tag else {key[key.startswith("$$") :]: value for key, value in pairs}


def _tag_value(tag: str, text: Any) -> int | float:
    if isinstance(text, str):
        if tag == "$float" and text in _FLOAT_TAGS:
            return _FLOAT_TAGS[text]
        if tag == "$int" and (value := _big_int(text)) is not None:
            return value
    raise Invalid(f"the tag {tag!r} holds {_shown(str(text))}, which canonical() never writes there")


def _big_int(text: str) -> int | None:
    if not re.fullmatch(r"-?[1-9][0-9]{15,4299}", text):
        return None
    value = int(text)
    return value if abs(value) > _SAFE_INT and value.bit_length() <= _INT_BITS else None


def _constant(text: str) -> NoReturn:
    raise Invalid(f"{text!r} is not JSON", hint='NaN and infinity are written {"$float": "nan"}')


def _shown(data: bytes | str) -> str:
    text = data if isinstance(data, str) else bytes(data[:80]).decode("utf-8", "replace")
    return repr(text[:79] + "…" if len(text) > 80 else text)


_new_decoder = functools.partial(json.JSONDecoder, parse_int=_number, parse_float=_real, parse_constant=_constant)
_decoder = _new_decoder(object_pairs_hook=_pairs)
_tag_decoder = _new_decoder(object_pairs_hook=_untagged)
_facts_decoder = json.JSONDecoder(parse_constant=_constant, object_pairs_hook=_untagged_fact)
