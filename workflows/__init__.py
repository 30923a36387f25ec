"""Running pipelines: the plan, the runner and the engines."""
