"""Many networks side by side: jobs, the fast step, the search, the table."""

from helpers.grid import (
    beyond,
    effects,
    jobs,
    listing,
    machine,
    runs,
    search,
    stack,
    table,
    workers,
    workspace,
)

__all__ = [
    "beyond",
    "effects",
    "jobs",
    "listing",
    "machine",
    "runs",
    "search",
    "stack",
    "table",
    "workers",
    "workspace",
]
