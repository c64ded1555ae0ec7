"""Questions about evaluations; each module answers one."""
