"""The kinds of edge between artefacts (SEMANTICS 8), each with the small number that the catalog stores."""

from __future__ import annotations

from enum import IntEnum


class RelationshipType(IntEnum):
    """A typed edge from a parent artefact to its child; the numbers are stored and never change."""

    formula_batch = 1
    use_case_checkpoint = 2
    batch_checkpoint = 3
    checkpoint_parent = 4
    source_formula = 5
    checkpoint_formula = 6
    serializer_checkpoint = 7
    source_batch = 8
    derived_from = 9
    evaluation_of = 10
    index_of = 11
