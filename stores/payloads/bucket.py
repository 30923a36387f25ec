"""`Bucket`: an object store through obstore and its errors as Jeyn's own, for payloads and for source files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from jeyn.errors import JeynError, NotAllowed, NotFound, Unreachable, UsageError

# allow_http: plain HTTP is used only for an endpoint that is given as http://, as local servers are.
_CLIENT = {"allow_http": True, "connect_timeout": "10s", "read_timeout": "60s", "timeout": "15m"}
_RETRY = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}
_SET_UP = "check the network, the endpoint (AWS_ENDPOINT_URL) and the credentials (AWS_ACCESS_KEY_ID and the like)"
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")


@dataclass(frozen=True)
class Bucket:
    """A bucket by its url; `setting` is what names it and `rights` what it is asked for, both for hints."""

    url: str
    setting: str
    rights: str

    def connected(self, options: dict[str, Any]) -> ObjectStore:
        """The store with obstore's `options`; nothing is sent yet. Raises `UsageError`."""
        try:
            client = _CLIENT | options.get("client_options", {})
            retry = _RETRY | options.get("retry_config", {})
            return from_url(self.url, **options | {"client_options": client, "retry_config": retry})
        except (BaseError, OSError, ValueError, TypeError) as exc:
            raise UsageError(f"cannot open '{self.url}': {_first_line(exc)}", hint=_SET_UP) from exc
        except BaseException as exc:
            # Some options that obstore does not know end in a Rust panic, which is no Exception.
            if type(exc).__name__ != "PanicException":
                raise
            raise UsageError(f"cannot open '{self.url}' with {sorted(options)}: {exc}", hint=_SET_UP) from exc

    @contextmanager
    def errors(self, doing: str, absent: JeynError | None = None) -> Iterator[None]:
        """Translate what obstore raises in the block; `doing` completes "cannot …", `absent` is for no such object."""
        try:
            yield
        except JeynError:
            raise
        except (BaseError, OSError, ValueError) as exc:
            raise self._translated(exc, doing, absent) from exc

    def _translated(self, exc: Exception, doing: str, absent: JeynError | None) -> JeynError:
        message = f"cannot {doing} in '{self.url}': {_first_line(exc)}"
        if any(sign in str(exc) for sign in _NO_BUCKET):
            return NotFound(message, hint=f"make the bucket, or correct {self.setting}")
        if isinstance(exc, FileNotFoundError):
            return absent or NotFound(message, hint=f"check that the bucket is there; {self.setting} names it")
        if isinstance(exc, (PermissionDeniedError, UnauthenticatedError)):
            return NotAllowed(message, hint=f"check the credentials, and that they may {self.rights} there")
        return Unreachable(message, hint=_SET_UP)


def _first_line(exc: BaseException) -> str:
    return str(exc).partition("\n")[0].partition("<?xml")[0].rstrip(" :-")
