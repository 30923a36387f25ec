"""What of `jeyn.yaml` may travel: the file goes with the code, for all to read, and passwords do not.

Addresses with a password are left out of the copy; where they are needed, the environment gives them (JEYN_CATALOG,
JEYN_PAYLOADS, JEYN_DATABASE_NAME). A password anywhere else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jeyn.address import has_secret
from jeyn.errors import Invalid

_ADDRESSES = ("home", "catalog", "payloads", "data")
# https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1, wherever it stands: in a comment, an option, a link
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:'\"]*:[^\s@'\"]+@")
# How what holds a secret ends: DB_PASSWORD, clientSecret, AWS_SECRET_ACCESS_KEY; not TOKENIZERS_PARALLELISM.
_WORD = r"(?i:passw(?:or)?d|passphrase|secret|token|credentials?|(?:api|access|private|secret)[_-]?key)"
_TELLING = re.compile(rf"(?:^|[_.\-]){_WORD}$|[a-z](?:Password|Passphrase|Secret|Token|Credentials?|ApiKey|AccessKey)$")


def without_secrets(data: bytes, name: str) -> bytes:
    """The project file as it may be kept: as it is, or written anew where it has addresses with passwords.

    Raises `Invalid` for a password that is not in an address of its own.
    """
    text = data.decode(errors="replace")
    if "://" not in text and not re.search(_WORD, text):
        return data
    from jeyn.yaml_text import load

    _, found = load(text)
    if not isinstance(found, dict):
        return data
    kept = {key: _kept(key, value) for key, value in found.items()}
    _refuse_others(kept, name)
    if kept == found and not _PASSWORD.search(text):
        return data
    import yaml

    said = {key: value for key, value in kept.items() if value not in (None, {})}
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True).encode() if said else b""


def _kept(key: str, value: Any) -> Any:
    if key in _ADDRESSES and isinstance(value, str):
        return None if has_secret(value) else value
    if key == "databases" and isinstance(value, dict):
        return {name: each for name, each in value.items() if not (isinstance(each, str) and has_secret(each))}
    return value


def _refuse_others(kept: Mapping[str, Any], name: str) -> None:
    for path, value in _texts(kept, ""):
        is_named = bool(_TELLING.search(path)) and path != "argo.secret"  # which is a name
        if _PASSWORD.search(value) or (is_named and value):
            raise Invalid(
                f'"{path}" in "{name}" holds a password, and the file is kept with the code for all to read',
                hint="give it to operations as a jeyn.Secret, or set it where they run; in env: of a pod by valueFrom",
            )


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text with the keys to it; of Kubernetes' {name: PASSWORD, value: …} the name is the key."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        named = value.get("name") if isinstance(value.get("value"), str) else None
        for key, each in value.items():
            yield from _texts(each, f"{path}.{named if named and key == 'value' else key}".lstrip("."))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, path)
