"""Many networks: the recipes of a grid, the search, the table."""

from helpers.grid import beyond, effects, listing, machine, runs, search, table, workers
