"""The command line: one command per file. Only this package knows click and exit codes."""
