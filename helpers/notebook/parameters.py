"""The parameters of the four parts: names, types, ranges and defaults.

The command's plan and the check in a notebook are made from these classes. A notebook's parameters
cell says names and defaults once more, for papermill, and what each means; a test holds the two
together. What somebody changes there while exploring, or papermill leaves there, is not what the
command and the hand-out use. Left out: whether folders, data and models are there.
"""

import difflib
import os
import reprlib
from typing import Annotated, Literal, TypeVar

import pydantic
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
)

from helpers.errors import OneLineError


class ParameterError(OneLineError):
    """A parameter is unknown or has a value that is not allowed; the message says what is."""


def local_folder(name):
    """Give back the name of a folder.

    A blank name, the address of a bucket and the home of nobody are a ValueError.
    """
    if not name.strip() or "://" in name or os.path.expanduser(name).startswith("~"):
        raise ValueError("should be a folder on this machine")
    return name


def _distinct(entries):
    if len(set(entries)) < len(entries):
        raise ValueError("two entries are equal")
    return entries


def _fits_executor(scheduler, info):
    is_dask = info.data.get("executor") == "dask"
    if is_dask != bool(scheduler):
        raise ValueError("should be set with executor 'dask', and with no other")
    return scheduler


Entry = TypeVar("Entry")
Folder = Annotated[str, AfterValidator(local_folder)]
CountOrNone = Annotated[int, Field(ge=0, le=10_000)]
Count = Annotated[int, Field(ge=1, le=10_000)]
BatchSize = Annotated[int, Field(ge=1, le=54_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Layers = Annotated[list[Count], Field(max_length=100, strict=False)]
"""Not strict: a tuple will do for a list; what is in it is checked as strictly as all else."""
Several = Annotated[
    list[Entry], Field(min_length=1, max_length=100, strict=False), AfterValidator(_distinct)
]
"""Values of a hyperparameter that a grid combines with those of the others."""
Scheduler = Annotated[str, AfterValidator(_fits_executor), Field(validate_default=True)]


class Part(BaseModel):
    """What all parts share: values that are checked and cannot be set again afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    output_dir: Folder = "outputs/quick"

    def __init__(self, **values):
        try:
            super().__init__(**values)
        except pydantic.ValidationError as error:
            raise _refusal(type(self), error.errors()[0]) from None


class PartA(Part):
    """Train one network."""

    hidden_layers: Layers = [64, 64, 64]
    num_epochs: CountOrNone = 10
    batch_size: BatchSize = 8
    learning_rate: PositiveFloat = 0.01
    alpha: NonNegativeFloat = 0.0
    seed: Seed = 0


class PartB(Part):
    """Check the gradient."""

    hidden_layers: Layers = [64, 64, 64]
    num_examples: Annotated[int, Field(ge=1, le=100)] = 5
    alpha: PositiveFloat = 0.1
    step: Annotated[float, Field(gt=0, le=1)] = 1e-6
    num_epochs: Count = 1
    seed: Seed = 2


class PartC(Part):
    """Search a grid of hyperparameters."""

    num_hidden_layers: Several[CountOrNone] = [3]
    num_units: Several[Count] = [30, 50]
    learning_rate: Several[PositiveFloat] = [0.01, 0.05]
    batch_size: Several[BatchSize] = [64]
    num_epochs: Several[Count] = [2, 4]
    alpha: NonNegativeFloat = 0.0
    seed: Seed = 0
    num_seeds: Count = 1
    repeat_top: Count = 2
    repeat_seeds: Count = 2
    beyond_grid: bool = False
    executor: Literal["processes", "dask"] = "processes"
    num_workers: CountOrNone = 0
    scheduler: Scheduler = ""


class PartD(Part):
    """Look at the first layer of the best network."""

    model_dir: Folder = "outputs"
    num_images: Annotated[int, Field(ge=1, le=20)] = 10


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
"""What a full run changes: the assignment's grid of 162 runs, and what follows it. All other parts
are full size by default."""
FOLDERS = {"output_dir", "model_dir"}
"""Parameters that say where files are; no record names them."""
RUN_OPTIONS = {"executor", "scheduler", "num_workers"}
"""Parameters that decide how part C works, not what it finds."""


def defaults(part):
    """Give the defaults of a part; a dict with lists for tuples."""
    return PARTS[part]().model_dump()


def full(part):
    """Give the values that a full run of a part uses; a dict."""
    return defaults(part) | (FULL_C if part == "c" else {})


def unknown(name, accepted):
    """Make the error for a parameter that no chosen part has."""
    close = difflib.get_close_matches(name, accepted, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return ParameterError(f"unknown parameter {name!r}{hint}; python -m helpers --help lists all")


def _refusal(kind, fault):
    """Make one line of an entry in pydantic's list of what is wrong."""
    name, *position = fault["loc"]
    if fault["type"] == "extra_forbidden":
        return unknown(name, kind.model_fields)
    entry = f", entry {position[0] + 1}" if position else ""
    value = reprlib.repr(fault["input"])
    rule = fault["msg"].removeprefix("Value error, ")
    where = f"set it in the parameters cell or with -p {name} VALUE"
    return ParameterError(f"{name}{entry} = {value}: {rule}; {where}")
