"""Many networks side by side: units of work, the fast step, the search, the table."""

from helpers.grid import beyond, executors, lanes, search, table, units

__all__ = ["beyond", "executors", "lanes", "search", "table", "units"]
