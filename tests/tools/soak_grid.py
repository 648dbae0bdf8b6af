"""The grid search that tests/tools/soak.py kills: what the command line and part C do, no notebook.

A module of its own that imports little, because each worker process imports it, too.
"""

import shutil
import sys
from pathlib import Path

from helpers import files
from helpers.batch import output as batch
from helpers.batch import signals
from helpers.grid import search as grid_search
from helpers.grid import table as grid_table
from helpers.grid import workers
from helpers.grid.jobs import list_runs

GRID = {
    "num_hidden_layers": [0, 1],
    "num_units": [4],
    "learning_rate": [0.05, 0.1],
    "batch_size": [500, 1000],
    "num_epochs": [1, 2],
    "alpha": 0.0,
    "seed": 0,
    "num_seeds": 1,
}


def drive(folder, alpha):
    """Search a small grid and publish its table and best weights; give the exit status."""
    signals.handle()
    try:
        _search_and_publish(Path(folder), alpha)
    except (OSError, batch.OutputError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signals.received[0]
    return 0


def _search_and_publish(folder, alpha):
    recipes = list_runs(**GRID | {"alpha": alpha})
    run_folder = files.grid_folder(folder)
    with batch.output_lock(folder):
        found = grid_search.search(recipes, run_folder, lambda: workers.processes(2), resume=True)
        table = grid_table.to_frame(found[recipe] for recipe in recipes)
        with batch.staging(folder) as stage:
            grid_table.write_table(stage / "hyperparameter_tune.csv", table)
            best = recipes[grid_table.ranked(table).index[0]]
            files.write_array(stage / "weights.npy", found[best].weights)
        shutil.rmtree(run_folder)
