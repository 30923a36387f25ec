"""The local engine: a plan on this machine, in worker processes, with nothing to start."""
