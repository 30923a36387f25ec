"""Dapr component files, one folder per cloud."""
