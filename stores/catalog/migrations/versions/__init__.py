"""The catalog's schema, one step a module; a released step never changes."""
