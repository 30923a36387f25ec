"""The Argo engine: plans compiled through Hera, submitted, watched and followed."""
