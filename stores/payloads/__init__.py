"""Payload stores: bytes kept under their sha256 in a folder, in memory or in an object store; below `jeyn.stores`."""

from jeyn.stores.payloads.file import FilePayloads
from jeyn.stores.payloads.memory import MemoryPayloads
from jeyn.stores.payloads.open import is_far, open_payloads, try_payloads
from jeyn.stores.payloads.protocol import PayloadStore, StoredPayload
from jeyn.stores.payloads.source import FileStat, HashedFile, hash_file

__all__ = [
    "FilePayloads",
    "FileStat",
    "HashedFile",
    "MemoryPayloads",
    "PayloadStore",
    "StoredPayload",
    "hash_file",
    "is_far",
    "open_payloads",
    "try_payloads",
]
