"""The parameters of the four parts: their types, ranges, defaults and meaning.

``--help`` and the check before a run are made from these classes. A notebook's parameters cell says
the same in plain Python, for papermill and for whoever explores; a test holds the two together.
What somebody changes there while exploring is not what the command line and the hand-out use.
Left out: whether folders, data and models are there.
"""

import re
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from helpers.notebook.refusals import refusal


def _distinct(entries):
    if len(set(entries)) < len(entries):
        raise ValueError("two entries are equal")
    return entries


def _fits_executor(scheduler, info):
    executor = info.data.get("executor")
    is_address = re.fullmatch(r"(\w+://)?[^/\s]+:\d+", scheduler) or scheduler.endswith(".json")
    if executor == "dask" and not is_address:
        raise ValueError("should be such an address or a scheduler file (.json) with 'dask'")
    if executor == "processes" and scheduler:
        raise ValueError("should be empty with executor = 'processes'")
    return scheduler


Entry = TypeVar("Entry")
Depth = Annotated[int, Field(ge=0, le=100)]
Width = Annotated[int, Field(ge=1, le=10_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
BatchSize = Annotated[int, Field(ge=1, le=54_000)]
Few = Annotated[int, Field(ge=1, le=1000)]
Positive = Annotated[float, Field(gt=0)]
Penalty = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Layers = Annotated[tuple[Width, ...], Field(max_length=100)]
Several = Annotated[
    tuple[Entry, ...], Field(min_length=1, max_length=100), pydantic.AfterValidator(_distinct)
]
"""Values of a hyperparameter that a grid combines with those of the others."""
Scheduler = Annotated[str, pydantic.AfterValidator(_fits_executor)]


class Part(BaseModel):
    """What all parts share: values that are checked and cannot be changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    output_dir: str = Field("outputs/quick", min_length=1, description="folder for the results")

    def __init__(self, **values):
        try:
            super().__init__(**values)
        except pydantic.ValidationError as error:
            raise refusal(type(self).model_fields, values, error) from None

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _from_numpy(cls, value: Any) -> Any:
        """Take ranges, lists and NumPy's arrays as tuples, and NumPy's numbers as Python's."""
        value = value.tolist() if hasattr(value, "tolist") else value
        is_list = isinstance(value, (list, tuple, range))
        return tuple(map(cls._from_numpy, value)) if is_list else value

    def __repr__(self):
        return "\n".join(f"{name} = {value!r}" for name, value in self)


class PartA(Part):
    """Train one network."""

    hidden_layers: Layers = Field(
        (64, 64, 64), description="units of each hidden layer, each at least 1; [] for none"
    )
    num_epochs: Annotated[int, Field(ge=0, le=10_000)] = Field(
        10, description="passes over the 54,000 training images, at least 0"
    )
    batch_size: BatchSize = Field(8, description="images per step, 1 to 54,000")
    learning_rate: Positive = Field(0.01, description="step size, above 0")
    alpha: Penalty = Field(0.0, description="strength of the L2 penalty, at least 0")
    seed: Seed = Field(0, description="of the initial weights and the minibatches, at least 0")


class PartB(Part):
    """Check the gradient."""

    hidden_layers: Layers = Field(
        (64, 64, 64), description="units of each hidden layer, each at least 1; [] for none"
    )
    num_examples: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="training images in the loss, 1 to 100"
    )
    alpha: Positive = Field(
        0.1, description="the large L2 penalty that is checked beside 0, above 0"
    )
    step: Annotated[float, Field(gt=0, le=1)] = Field(
        1e-6, description="step of approx_fprime, above 0, at most 1"
    )
    num_epochs: Epochs = Field(
        1, description="epochs of training before the second check, at least 1"
    )
    seed: Seed = Field(2, description="of weights, examples and directions, at least 0")


class PartC(Part):
    """Search a grid of hyperparameters."""

    num_hidden_layers: Several[Depth] = Field(
        (3,), description="numbers of hidden layers, each at least 0"
    )
    num_units: Several[Width] = Field(
        (30, 50), description="units of each hidden layer, at least 1"
    )
    learning_rate: Several[Positive] = Field((0.01, 0.05), description="step sizes, above 0")
    batch_size: Several[BatchSize] = Field((64,), description="images per step, 1 to 54,000")
    num_epochs: Several[Epochs] = Field(
        (2, 4), description="passes over the 54,000 training images, at least 1"
    )
    alpha: Penalty = Field(0.0, description="strength of the L2 penalty, at least 0")
    seed: Seed = Field(0, description="of the initial weights and the minibatches, at least 0")
    num_seeds: Few = Field(1, description="seeds of each run of the grid, counted from seed")
    repeat_top: Few = Field(2, description="best runs that are repeated with further seeds")
    repeat_seeds: Few = Field(2, description="further seeds of each repeated run")
    beyond_grid: bool = Field(
        False, description="whether to train the recipes beyond the grid, too (minutes)"
    )
    executor: Literal["processes", "dask"] = Field(
        "processes", description='where to train: "processes" or "dask"'
    )
    num_workers: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="processes; 0 for one per core"
    )
    scheduler: Scheduler = Field(
        "",
        description='address of the Dask scheduler, e.g. "tcp://host:8786", or its scheduler file',
        validate_default=True,
    )
    resume: bool = Field(False, description="whether to go on with an interrupted grid")


class PartD(Part):
    """Look at the first layer of the best network."""

    model_dir: str = Field(
        "outputs", min_length=1, description="folder of the networks that part C saved"
    )
    num_images: Annotated[int, Field(ge=1, le=20)] = Field(
        10, description="images shown for each unit, 1 to 20"
    )


PARTS = {"a": PartA, "b": PartB, "c": PartC, "d": PartD}
FULL_C = {
    "num_hidden_layers": [3, 4, 5],
    "num_units": [30, 40, 50],
    "learning_rate": [0.005, 0.01, 0.05],
    "batch_size": [16, 32, 64],
    "num_epochs": [50, 100],
    "repeat_top": 5,
    "repeat_seeds": 3,
    "beyond_grid": True,
}
"""The assignment's grid of 162 runs, and what follows it."""
FULL = {"a": {}, "b": {}, "c": FULL_C, "d": {}}
"""What a full run changes; all else is full size by default."""
RUN_OPTIONS = {"resume", "executor", "scheduler", "num_workers"}
"""Parameters that decide how part C works, not what it finds."""


def defaults(part):
    """Give the recorded defaults of a part; a dict with lists for tuples."""
    return PARTS[part]().model_dump(mode="json")


def full(part):
    """Give the values that a full run of a part uses; a dict."""
    return defaults(part) | FULL[part]
