"""Many networks side by side: jobs, the fast step, the search, the table."""

from helpers.grid import beyond, executors, jobs, machine, search, stack, table

__all__ = ["beyond", "executors", "jobs", "machine", "search", "stack", "table"]
