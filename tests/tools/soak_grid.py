"""The grid search that tests/tools/soak.py kills: what the command line and part C do, no notebook.

A module of its own that imports little, because each worker process imports it, too.
"""

import shutil
import signal
import sys
from pathlib import Path

from helpers import files
from helpers.batch import output as batch
from helpers.grid import executors
from helpers.grid import search as grid_search
from helpers.grid import table as grid_table
from helpers.notebook.parameters import PartC

GRID = {
    "num_hidden_layers": [0, 1],
    "num_units": [4],
    "num_epochs": [1, 2],
    "batch_size": [500, 1000],
    "learning_rate": [0.05, 0.1],
    "alpha": 0.0,
    "seed": 0,
    "num_seeds": 1,
    "repeat_top": 1,
    "repeat_seeds": 1,
    "beyond_grid": False,
    "executor": "processes",
    "num_workers": 2,
    "scheduler": "",
    "resume": True,
    "output_dir": "outputs/quick",
}


def drive(folder, alpha):
    """Search a small grid and publish its table and best weights.

    Parameters
    ----------
    folder : str
    alpha : float

    Returns
    -------
    int
        The exit status, as the command line has it.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _interrupt)
    try:
        _search_and_publish(Path(folder), alpha)
    except (OSError, batch.OutputError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt as interruption:
        return 128 + interruption.args[0]
    return 0


def _interrupt(signum, frame):
    raise KeyboardInterrupt(signum)


def _search_and_publish(folder, alpha):
    units = grid_search.make_units(PartC(**GRID | {"alpha": alpha}))
    unit_folder = files.grid_folder(folder)
    with batch.output_lock(folder):
        runs = grid_search.search(units, unit_folder, lambda: executors.processes(2), resume=True)
        with batch.staging(folder) as stage:
            grid_table.write_table(stage / "hyperparameter_tune.csv", [run.row for run in runs])
            files.write_array(stage / "weights.npy", grid_search.ranked(runs)[0].weights)
        shutil.rmtree(unit_folder)
