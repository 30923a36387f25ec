"""Signatures of bundles: Ed25519 over the manifest, whose digests cover every line and every byte (extra `jeyn[sign]`).

Keys are what `ssh-keygen -t ed25519` and `openssl genpkey -algorithm ed25519` make; a public key is also its text,
`ed25519:` and the base64 of its 32 bytes. https://www.rfc-editor.org/rfc/rfc8032
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import Corrupt, NotAllowed, UsageError
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.source import opened

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = b"jeyn/bundle-signature/1\n"
_TEXT = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")
_KEY_BYTES = 1 << 16
_MAKE = "make one with: ssh-keygen -t ed25519 -f KEY"


class Signer:
    """A private key that signs manifests. Raises `NotFound`, or `UsageError` for what is no such key."""

    def __init__(self, path: Path) -> None:
        self._key = _private(path)
        self.key = _text(self._key.public_key())

    def __call__(self, manifest: bytes) -> dict[str, str]:
        """What stands in `signature.json`."""
        return {"key": self.key, "signature": base64.b64encode(self._key.sign(PREFIX + manifest)).decode()}


def public_key(which: str | Path) -> str:
    """The text of a public key, from that text, or from the file of a public or private key."""
    if isinstance(which, str) and _TEXT.fullmatch(which):
        return which
    if isinstance(which, str) and which.startswith("ed25519:"):
        raise UsageError(f'"{which[:80]}" is no key', hint="ed25519: and the base64 of 32 bytes, or the path of a file")
    path = Path(which)
    data = _read(path)
    if b"PRIVATE KEY-----" in data:
        return _text(_private(path).public_key())
    serialization = _library()
    load = serialization.load_ssh_public_key if data.startswith(b"ssh-") else serialization.load_pem_public_key
    return _text(_ed25519(_loaded(path, lambda: load(data)), path))


def check(manifest: bytes, key: str, signature: str, shown: Path) -> None:
    """Raise `Corrupt` unless `key` has signed this manifest."""
    _library()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("ed25519:"), validate=True))
        public.verify(base64.b64decode(signature, validate=True), PREFIX + manifest)
    except (InvalidSignature, ValueError, binascii.Error) as exc:
        raise Corrupt(
            f'"{shown}" cannot be imported: its signature by "{key[:60]}" is not one of its content',
            hint="it was changed after it was signed: ask for it again; nothing was written",
        ) from exc


def require(wanted: str, found: str | None, shown: Path) -> None:
    """Raise `NotAllowed` unless the bundle is signed by the key that is wanted."""
    if found != wanted:
        by = f'it is signed by "{found[:60]}"' if found else "it is not signed"
        raise NotAllowed(
            f'"{shown}" may not be imported: {by}, and a signature by "{wanted}" is required',
            hint="ask for one that is signed: jeyn export REF FILE --sign KEY; nothing was written",
        )


def is_key(text: object) -> bool:
    return isinstance(text, str) and _TEXT.fullmatch(text) is not None


def _private(path: Path) -> Ed25519PrivateKey:
    data = _read(path)
    serialization = _library()
    is_ssh = b"OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if is_ssh else serialization.load_pem_private_key
    found = _loaded(path, lambda: load(data, password=None))
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError(f'"{path}" is no Ed25519 key', hint=_MAKE)
    return found


def _loaded(path: Path, load: Any) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load()
    except TypeError as exc:  # it asks for a password
        raise UsageError(f'the key "{path}" is encrypted', hint="take its password away, or use one without") from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise UsageError(f'"{path}" holds no key that can be read', hint=_MAKE) from exc


def _ed25519(found: Any, path: Path) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(found, Ed25519PublicKey):
        raise UsageError(f'"{path}" is no Ed25519 key', hint=_MAKE)
    return found


def _text(key: Ed25519PublicKey) -> str:
    return "ed25519:" + base64.b64encode(key.public_bytes_raw()).decode()


def _read(path: Path) -> bytes:
    with opened(path) as file, os_errors(f"read the key '{path}'"):
        return file.read(_KEY_BYTES) or b""


def _library() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ModuleNotFoundError as exc:
        raise UsageError(
            "signatures need cryptography, which is not installed", hint='pip install "jeyn[sign]"'
        ) from exc
    return serialization
