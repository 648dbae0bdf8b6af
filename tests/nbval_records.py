"""nbval with recorded values: a pytest plugin, loaded by the options in pyproject.toml.

Values shown by `notebook.record` are compared as numbers, with the tolerance that was recorded;
what is shown as varying may say anything, but must be there; all else is compared by nbval. Three
things that nbval accepts fail here: other stderr, a cell that was never run, and outputs (pictures
among them) that are missing, added or in another place. Pictures may differ as far as those of two
networks do. Left out: what a notebook must be to be committed (tests/deliverable).
"""

import base64
import io
import math
import os
import re
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image

from helpers.files import PROJECT
from helpers.notebook.cells import PARAMETERS, PARAMETERS_TAG
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import RECORD, VARIES, Record

OTHER_PICTURE = 0.25
"""Mean difference in grey. Other kernels train another network, and it makes other mistakes: their
fifteen pictures differ by 0.19, other figures by 0.02. Noise differs by 0.4 or more."""


class RecordedFile(IPyNbFile):
    """A notebook whose recorded values are compared as numbers.

    What it writes goes to a folder that is deleted afterwards, so that somebody's explored results
    stay. So the folders among the parameters that it shows are not compared.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.skip_compare += (PARAMETERS,)

    def setup(self):
        """Start the kernel, with the helpers beside this file, whichever are installed."""
        self.output = TemporaryDirectory()
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PYTHONPATH", str(PROJECT), prepend=os.pathsep)
            super().setup()

    def teardown(self):
        """End the kernel."""
        super().teardown()
        self.output.cleanup()

    def collect(self):
        """Yield nbval's cells as `RecordedCell`."""
        for cell in super().collect():
            yield RecordedCell.from_parent(
                self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options
            )


class RecordedCell(IPyNbCell):
    """A code cell that is run again and compared with its record."""

    def runtest(self):
        """Refuse a cell that has code but was never run; leave the others to nbval."""
        if self.cell.source.strip() and self.cell.execution_count is None:
            self.raise_cell_error("The notebook holds no run of this cell; record it again")
        if PARAMETERS_TAG in self.cell.metadata.get("tags", []):
            self.cell.source = writing_to(self.parent.output.name, self.cell.source)
        super().runtest()

    def compare_outputs(self, test, ref, skip_compare=None):
        """Compare what came out (`test`) with what was recorded (`ref`)."""
        self.comparison_traceback = differences(ref, test)
        if self.comparison_traceback:
            return False
        literal = [[out for out in side if not _is_special(out)] for side in (test, ref)]
        return super().compare_outputs(*literal, skip_compare)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(parent):
    """Put `RecordedFile` in the place of nbval's own collector."""
    collectors = yield
    return [
        RecordedFile.from_parent(parent, path=each.path) if type(each) is IPyNbFile else each
        for each in collectors
    ]


def writing_to(folder, source):
    """Set another output folder in the source of a parameters cell."""
    return re.sub(r"(?m)^(output_dir\b[^=]*=).*", lambda line: f"{line[1]} {folder!r}", source)


def differences(recorded, computed):
    """Say how the outputs of a cell differ in kinds, places and recorded values; a list of lines.

    The outputs are nbformat's, streams of one name joined.
    """
    was, came = (", ".join(map(_kind, side)) or "nothing" for side in (recorded, computed))
    if was != came:
        both = f"    recorded: {was}\n    came out: {came}"
        return [f"the outputs differ in number, kind or order:\n{both}"]
    lines = map(_difference, recorded, computed)
    return [line for line in lines if line]


def _difference(recorded, computed):
    """Compare one recorded value or picture; None if it agrees, or if nbval looks at it."""
    if "image/png" in recorded.get("data", {}):
        both = (base64.b64decode(out.data["image/png"]) for out in (recorded, computed))
        far = picture_distance(*both)
        return f"the pictures differ: by {far:.2f} of 1" if far > OTHER_PICTURE else None
    if _kind(recorded) != "value":
        return None
    try:
        return _value_difference(_read(recorded), _read(computed))
    except (TypeError, ValueError) as error:
        return f"a recorded value is not valid: {error}"


def _value_difference(was, came):
    """Compare two records; None if they agree."""
    if was.name != came.name:
        return f"recorded {was}, but at its place came out {came}"
    # A computed limit differs in its last bits on another machine; a widened one by far more.
    if was.bound != came.bound or not math.isclose(was.limit, came.limit, rel_tol=1e-6):
        return f"{was.name}: recorded with: {was.allowed()}, but the code says: {came.allowed()}"
    if was.failed or came.failed:
        return f"{was.name} is outside its own bound: recorded {was}, came out {came}"
    if not was.admits(came.value):
        return (
            f"{was.name}: recorded {was.value!r}, came out {came.value!r}, {was.allowed()} "
            f"(they differ by {abs(came.value - was.value):.3g})"
        )
    return None


def picture_distance(first, second):
    """Compare two PNG files: the mean difference in grey, 0 to 1; 1 if they cannot be laid over."""
    pictures = [Image.open(io.BytesIO(png)).convert("L") for png in (first, second)]
    first, second = (np.asarray(each, float) for each in pictures)
    return np.abs(first - second).mean() / 255 if first.shape == second.shape else 1.0


def _read(output):
    """Read a value's payload, and refuse it if the line beside it says something else."""
    entry = Record(**output.data[RECORD])
    if output.data.get("text/plain") != str(entry):
        raise ValueError(f"its line says {output.data.get('text/plain')!r}, its data {entry}")
    return entry


def _kind(output):
    """Name the kind of an output, e.g. "stdout", "value" or "text/plain that varies"."""
    data = output.get("data", {})
    if RECORD in data:
        return "value"
    if output.get("name") == "stderr":
        return f"stderr ({output.text.strip()})"
    shown = " with ".join(sorted(data.keys() - {VARIES, PROGRESS}))
    return f"{shown} that varies" if VARIES in data else shown or output.get("name", "error")


def _is_special(output):
    return not {RECORD, VARIES}.isdisjoint(output.get("data", {}))
