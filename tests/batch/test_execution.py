"""The command on small notebooks: what it publishes, and what faults leave behind."""

import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers import files
from helpers.batch.execution import PartError, execute, refuse_other_parameters
from helpers.batch.progress import say
from helpers.batch.staging import FOLDER
from helpers.notebook import parameters
from helpers.notebook.cells import PARAMETERS

PARAMETERS_CELL = "\n".join(
    f"{name} = {value!r}" for name, value in parameters.defaults("a").items()
)
READ = """from helpers import notebook
settings = notebook.read_parameters("a", globals())
settings"""
WRITE = """(settings.output_dir / "result.txt").write_text(f"alpha {alpha}")
line = notebook.progress_line()
line.update("so far so good")
print("nobody is told")"""
LIMITED = 'notebook.record("validation accuracy", alpha, at_most=1)'
FINISH = "notebook.finish(settings)"
RUN = """import sys
from pathlib import Path
from helpers import data, files
from helpers.batch import execution
from helpers.batch.command_line import main
files.NOTEBOOKS, execution.LINE_EVERY, data.verify = Path(sys.argv[1]), 0, lambda: None
sys.exit(main(sys.argv[2:]))"""
"""The command, on other notebooks, and without reading the data."""
OUTPUT = "run{y} of {alpha}"
"""A folder's name in which papermill would replace a parameter."""


def write_notebook(path, *sources):
    path.parent.mkdir(exist_ok=True)
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python", "version": "3.9"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)


@pytest.fixture
def start(tmp_path):
    """Give a function that starts the command, without a home, on a part A with the cells given."""

    def start_command(*sources):
        write_notebook(tmp_path / "notebooks" / "part_a.ipynb", PARAMETERS_CELL, *sources)
        command = [sys.executable, "-c", RUN, tmp_path / "notebooks", "a", "--quick"]
        command += ["--output", tmp_path / OUTPUT, "-p", "alpha", "1"]
        environment = os.environ | {"HOME": f"{os.devnull}/home"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=files.PROJECT, env=environment, **pipes)

    return start_command


def visible(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def hidden(folder):
    return {path.name for path in folder.glob(".*")} - {".lock"}


def test_a_part_is_published_without_a_trace_of_where_it_ran(start, tmp_path):
    warn = "import warnings; warnings.warn('in /home/somebody')"
    process = start(READ, WRITE, warn, LIMITED, FINISH)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "part_a: so far so good\n" in out and "nobody is told" not in out
    assert out.count("UserWarning: in /home/somebody") == 1
    assert (tmp_path / OUTPUT / "result.txt").read_text() == "alpha 1.0"
    published = nbformat.read(tmp_path / OUTPUT / "part_a.ipynb", 4)
    assert "nobody is told" in str(published) and "UserWarning" not in str(published)
    assert published.metadata.language_info == {"name": "python"}
    injected = parameters.defaults("a") | {"alpha": 1.0, "output_dir": str(tmp_path / "another")}
    path = tmp_path / "notebooks" / "part_a.ipynb"
    assert published == execute(path, tmp_path / "partial.ipynb", injected)
    assert (tmp_path / "another" / "result.txt").exists()


def test_a_failed_part_keeps_its_traceback_and_the_earlier_results(start, tmp_path):
    output = tmp_path / OUTPUT
    output.mkdir()
    (output / "result.txt").write_text("earlier")
    process = start(READ, WRITE, "(settings.output_dir / 'no' / 'x').touch()")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1 and err.count("\n") == 1
    assert err.startswith("python -m helpers: part_a, cell 5: FileNotFoundError: ")
    assert f"{OUTPUT}/no/x'" in err and ".staging" not in err
    assert err.endswith("part_a.failed.ipynb\n") and hidden(output) == set()
    assert visible(output).keys() == {"result.txt", "part_a.failed.ipynb"}
    assert (output / "result.txt").read_text() == "earlier"
    assert "so far so good" in (output / "part_a.failed.ipynb").read_text()


FAILURES = [
    ("import os; os._exit(1)", {}, "Kernel died"),
    ("notebook.record('x', 2, at_most=1)", {}, r"x = 2 \(FAILED: must be at most 1\)"),
    ("'nothing is read'", {"alpha": 0.5}, "alpha = 0.5 was injected, but None read"),
]


@pytest.mark.parametrize(("cell", "injected", "words"), FAILURES)
def test_what_a_notebook_must_not_do(tmp_path, cell, injected, words):
    write_notebook(tmp_path / "n" / "x.ipynb", "from helpers import notebook", cell, "'the end'")
    with pytest.raises(PartError, match=f"^x, {words}$"):
        execute(tmp_path / "n" / "x.ipynb", tmp_path / "partial.ipynb", injected)


def test_a_notebook_that_says_it_has_read_something_else_is_refused():
    injected = {"alpha": 0.5, "seed": 1}
    readings = injected, injected | {"seed": 0}
    shown = [new_output("display_data", {PARAMETERS: read}) for read in readings]
    notebook = new_notebook(cells=[new_code_cell("settings", outputs=shown)])
    with pytest.raises(PartError, match="seed = 1 was injected, but 0 read"):
        refuse_other_parameters(notebook, injected)


def test_a_reader_that_ends_does_not_end_the_run():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        for text in "nobody reads this", "nor what comes later":
            say(text, stream)


def wait_for(folder, pattern):
    deadline = time.monotonic() + 60
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


SLOW = f"""import time
from pathlib import Path
runs = Path(output_dir) / {FOLDER!r}
runs.mkdir(exist_ok=True)
before = len(list(runs.glob("*.npz")))
(runs / f"{{before}}.npz").touch()
time.sleep(100)"""


def end(process, hits):
    """Send signals to a run: all its processes end, and it says so if it can."""
    family = psutil.Process(process.pid).children(recursive=True)
    for hit in hits:
        process.send_signal(hit)
        time.sleep(0.1)
    said = process.communicate(timeout=60)[1]
    if hits == [signal.SIGKILL]:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + hits[0]
        assert said.startswith("python -m helpers: interrupted; what was finished is kept")
    _, alive = psutil.wait_procs(family, timeout=20)
    assert family and not alive


ENDINGS = [[signal.SIGKILL], [signal.SIGINT], [signal.SIGINT] * 2, [signal.SIGTERM]]


def test_the_run_after_one_that_was_ended_goes_on(start, tmp_path):
    output = tmp_path / OUTPUT
    output.mkdir()
    (output / "result.txt").write_text("earlier")
    for number, hits in enumerate(ENDINGS):
        process = start(SLOW)
        # The name says how many runs of the grid were there: those of all processes before.
        wait_for(output, f".staging*/{FOLDER}/{number}.npz")
        end(process, hits)
        assert visible(output) == {"result.txt": b"earlier"}
        if hits != [signal.SIGKILL]:
            assert hidden(output) == {FOLDER}


def test_a_full_disk_names_the_file(tmp_path):
    code = """import resource, sys
from helpers import files
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
files.write_text(sys.argv[1], "x" * 10_000)"""
    command = [sys.executable, "-c", code, tmp_path / "table.csv"]
    done = subprocess.run(command, cwd=files.PROJECT, stderr=subprocess.PIPE, text=True)
    assert f"File too large: '{tmp_path}/table.csv'" in done.stderr
    assert list(tmp_path.iterdir()) == []
