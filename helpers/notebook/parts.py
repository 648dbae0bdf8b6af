"""The parameters of the four parts: their types, ranges and meaning, one dataclass a part.

A notebook's parameters cell holds the defaults; here is what may be put there. The command line
checks injected values against the same classes before anything runs.
"""

from dataclasses import dataclass
from typing import ClassVar

from helpers.notebook.settings import SettingError, Settings, setting


@dataclass(frozen=True)
class Part(Settings):
    """What all parts share."""

    where: ClassVar[str] = "; set it in the parameters cell or with -p {name} VALUE"


@dataclass(frozen=True)
class PartA(Part):
    """Train one network."""

    hidden_layers: tuple[int, ...] = setting(
        "units of each hidden layer", at_least=1, at_most=10_000
    )
    num_epochs: int = setting("passes over the training images", at_least=0)
    batch_size: int = setting("images a step", at_least=1, at_most=54_000)
    learning_rate: float = setting("step size", above=0)
    alpha: float = setting("strength of the L2 penalty", at_least=0)
    seed: int = setting("of the initial weights and the minibatches", at_least=0)
    output_dir: str = setting("folder for the results", length=1)


@dataclass(frozen=True)
class PartB(Part):
    """Check the gradient."""

    hidden_layers: tuple[int, ...] = setting(
        "units of each hidden layer", at_least=1, at_most=10_000
    )
    num_examples: int = setting("training images in the loss", at_least=1, at_most=100)
    alpha: float = setting("the large L2 penalty checked beside 0", above=0)
    step: float = setting("step of approx_fprime", above=0)
    num_epochs: int = setting("epochs of training before the second check", at_least=1)
    seed: int = setting("of weights, examples and directions", at_least=0)
    output_dir: str = setting("folder for the results", length=1)


@dataclass(frozen=True)
class PartC(Part):
    """Search a grid of hyperparameters."""

    num_hidden_layers: tuple[int, ...] = setting(
        "numbers of hidden layers", at_least=0, at_most=100, length=1, distinct=True
    )
    num_units: tuple[int, ...] = setting(
        "units of each hidden layer", at_least=1, at_most=10_000, length=1, distinct=True
    )
    num_epochs: tuple[int, ...] = setting(
        "passes over the training images", at_least=1, length=1, distinct=True
    )
    batch_size: tuple[int, ...] = setting(
        "images a step", at_least=1, at_most=54_000, length=1, distinct=True
    )
    learning_rate: tuple[float, ...] = setting("step sizes", above=0, length=1, distinct=True)
    alpha: float = setting("strength of the L2 penalty", at_least=0)
    seed: int = setting("of the initial weights and the minibatches", at_least=0)
    num_seeds: int = setting("repetitions of each run with other seeds", at_least=1)
    repeat_top: int = setting("best runs that are repeated with other seeds", at_least=1)
    repeat_seeds: int = setting("further seeds of each repeated run", at_least=1)
    beyond_grid: bool = setting("whether to train what lies beyond the grid, too")
    executor: str = setting("where to train", one_of=("processes", "dask"))
    num_workers: int = setting("processes, 0 for one a core", at_least=0)
    scheduler: str = setting("address of the Dask scheduler, e.g. tcp://host:8786")
    resume: bool = setting("whether to go on with an interrupted grid")
    output_dir: str = setting("folder for the results", length=1)

    def __post_init__(self):
        super().__post_init__()
        if (self.executor == "dask") != bool(self.scheduler):
            where = self.where.format(name="scheduler")
            raise SettingError(
                f"scheduler = {self.scheduler!r} and executor = {self.executor!r}: expected an "
                f"address such as 'tcp://host:8786' with 'dask', and none without it{where}"
            )


@dataclass(frozen=True)
class PartD(Part):
    """Look at the first layer of the best network."""

    model_dir: str = setting("folder of best_model.json and best_model_weights.npy", length=1)
    num_images: int = setting("images shown for each unit", at_least=1, at_most=20)
    output_dir: str = setting("folder for the results", length=1)


PARTS = {"a": PartA, "b": PartB, "c": PartC, "d": PartD}
FULL = {
    "c": {
        "num_hidden_layers": [3, 4, 5],
        "num_units": [30, 40, 50],
        "num_epochs": [50, 100],
        "batch_size": [16, 32, 64],
        "learning_rate": [0.005, 0.01, 0.05],
        "repeat_top": 5,
        "repeat_seeds": 3,
        "beyond_grid": True,
    }
}
"""What a full run injects; parts A, B and D are full size by default."""
