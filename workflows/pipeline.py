"""`@pipeline`: the SDK's pipeline with a way to run it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, overload

from jeyn.errors import UsageError
from jeyn.sdk import pipeline as sdk
from jeyn.sdk.operation import Operation
from jeyn.sdk.recorder import current_recorder
from jeyn.sdk.signature import signature_of

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.run import Run

P = ParamSpec("P")

_RUN_OPTIONS = ("on", "cache", "workers", "workspace")


class Pipeline(sdk.Pipeline[P]):
    """A pipeline that can be run."""

    def run(
        self,
        *args: Any,
        on: str = "local",
        cache: bool = True,
        workers: int | None = None,
        workspace: Workspace | None = None,
        **kwargs: Any,
    ) -> Run:
        """Run the pipeline with these arguments; `workspace` is the current one unless given.

        A run that does not succeed is logged as an error, which goes to stderr unless logging is set up otherwise;
        `.check()` and `.outputs` of the run raise it, with the traceback of the operation's own code. In a notebook
        the cell shows how far the run is.
        """
        from jeyn.workflows.notebook_display import notebook_watch
        from jeyn.workflows.run import run_pipeline

        if current_recorder() is not None:
            raise UsageError(
                f'"{self.name}" is run while a pipeline is recorded',
                hint=f"call it: {self.name}(…) makes it part of it",
            )
        if _is_being_imported(self.function.__module__):
            # Each worker would import the file, and so start the pipeline again.
            raise UsageError(
                f'"{self.name}" is run while its own file is imported',
                hint='put the call under: if __name__ == "__main__":',
            )
        arguments = self.bind(*args, **kwargs)
        options = {"cache": cache, "workers": workers, "watch": notebook_watch()}
        run = run_pipeline(self, arguments, on=on, workspace=workspace, **options)
        _log_failure(run)
        return run


def _log_failure(run: Run) -> None:
    """A script that looks at nothing would end as if all were well."""
    if run.state == "succeeded":
        return
    import logging

    error = run.error or {"operation": "", "message": "its engine was stopped"}
    where = f'operation "{error["operation"]}": ' if error["operation"] else ""
    logs = f"jeyn logs {run.id} {error['operation']}".rstrip()
    logging.getLogger("jeyn.run").error("%s %s: %s%s; see %s", run.id, run.state, where, error["message"], logs)


def _is_being_imported(module: str) -> bool:
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return module != "__main__" and bool(getattr(spec, "_initializing", False))


@overload
def pipeline(function: Callable[P, Any], /) -> Pipeline[P]: ...
@overload
def pipeline(
    *, name: str | None = None, on_exit: Operation[..., Any] | None = None, parallelism: int | None = None
) -> Callable[[Callable[P, Any]], Pipeline[P]]: ...
def pipeline(function: Any = None, /, **options: Any) -> Any:
    """Make a function that wires operations together a pipeline."""

    def decorate(function: Callable[P, Any]) -> Pipeline[P]:
        made = Pipeline(function, **options)
        for name in _RUN_OPTIONS:
            if name in signature_of(made.function).parameters:
                raise UsageError(
                    f'the pipeline "{made.name}" has a parameter "{name}", which is an option of its run()',
                    hint="give it another name",
                )
        return made

    return decorate if function is None else decorate(function)
