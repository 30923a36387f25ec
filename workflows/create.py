"""How a run comes into being, on every engine: its code, plan and pins kept, what a resumed run committed adopted.

`create_run` is for who starts a run; `join_run` for a pod, which finds the row of its workflow or makes it.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jeyn.errors import Invalid
from jeyn.sdk.artefact import PayloadRef
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.plan import Plan
from jeyn.sdk.value import Value
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.catalog.operations import NewOperation, OperationRow
from jeyn.stores.catalog.small import LIMIT_OF_CODE
from jeyn.stores.code import save_code
from jeyn.workflows.graph import DONE, HELD
from jeyn.workflows.leaks import refuse_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jeyn.settings import Settings
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.code.package import CodePackage
    from jeyn.workflows.planning import Planned

LOCAL = "local"


def create_run(workspace: Workspace, planned: Planned, engine: str, resumed: RunRow | None = None) -> RunRow:
    """The row of a new run; its code is kept, its references are pinned, and what `resumed` had done is adopted."""
    from jeyn.workflows.pins import pin

    refuse_in(planned.plan.dump(), "the plan")  # a constant, or a parameter
    pins = dict(resumed.pins) if resumed else pin(planned.plan, workspace, planned.root)
    code = keep_code(workspace, planned)
    return _insert(workspace, new_run_id(planned.plan.pipeline), planned.plan, code, pins, engine, resumed)


def join_run(workspace: Workspace, id: str, plan: Plan, code: str, engine: str) -> RunRow:
    """The run with exactly this id; the first who asks creates it, its files pinned from the project at hand."""
    found = workspace.runs.find(id)
    if found is not None:
        return found
    from jeyn.workflows.pins import pin

    return enter_run(workspace, id, plan, code, engine, pin(plan, workspace, workspace.settings.root))


def enter_run(
    workspace: Workspace, id: str, plan: Plan, code: str | None, engine: str, pins: Mapping[str, str]
) -> RunRow:
    """`join_run` with pins that are known: of several processes at once one writes the row, and all read it."""
    try:
        return _insert(workspace, id, plan, code, pins, engine, None)
    except Invalid:
        found = workspace.runs.find(id)  # another was quicker: a run's id is unique
        if found is None:
            raise
        return found


def keep_code(workspace: Workspace, planned: Planned) -> str:
    """The id of the project's code package, which is kept."""
    return save_code(workspace, packaged(workspace.settings, planned)).id


def packaged(settings: Settings, planned: Planned) -> CodePackage:
    """The project's code as a package."""
    from jeyn.workflows.code.package import package_code

    return package_code(
        planned.root,
        kept=settings.own_files,
        data=Path(settings.data) if "://" not in settings.data else planned.root,
        excluded_patterns=planned.sources,
        extra=planned.extra,
        libraries=planned.libraries,
    )


def keep_plan(workspace: Workspace, plan: Plan) -> str:
    """The id of a plan, which is kept as a value artefact: equal plans are kept once."""
    id, data = plan_id(plan), plan.dump().encode()

    def build(writer: Workspace) -> list[NewArtefact]:
        payload, inline = writer.keep_near(data, "plan", LIMIT_OF_CODE)
        return [NewArtefact(_plan_value(payload).record(), inline=inline, event="jeyn.value.saved")]

    is_known = workspace.reader.row(id) is not None and not workspace.reader.is_buried(id)
    if not (is_known and workspace.payloads.exists(sha256_of(data)[7:])):
        workspace.save(build)
    return id


def plan_id(plan: Plan) -> str:
    """What `keep_plan` gives, without keeping it."""
    data = plan.dump().encode()
    return _plan_value(PayloadRef("plan", sha256_of(data), len(data))).record().id


def kept_plan(workspace: Workspace, id: str) -> Plan:
    """The plan with this id, its bytes checked."""
    return Plan.restored(workspace.payloads.read(workspace.row(id).record.payloads[0].digest[7:]))


def _plan_value(payload: PayloadRef) -> Value:
    return Value(output="plan", cache_key="", format="text/1", payload=payload)


def new_run_id(pipeline: str) -> str:
    """Readable, sorted by time, and short enough to be a Kubernetes name."""
    slug = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")[:30].rstrip("-") or "run"
    return f"{slug}-{time.strftime('%y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def _insert(
    workspace: Workspace,
    id: str,
    plan: Plan,
    code: str | None,
    pins: Mapping[str, str],
    engine: str,
    resumed: RunRow | None,
) -> RunRow:
    from jeyn.workflows.code.environment import environment

    is_here = engine == LOCAL  # elsewhere no process is the run's own
    return workspace.runs.create(
        id=id,
        pipeline=plan.pipeline,
        plan=plan.dump(),
        parameters={name: each.value for name, each in plan.parameters.items()},
        pins=pins,
        environment=environment(),
        code=code,
        engine=engine,
        host=socket.gethostname() if is_here else "",
        pid=os.getpid() if is_here else None,
        operations=_new_operations(workspace, plan, resumed),
        resumed_from=resumed.key if resumed else None,
    )


def _new_operations(workspace: Workspace, plan: Plan, resumed: RunRow | None) -> list[NewOperation]:
    done = {each.name: each for each in workspace.runs.operations(resumed.key)} if resumed else {}
    done = {name: each for name, each in done.items() if each.state in DONE or each.state == HELD}
    found: list[NewOperation] = []
    items: dict[int, list[OperationRow]] = {}
    for each in done.values():
        if each.item >= 0:
            items.setdefault(each.position, []).append(each)
    for position, operation in enumerate(plan.all_operations):
        before = done.get(operation.name) if operation is not plan.on_exit and not operation.mapped else None
        found.append(_adopted(before, operation.name, operation.function, position))
        found.extend(_adopted(each, each.name, operation.function, position) for each in items.get(position, ()))
    return found


def _adopted(before: OperationRow | None, name: str, function: str, position: int) -> NewOperation:
    if before is None:
        return NewOperation(name, function, position)
    if before.state == HELD:
        return NewOperation(name, function, position, before.item, HELD, before.origin or before.key)
    return NewOperation(name, function, position, before.item, "adopted", before.key, before.cache_key)
