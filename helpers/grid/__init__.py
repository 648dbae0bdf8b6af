"""Many networks side by side: jobs, the fast step, the search, the table."""

from helpers.grid import beyond, jobs, machine, runs, search, stack, table, workers, workspace

__all__ = ["beyond", "jobs", "machine", "runs", "search", "stack", "table", "workers", "workspace"]
