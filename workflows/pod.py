"""The command of a pod: one operation of a run, or one item, from its arguments to its exit code (DESIGN 7).

`python -m jeyn.workflows.pod --run … --package … --operation …` with `--item N` for one of a mapped operation,
`--expand` for what says which items there are, `--finish --status …` for what closes the run. Names and ids are all
that is given; where the catalog and the payloads are, the environment says (`jeyn.settings`).

Exit codes: 0 done, cached, adopted or skipped; 1 it failed and another attempt may help; 64 none would (SEMANTICS 21);
70 to 99 the pod could not begin (77: a store cannot be reached); 143 it was told to stop.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # importing makes no garbage, and looking for some is a fifth of it

import argparse
import json
import os
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jeyn.errors import JeynError, NotFound
from jeyn.own_imports import guard
from jeyn.settings import PROJECT_FILE, Settings, variable
from jeyn.stores.code import code_payload
from jeyn.stores.workspace import Workspace
from jeyn.workflows.code.archive import unpack_code
from jeyn.workflows.create import enter_run, join_run, kept_plan
from jeyn.workflows.failure import error_of
from jeyn.workflows.heart import Heart
from jeyn.workflows.leave import leave
from jeyn.workflows.mask import remember
from jeyn.workflows.runner import Stopped, begin_process
from jeyn.workflows.spool import Spool, spool_path
from jeyn.workflows.step import NEVER_AGAIN, Ended, Step

if TYPE_CHECKING:
    from jeyn.sdk.plan import Plan, PlannedOperation
    from jeyn.stores.catalog.runs import RunRow

ARGO = "argo"
OUT = "/jeyn/out"  # where Argo reads output parameters; JEYN_OUT for tests
TRIES = 5
COULD_NOT_BEGIN = 70
STOPPED = 143

T = TypeVar("T")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """What a pod is told."""
    parser = argparse.ArgumentParser(prog="python -m jeyn.workflows.pod", description="One operation of a run.")
    parser.add_argument("--run", required=True, help="the id of the run, which is the name of the workflow")
    parser.add_argument("--package", required=True, metavar="CODE/PLAN", help="the ids of what runs")
    parser.add_argument("--operation", default="", help="its name in the plan")
    parser.add_argument("--item", type=int, help="which item of a mapped operation")
    parser.add_argument("--expand", action="store_true", help="say which items there are")
    parser.add_argument("--finish", action="store_true", help="close the run")
    parser.add_argument("--status", default="Succeeded", help="what became of the workflow")
    parser.add_argument("--attempt", type=int, help="how often it was tried before: Argo's {{retries}}")
    parser.add_argument("--cache", choices=("on", "off"), default="on", help="whether to take what was made before")
    told = parser.parse_args(argv)
    told.code, _, told.plan = told.package.partition("/")
    return told


def carry_out(
    workspace: Workspace,
    told: argparse.Namespace,
    plan: Plan,
    heart: Heart,
    overdue: Callable[[Ended], None] | None = None,
) -> Ended:
    """What the arguments ask for, in a workspace whose project is at hand."""
    if told.finish:
        return leave(workspace, _any_run(workspace, told, plan), plan, told.status, heart, overdue)
    run = patiently(lambda: join_run(workspace, told.run, plan, told.code, ARGO))
    operation = _operation(plan, told.operation)
    step = patiently(
        lambda: Step(
            workspace, run, plan, operation, told.item, cache=told.cache == "on", tried=told.attempt, overdue=overdue
        )
    )
    if told.expand:
        return patiently(step.expand)
    found = patiently(step.decide)
    return found if isinstance(found, Ended) else step.attempt(found, heart, _report)


def patiently(work: Callable[[], T], tries: int = TRIES) -> T:
    """Do it again where a store could not be reached, each time later; all that a pod does may be done twice."""
    for tried in range(tries):
        try:
            return work()
        except JeynError as exc:
            if not exc.retry_helps or tried == tries - 1:
                raise
            time.sleep((0.5 + secrets.randbelow(1000) / 1000) * 2**tried)
    raise AssertionError("no tries")


def _any_run(workspace: Workspace, told: argparse.Namespace, plan: Plan) -> RunRow:
    """The run that ends; where nothing could begin, not even its references be found, a row says at least that."""
    try:
        return patiently(lambda: join_run(workspace, told.run, plan, told.code, ARGO))
    except JeynError as exc:
        if exc.retry_helps:
            raise
        run = enter_run(workspace, told.run, plan, told.code, ARGO, {})
        workspace.runs.finish(run.key, "failed", error_of(exc, workspace.settings.root))
        return workspace.runs.get(run.id)


def _operation(plan: Plan, name: str) -> PlannedOperation:
    found = next((each for each in plan.operations if each.name == name), None)
    if found is None:
        raise NotFound(f'the plan has no operation "{name}"', hint="deploy the pipeline again: jeyn deploy")
    return found


def _report(done: int, total: int | None = None, description: str = "") -> None:
    """Argo shows progress that is written like this."""
    place = variable("ARGO_PROGRESS_FILE")
    if place and total:
        Path(place).write_text(f"{min(done, total)}/{total}\n")


def write_parameters(ended: Ended, folder: Path) -> None:
    """Output parameters, for people and for the fan-out; always, since Argo fails a pod whose file is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state").write_text(ended.state)
    (folder / "refs").write_text(json.dumps(dict(ended.refs), ensure_ascii=False))
    if ended.items is not None:
        (folder / "items").write_text(json.dumps(ended.items))


class Console(Spool):
    """A pod's output: what goes into the catalog is also shown where the pod's own log is looked at."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._console = os.dup(1)
        self._again = 0  # bytes that were shown, and could not be kept

    def take(self, *, last: bool = False) -> str:
        text = super().take(last=last)
        shown = text.encode()
        left, self._again = shown[self._again :], max(self._again - len(shown), 0)
        while left:
            left = left[os.write(self._console, left) :]
        return text

    def give_back(self, text: str) -> None:
        super().give_back(text)
        self._again += len(text.encode())


class Pod:
    """This process, as a pod: its places, its output, its end."""

    def __init__(self, told: argparse.Namespace) -> None:
        self.told = told
        self.out = Path(variable("JEYN_OUT") or OUT)
        self.spool: Console | None = None
        self.is_stopped = False

    def run(self) -> int:
        begin_process()
        os.umask(0o022)  # some runtimes begin with none at all, and what is written would be everybody's to change
        signal.signal(signal.SIGTERM, self._stop)
        places = Settings.load()
        remember()
        self.spool = Console(spool_path(places.home, self.told.run, os.getpid()))
        self.spool.redirect()
        try:
            return self._run(places)
        except Stopped:
            print("it was told to stop", file=sys.stderr)
            return STOPPED
        except JeynError as exc:
            print(exc, file=sys.stderr)
            return COULD_NOT_BEGIN + exc.exit_code % 30
        except Exception:
            traceback.print_exc()  # here: what is printed once the output was let go of is seen by nobody
            return COULD_NOT_BEGIN
        finally:
            self._let_go()

    def _run(self, places: Settings) -> int:
        plan, workspace = patiently(lambda: open_project(places, self.told.plan, self.told.code))
        gc.freeze()  # what the user's code makes is worth looking at, and nothing else
        gc.enable()
        with workspace:
            heart = Heart(workspace, self.spool)
            ended = carry_out(workspace, self.told, plan, heart, self._quit)
        code = self._said(ended)
        return STOPPED if self.is_stopped and code else code

    def _stop(self, *_: object) -> None:
        self.is_stopped = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped("it was told to stop")

    def _said(self, ended: Ended) -> int:
        write_parameters(ended, self.out)
        print(f"{self.told.operation or 'run'}: {ended.state}", file=sys.stderr)
        if ended.error and not ended.error["traceback"]:
            print(f"{ended.error['message']}\n{ended.error['hint']}".strip(), file=sys.stderr)
        if self.told.finish:
            # Argo calls a workflow succeeded when others could go on after each failure; the run is not.
            return NEVER_AGAIN if ended.state != "succeeded" and self.told.status == "Succeeded" else 0
        return ended.exit_code

    def _quit(self, ended: Ended) -> None:
        """End at once, whatever the user's function is doing."""
        code = self._said(ended)
        self._let_go()
        os._exit(code)

    def _let_go(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if self.spool is not None:
            self.spool.take(last=True)
            self.spool.remove()


def open_project(places: Settings, plan: str, code: str) -> tuple[Plan, Workspace]:
    """The plan, and a workspace on the code package, which is unpacked and becomes what is imported from."""
    workspace = Workspace(places)
    workspace.is_running = True
    try:
        found = kept_plan(workspace, plan)
        digest, package = code_payload(workspace, code)
        root = unpack_code(package, digest, places.home / "code")
    except BaseException:
        workspace.close()
        raise
    os.chdir(root)
    guard(str(root))
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry not in ("", str(root)))]
    return found, workspace.at(_of_project(places, root))


def _of_project(places: Settings, root: Path) -> Settings:
    """What the project's own file says beside its places: serializers, databases."""
    if not (root / PROJECT_FILE).is_file():
        return replace(places, root=root)
    return Settings.load(
        root,
        home=places.home,
        catalog=places.catalog,
        payloads=places.payloads,
        actor=places.actor,
        is_checked=True,
    )


def main() -> None:
    code = Pod(arguments()).run()
    gc.freeze()  # or the interpreter looks at every object of every module once more: 50 ms
    sys.exit(code)


if __name__ == "__main__":
    main()
