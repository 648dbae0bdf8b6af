"""The parameters of the four parts: their types, ranges and meaning, stated here once.

The notebooks, ``--help`` and the check before a run are made from these classes. The defaults
stand in each notebook's parameters cell. Left out: whether folders, data and models are there.
"""

import ast
import re
import time
from typing import Annotated, Any, Literal, TypeVar

import nbformat
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from helpers import files
from helpers.notebook.refusals import ParameterError, expecting, refusal

INJECTED = "# Parameters"
"""How the cell begins that papermill adds."""
FILE_CLOCK = 0.1
"""Seconds by which the clock that dates files may be behind."""


def _distinct(entries):
    if len(set(entries)) < len(entries):
        raise ValueError("two entries are equal")
    return entries


Entry = TypeVar("Entry")
Depth = Annotated[int, Field(ge=0, le=100)]
Many = Annotated[int, Field(ge=1, le=10_000)]
Few = Annotated[int, Field(ge=1, le=1000)]
Layers = Annotated[tuple[Many, ...], Field(max_length=100)]
DIFFERENT = Field(min_length=1, max_length=100, json_schema_extra={"uniqueItems": True})
Several = Annotated[tuple[Entry, ...], DIFFERENT, pydantic.AfterValidator(_distinct)]
"""Values of a hyperparameter that a grid combines with those of the others."""
BatchSize = Annotated[int, Field(ge=1, le=54_000)]
Positive = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Part(BaseModel):
    """What all parts share: values that cannot be changed, and the folder of their results."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    output_dir: str = Field(min_length=1, description="folder for the results")
    _since: float = pydantic.PrivateAttr(default_factory=lambda: time.time() - FILE_CLOCK)

    def __init__(self, **values):
        try:
            super().__init__(**values)
        except pydantic.ValidationError as error:
            raise refusal(self.described(), values, error.errors()[-1]) from None

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _from_numpy(cls, value: Any) -> Any:
        """Take ranges, lists and NumPy's arrays as tuples, and NumPy's numbers as Python's."""
        value = value.tolist() if hasattr(value, "tolist") else value
        is_list = isinstance(value, (list, tuple, range))
        return tuple(map(cls._from_numpy, value)) if is_list else value

    def __repr__(self):
        return "\n".join(f"{name} = {value!r}" for name, value in self)

    @classmethod
    def described(cls):
        """Give the JSON schema of each parameter, by name."""
        return cls.model_json_schema()["properties"]

    @property
    def folder(self):
        """Path : where this run's files go, made if needed; of a relative `output_dir`, the
        project's."""
        return files.output_folder(self.output_dir)

    def written(self):
        """List the names of the files in `folder` that have changed since these were read."""
        visible = self.folder.glob("[!.]*")
        return sorted(path.name for path in visible if path.stat().st_mtime >= self._since)


class PartA(Part):
    """Train one network."""

    hidden_layers: Layers = Field(description="units of each hidden layer, [] for none")
    num_epochs: int = Field(ge=0, le=10_000, description="passes over the training images")
    batch_size: BatchSize = Field(description="images per step")
    learning_rate: Positive = Field(description="step size")
    alpha: float = Field(ge=0, description="strength of the L2 penalty")
    seed: Seed = Field(description="of the initial weights and the minibatches")


class PartB(Part):
    """Check the gradient."""

    hidden_layers: Layers = Field(description="units of each hidden layer, [] for none")
    num_examples: int = Field(ge=1, le=100, description="training images in the loss")
    alpha: Positive = Field(description="the large L2 penalty that is checked beside 0")
    step: float = Field(gt=0, le=1, description="step of approx_fprime")
    num_epochs: Many = Field(description="epochs of training before the second check")
    seed: Seed = Field(description="of weights, examples and directions")


class PartC(Part):
    """Search a grid of hyperparameters."""

    num_hidden_layers: Several[Depth] = Field(description="numbers of hidden layers")
    num_units: Several[Many] = Field(description="units of each hidden layer")
    learning_rate: Several[Positive] = Field(description="step sizes")
    batch_size: Several[BatchSize] = Field(description="images per step")
    num_epochs: Several[Many] = Field(description="passes over the training images")
    alpha: float = Field(ge=0, description="strength of the L2 penalty")
    seed: Seed = Field(description="of the initial weights and the minibatches")
    num_seeds: Few = Field(description="seeds of each run of the grid, counted from seed")
    repeat_top: Few = Field(description="best runs that are repeated with further seeds")
    repeat_seeds: Few = Field(description="further seeds of each repeated run")
    beyond_grid: bool = Field(description="whether to train what lies beyond the grid, too")
    executor: Literal["processes", "dask"] = Field(description="where to train")
    num_workers: int = Field(ge=0, le=1000, description="processes, 0 for one per core")
    scheduler: str = Field(description="address of the Dask scheduler, with executor dask alone")
    resume: bool = Field(description="whether to go on with an interrupted grid")

    @pydantic.model_validator(mode="after")
    def _has_scheduler(self):
        form = r"(\w+://)?[^/\s]+:\d+" if self.executor == "dask" else ""
        if not re.fullmatch(form, self.scheduler):
            state = f"scheduler = {self.scheduler!r} and executor = {self.executor!r}"
            words = "an address such as 'tcp://host:8786' with 'dask', and none without it"
            raise expecting("scheduler", state, words)
        return self


class PartD(Part):
    """Look at the first layer of the best network."""

    model_dir: str = Field(min_length=1, description="folder of the networks that part C saved")
    num_images: int = Field(ge=1, le=20, description="images shown for each unit")


PARTS = {"a": PartA, "b": PartB, "c": PartC, "d": PartD}
GRID = {"num_hidden_layers": [3, 4, 5], "num_units": [30, 40, 50], "num_epochs": [50, 100]}
GRID |= {"batch_size": [16, 32, 64], "learning_rate": [0.005, 0.01, 0.05]}
BEYOND = {"repeat_top": 5, "repeat_seeds": 3, "beyond_grid": True}
FULL = {"a": {}, "b": {}, "c": GRID | BEYOND, "d": {}}
"""What a full run injects: the assignment's grid and what follows it; all else is full size by
default."""
MANNER = {"resume", "executor", "scheduler", "num_workers"}
"""Parameters that decide how part C works, not what it finds."""


def read_parameters(part, namespace):
    """Take a part's parameters from a notebook's variables and check them.

    Parameters
    ----------
    part : str
        "a", "b", "c" or "d".
    namespace : dict
        The notebook's ``globals()``.

    Returns
    -------
    Part
        The parameters as attributes, which cannot be changed, and ``folder``, where files go.

    Raises
    ------
    ParameterError
        In one line: a value that is not allowed, or a parameter that was injected but is unknown.
    """
    cells = [source for source in namespace.get("In", []) if source.startswith(INJECTED)]
    names = [*PARTS[part].model_fields, *_assigned("".join(cells[-1:]))]
    return PARTS[part](**{name: namespace[name] for name in names if name in namespace})


def defaults(part):
    """Read the defaults from the parameters cell of a part's notebook; a dict in its order."""
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    try:
        found = literals(nbformat.read(path, as_version=4), "parameters")
    except (OSError, ValueError, SyntaxError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ParameterError(f"{path.name}: its parameters cannot be read ({reason})") from None
    PARTS[part](**found)
    return found


def full(part):
    """Give the values that a full run of a part uses; a dict."""
    return defaults(part) | FULL[part]


def literals(notebook, *tags):
    """Read the values that cells with these tags assign to names; a dict, with lists for tuples."""
    sources = [c.source for c in notebook.cells if {*tags} & {*c.metadata.get("tags", ())}]
    trees = _assigned("\n".join(sources))
    values = {name: ast.literal_eval(tree) for name, tree in trees.items()}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def _assigned(source):
    """Give the names that a cell assigns to, each with the syntax tree of its value."""
    found = {}
    for line in ast.parse(source).body:
        targets = [line.target] if isinstance(line, ast.AnnAssign) else getattr(line, "targets", [])
        found |= {target.id: line.value for target in targets if isinstance(target, ast.Name)}
    return found
