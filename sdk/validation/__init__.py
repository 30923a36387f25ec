"""Data against its catalog: `validate`, `conform`, and `Profiler` for streams with statistics in the same pass."""

from jeyn.sdk.validation.conform import conform
from jeyn.sdk.validation.profile import Profiler, validate
from jeyn.sdk.validation.report import Failure, ValidationReport

__all__ = ["Failure", "Profiler", "ValidationReport", "conform", "validate"]
