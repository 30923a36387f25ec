"""How batches come to be: what each kind of formula takes as new, and the draft that is profiled before it is saved."""

from jeyn.stores.batches.drafts import Draft, conformed, keep_files, keep_table, plain_schema
from jeyn.stores.batches.new_batch import new_batch

__all__ = ["Draft", "conformed", "keep_files", "keep_table", "new_batch", "plain_schema"]
