"""Jeyn's tests; the folders mirror the rooms of the repository."""
