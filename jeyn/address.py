"""The one way in which addresses of databases and stores are shown: where, and never with what secret."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HIDDEN = "…"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WORD = re.compile(r"(?:(?:file|memory|s3|gs|az|sqlite|postgresql):)?[\w./ -]*")  # without "://", a path or a slip
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]+)?")
_DATABASE = re.compile(r"[\w./ -]*")
# Of an address's options those that say how it is reached, and no secret.
_TELLING = re.compile("pass|pwd|secret|token|key|sig|cred|auth", re.IGNORECASE)  # in the name of an option
_PLAIN = frozenset(["host", "port", "dbname", "sslmode", "connect_timeout", "application_name", "target_session_attrs"])


def shown(address: str) -> str:
    """An address without user, password and options, any of which may be secret.

    What cannot be told apart for certain is not shown: of a password with a "/" or "@" in it a part would be taken
    for the host or the path.
    """
    scheme = _SCHEME.match(address)
    if scheme is None:
        return address if _WORD.fullmatch(address) else HIDDEN
    rest = address[scheme.end() :]
    if rest.startswith("/"):  # a file: there is no place for a password before its path, only behind it
        return scheme.group() + re.split("[?#]", rest, maxsplit=1)[0]
    place, _, options = rest.partition("?")
    server, slash, path = place.partition("/")
    user, _, server = server.rpartition("@")
    is_certain = "@" not in user and not any(sign in text for text in (path, options) for sign in "@#\\")
    if is_certain and _SERVER.fullmatch(server) and _DATABASE.fullmatch(path):
        return f"{scheme.group()}{server}{slash}{path}"
    return scheme.group() + HIDDEN


def has_secret(address: str) -> bool:
    """Whether an address has a password, or may have one."""
    scheme = _SCHEME.match(address)
    if scheme is None or scheme[1].partition("+")[0] in ("sqlite", "file", "memory"):
        return False
    rest, _, options = address[scheme.end() :].partition("?")
    named = any(_TELLING.search(name) for name, _ in parse_qsl(options))
    return named or ":" in rest.rpartition("@")[0] or shown(address).endswith(HIDDEN)


def without_secrets(text: str, address: str) -> str:
    """What a driver said about an address, with stars in place of the parts of it that may be secret.

    Nothing of it where it cannot be told what is secret.
    """
    if shown(address).endswith(HIDDEN):
        return "what was said may repeat a password"
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets(address: str) -> set[str]:
    _, _, rest = address.partition("://")
    before, at, _ = rest.rpartition("@")
    password = before.partition(":")[2] if at else ""
    try:
        query = urlsplit(address).query
    except ValueError:
        query = address.partition("?")[2]
    options = [value for name, value in parse_qsl(query) if name not in _PLAIN]
    found = {form for each in (password, *options) for form in (each, unquote(each), quote(each, safe=""))}
    return {each for each in found if each}
