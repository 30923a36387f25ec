"""The command line: one module for each command, imported when it is asked for; `jeyn.cli.main` is where it starts."""
