"""A project's code as data: its package, its operations' digests, its environment, a notebook's cells."""

from jeyn.workflows.code.archive import unpack_code
from jeyn.workflows.code.digest import function_code
from jeyn.workflows.code.environment import environment
from jeyn.workflows.code.local import is_local
from jeyn.workflows.code.notebook import capture_cells, notebook_module, running_cells
from jeyn.workflows.code.package import CodePackage, package_code

__all__ = [
    "CodePackage",
    "capture_cells",
    "environment",
    "function_code",
    "is_local",
    "notebook_module",
    "package_code",
    "running_cells",
    "unpack_code",
]
