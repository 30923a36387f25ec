"""What is known to go wrong with a plan before anything runs."""

from jeyn.workflows.checks.plan import check_for_argo, check_offline, check_plan

__all__ = ["check_for_argo", "check_offline", "check_plan"]
