"""What was made before: cache keys, looking them up, and saying why something has to run (SEMANTICS 17 to 19)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError
from jeyn.sdk.canonical import canonical, sha256_of
from jeyn.sdk.plan import FunctionCode
from jeyn.stores.observation import Observation, explain, holds, not_in_a_batch
from jeyn.workflows.inputs import Input

if TYPE_CHECKING:
    from jeyn.stores.runs import CacheEntry, OperationRow
    from jeyn.stores.workspace import Workspace

KEY_VERSION = 1  # of what a key covers


@dataclass(frozen=True)
class Key:
    """A cache key (`sha256:…`) and what it was made of, so that a miss can be explained."""

    digest: str
    components: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """For random generators: 32 bits, the same whenever the key is."""
        return int(self.digest[7:15], 16)


@dataclass(frozen=True)
class Found:
    """The answer of a look-up: outputs as (name, position, id) of the operation `origin`, or why there are none.

    `left_out` is what the sources that it read have and no batch will have.
    """

    origin: int | None = None
    outputs: tuple[tuple[str, int, str], ...] = ()
    reason: str = ""
    left_out: str = ""


def key_of(code: FunctionCode, inputs: Mapping[str, Input]) -> Key:
    """The key of one operation: its code, what that code runs in, and its inputs."""
    tokens = {name: given.token for name, given in inputs.items()}
    covered = {"key": KEY_VERSION, "code": code.digest, "environment": code.environment, "inputs": tokens}
    components = {"code": code.parts, "environment": code.distributions, "inputs": tokens}
    return Key(sha256_of(canonical(covered)), components)


def with_values(components: Mapping[str, Any], function: str, values: Mapping[str, str]) -> Key:
    """The key of what ran with other module-level values than its plan had; `values` are parts of its code."""
    from jeyn.workflows.code.digest import code_of_parts

    code = code_of_parts(function, {**components["code"], **values}, components["environment"])
    covered = {"key": KEY_VERSION, "code": code.digest, "environment": code.environment, "inputs": components["inputs"]}
    return Key(sha256_of(canonical(covered)), {**components, "code": code.parts})


def look_up(workspace: Workspace, function: str, key: Key, *, explain: bool = True, left_out: bool = False) -> Found:
    """Outputs that were made with this key, whose observations all hold, and whose payloads are there.

    Without `explain` a key that nothing has gets no reason, which would cost a second look. `left_out` looks at the
    sources that were read once more, for what of them is in no batch.
    """
    entries = workspace.runs.entries(key.digest[7:])
    reasons: list[str] = []
    for entry in entries:
        reason = _differs(workspace, entry)
        if reason:
            reasons.append(reason)
            continue
        outputs = tuple(workspace.runs.outputs([entry.operation_key]).get(entry.operation_key, ()))
        if workspace.runs.has_payloads([id for _, _, id in outputs]):
            return Found(entry.operation_key, outputs, left_out=_left_out(workspace, entry) if left_out else "")
        reasons.append("its payloads were swept")
    if not reasons and explain:
        effects = workspace.runs.last_effects(function)
        said = f"it has an effect, which no cache gives: {', '.join(effects)}" if effects else ""
        reasons.append(said or why_new(workspace.runs.last_entry(function), key))
    return Found(reason=reasons[0] if reasons else "")


def why_it_ran(workspace: Workspace, row: OperationRow) -> str:
    """Why an operation that has succeeded was not taken from the cache, as a look-up would have said before it."""
    if row.effects:
        return f"it has an effect, which no cache gives: {', '.join(row.effects)}"
    entries = workspace.runs.entries(row.cache_key or "")
    own = next((entry for entry in entries if entry.operation_key == row.key), None)
    if own is None:
        return ""
    earlier = [entry for entry in entries if entry.operation_key < row.key]
    if earlier:
        return _differs(workspace, earlier[0]) or "its payloads were swept"
    last = workspace.runs.last_entry(str(row.function), before=row.key)
    return why_new(last, Key(f"sha256:{own.cache_key}", own.components))


def why_new(last: CacheEntry | None, key: Key) -> str:
    """What differs from the last time that the function ran: the reason why nothing has this key."""
    if last is None:
        return "it has not run before"
    before = last.components
    return (
        _changed("code", before.get("code", {}), key.components["code"])
        or _changed("environment", before.get("environment", {}), key.components["environment"])
        or _changed("input", before.get("inputs", {}), key.components["inputs"])
        or "the Python version or Jeyn's cache format changed"
    )


def _differs(workspace: Workspace, entry: CacheEntry) -> str:
    """The first observation that has another answer now."""
    for observed in entry.observations:
        observation = _observation(observed)
        try:
            if not holds(workspace, observation):
                return explain(workspace, observation)
        except JeynError as exc:
            return f"what it read cannot be read now: {exc.message}"
    return ""


def _observation(observed: Any) -> Observation:
    return Observation(**observed) if isinstance(observed, Mapping) else observed


def _left_out(workspace: Workspace, entry: CacheEntry) -> str:
    return "; ".join(
        filter(None, (not_in_a_batch(workspace, _observation(observed)) for observed in entry.observations))
    )


def _changed(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if not names:
        return ""
    if what != "input":
        return f"{what} changed: {', '.join(sorted(names))}"
    return "; ".join(_input_changed(name, before.get(name), now.get(name)) for name in sorted(names))


def _input_changed(name: str, before: Any, now: Any) -> str:
    if before is None or now is None:
        return f'input "{name}" is {"new" if before is None else "gone"}'
    if before[0] == now[0] == "constant":
        return f'input "{name}" was {_short(before[1])}, is {_short(now[1])}'
    return f'input "{name}" changed'


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"


def as_json(observations: Sequence[Observation]) -> list[dict[str, Any]]:
    """Observations as rows of the catalog keep them."""
    return [{"kind": o.kind, "subject": o.subject, "answer": o.answer} for o in observations]
