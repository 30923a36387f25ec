"""Where things come from and what a change breaks: the graph of artefacts, and the contracts along its edges."""

from jeyn.stores.lineage.graph import Lineage, trace_downstream, trace_upstream
from jeyn.stores.lineage.impact import Impact, impact

__all__ = ["Impact", "Lineage", "impact", "trace_downstream", "trace_upstream"]
