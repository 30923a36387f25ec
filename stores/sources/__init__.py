"""Source readers: what data roots hold, how files are read in a catalog's types, and the new rows of a query."""

from jeyn.stores.sources.formats import SUFFIXES, read_batches
from jeyn.stores.sources.late_rows import LateRows
from jeyn.stores.sources.open import open_root
from jeyn.stores.sources.root import DataRoot, SourceFile
from jeyn.stores.sources.sql import NewRows, new_rows

__all__ = ["SUFFIXES", "DataRoot", "LateRows", "NewRows", "SourceFile", "new_rows", "open_root", "read_batches"]
