"""Search: the filter language in which people ask the catalog for artefacts."""

from jeyn.stores.search.grammar import Filter, Term, like_pattern, parse

__all__ = ["Filter", "Term", "like_pattern", "parse"]
