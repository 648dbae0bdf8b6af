"""Tolerances of recorded values, from the measured spread over seeds and kernels.

The rule, for every value that a long float32 run gives: two runs on different processors are two
draws from what `tests/benchmarks/measure_spread.py` measured, so their difference has the standard
deviation sqrt(2) * sd, and three of these are allowed. Such a tolerance cannot be tight. What is
sharp are the short float64 runs, which agree to nine digits on every processor.
"""

import json
import math

import numpy as np
import pandas as pd

from helpers.files import PROJECT

MEASURED = PROJECT / "tests" / "benchmarks" / "spread.json"
TOLERANCES = PROJECT / "tests" / "deliverable" / "tolerances.csv"


def measured(experiment, name):
    """List a measured value over all seeds and kernels."""
    runs = json.loads(MEASURED.read_text("utf-8"))["runs"]
    return [run["values"][name] for run in runs if run["experiment"] == experiment]


def three_deviations(experiment, name):
    """Compute by how much a value may differ between two runs."""
    return 3 * math.sqrt(2) * np.std(measured(experiment, name), ddof=1)


def tolerances():
    """Read the tolerance of every recorded value, with its reason; indexed by part and name."""
    return pd.read_csv(TOLERANCES).set_index(["part", "value"])
