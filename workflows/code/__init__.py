"""A project's code as data: its package, its operations' digests, its environment, a notebook's cells."""
