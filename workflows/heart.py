"""What goes on beside an attempt: its output reaches the catalog, and its leases stay fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from jeyn.errors import JeynError
from jeyn.workflows.spool import FLUSH_SECONDS, SPOOL_SECONDS

if TYPE_CHECKING:
    from jeyn.stores.attempt import Attempt
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.spool import Spool

RENEW_SECONDS = 600.0  # a lease lasts an hour


class Heart:
    """One thread for all attempts of a process: output goes into the catalog every two seconds, leases stay fresh."""

    def __init__(self, workspace: Workspace, spool: Spool | None) -> None:
        self.workspace, self.spool = workspace, spool
        self.attempt: Attempt | None = None
        self.key = 0
        self.renewed = 0.0
        self.lock = threading.Lock()
        threading.Thread(target=self._beat, daemon=True).start()

    @contextmanager
    def beats_for(self, attempt: Attempt, key: int) -> Iterator[None]:
        self.key, self.renewed, self.attempt = key, time.monotonic(), attempt
        try:
            yield
        finally:
            self.rest()

    def rest(self) -> None:
        """What is being copied is copied first: nothing comes after the end of an attempt, or into the next one."""
        with self.lock:
            self.attempt = None

    def _beat(self) -> None:
        due = time.monotonic() + FLUSH_SECONDS
        while True:
            time.sleep(SPOOL_SECONDS)
            if self.spool is not None:
                with suppress(OSError):  # a full disk is the commit's to report
                    self.spool.write_down()
            if time.monotonic() < due:
                continue
            with self.lock, suppress(JeynError):  # the commit at the end meets the same trouble, and says so
                if self.attempt is not None:
                    self._once(self.attempt, self.key)
            due = time.monotonic() + FLUSH_SECONDS

    def _once(self, attempt: Attempt, key: int) -> None:
        text = self.spool.take() if self.spool else ""
        if text and self.spool:
            try:
                self.workspace.runs.record_attempts([attempt.begun] if attempt.begun else [])
                self.workspace.runs.append_log(key, text)
            except JeynError:
                self.spool.give_back(text)
                raise
        if time.monotonic() - self.renewed > RENEW_SECONDS:
            attempt.leases.renew()
            self.renewed = time.monotonic()
