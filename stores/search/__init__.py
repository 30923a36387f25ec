"""Search: the filter language in which people ask the catalog for artefacts."""

from jeyn.stores.search.compile import Hit, Hits, search
from jeyn.stores.search.grammar import Filter, Term, like_pattern, parse

__all__ = ["Filter", "Hit", "Hits", "Term", "like_pattern", "parse", "search"]
