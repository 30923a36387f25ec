"""Names that Argo and Kubernetes take, made of the names that people gave: readable, bounded, never twice the same."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

from jeyn.sdk.plan import PlannedOperation

MAX_TEMPLATE = 30  # characters; a pod's name is made of it
MAX_TASK = 63
MAX_WORKFLOW = 40  # of a WorkflowTemplate; what is submitted from it gets something behind it
ITEMS = "-items"  # behind the name of a mapped operation's task: the one that says which items there are
HASH = 8


def slug(text: str, limit: int) -> str:
    """Lower-case letters, digits and single dashes, beginning with a letter (DNS-1123), at most `limit` characters."""
    return _slug(text, limit).lower()


def hashed(text: str, identity: Any, limit: int) -> str:
    """A slug that tells apart what only `identity` (JSON) does, the same in every process."""
    return f"{slug(text, limit - HASH - 1)}-{_digest(identity)}"


def task_names(operations: Iterable[PlannedOperation]) -> dict[str, str]:
    """The name of each operation's task in the DAG; hashed where two would be the same or something was lost."""
    claimed = {each.name: _claimed(_slug(each.name, MAX_TASK), each.mapped) for each in operations}
    taken = Counter(name for names in claimed.values() for name in names)

    def is_free(name: str) -> bool:
        return _is_whole(name) and all(taken[each] == 1 for each in claimed[name])

    return {name: names[0] if is_free(name) else _hashed_task(name) for name, names in claimed.items()}


def workflow_name(project: str, pipeline: str) -> str:
    """What the WorkflowTemplate of a pipeline is called; projects that share a namespace keep apart by their names."""
    text = f"{project}-{pipeline}" if project and slug(project, 200) != slug(pipeline, 200) else pipeline
    found = slug(text, MAX_WORKFLOW)
    return found if len(slug(text, 1000)) <= MAX_WORKFLOW else hashed(text, [project, pipeline], MAX_WORKFLOW)


def label(text: str) -> str:
    """A label's value: at most 63 letters, digits, dashes, dots and underscores; hashed where that loses something."""
    if re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", text):
        return text
    return hashed(text, text, 63)


def _slug(text: str, limit: int) -> str:
    ascii_ = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    found = re.sub(r"[^a-zA-Z0-9]+", "-", ascii_).strip("-")
    if not found or not found[0].isalpha():
        found = f"op-{found}".rstrip("-")
    return found[:limit].rstrip("-")


def _claimed(task: str, mapped: tuple[str, ...]) -> tuple[str, ...]:
    return (task, task + ITEMS) if mapped else (task,)


def _is_whole(name: str) -> bool:
    return name.isascii() and len(_slug(name, 1000)) <= MAX_TASK - len(ITEMS)


def _hashed_task(name: str) -> str:
    return f"{_slug(name, MAX_TASK - len(ITEMS) - HASH - 1)}-{_digest(name)}"


def _digest(identity: Any) -> str:
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:HASH]
