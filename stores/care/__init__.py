"""Keeping a workspace well: sweeping what nothing needs, checking every byte and row, and moving between workspaces."""

from jeyn.stores.care.bundle import export_bundle, import_bundle
from jeyn.stores.care.fsck import check
from jeyn.stores.care.gc import collect

__all__ = ["check", "collect", "export_bundle", "import_bundle"]
