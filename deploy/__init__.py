"""Serving what pipelines made: executors, gateways and Dapr apps."""
