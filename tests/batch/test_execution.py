"""The command on small notebooks: what it publishes, and what faults leave behind."""

import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import files
from helpers.batch.execution import PartError, execute
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
MARK = "HELPERS_TEST_RUN"


def write_notebook(path, *sources):
    path.parent.mkdir(exist_ok=True)
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python", "version": "3.9"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)


@pytest.fixture
def start(tmp_path):
    """Give a function that starts the command on a part A with the cells given."""

    def start_command(*sources, alpha="1", output=None, home=None):
        write_notebook(tmp_path / "notebooks" / "part_a.ipynb", PARAMETERS_CELL, READ, *sources)
        command = [sys.executable, "-c", RUN, tmp_path / "notebooks", "a", "--quick"]
        command += ["--output", output or tmp_path / "output", "-p", "alpha", alpha]
        environment = os.environ | {MARK: str(tmp_path)} | ({"HOME": home} if home else {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=files.PROJECT, env=environment, **pipes)

    return start_command


@pytest.fixture
def run(start):
    """Give a function that runs the command and returns status, stdout and stderr."""

    def run_command(*sources, **options):
        process = start(*sources, **options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    return run_command


def visible(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def hidden(folder):
    return {path.name for path in folder.glob(".*")} - {".lock"}


def test_a_part_is_published(run, tmp_path):
    output = tmp_path / "run{y} of {alpha}"
    warn = "import warnings; warnings.warn('in /home/somebody')"
    status, out, err = run(WRITE, warn, LIMITED, FINISH, output=output, home=f"{os.devnull}/home")
    assert (status, err) == (0, "")
    assert "part_a: so far so good\n" in out and "nobody is told" not in out
    assert out.count("UserWarning: in /home/somebody") == 1
    assert (output / "result.txt").read_text() == "alpha 1.0"
    text = (output / "part_a.ipynb").read_text()
    assert "nobody is told" in text
    assert "UserWarning" not in text and str(output) not in text


def test_nothing_is_recorded_that_varies(tmp_path):
    path = tmp_path / "n" / "part_a.ipynb"
    write_notebook(path, PARAMETERS_CELL, READ, WRITE, LIMITED, FINISH)
    notebooks = []
    for name in "one", "another":
        injected = parameters.defaults("a") | {"output_dir": str(tmp_path / name)}
        notebooks.append(execute(path, tmp_path / "partial.ipynb", injected))
        assert (tmp_path / name / "result.txt").exists()
    recorded, again = notebooks
    assert recorded == again
    assert recorded.metadata.language_info == {"name": "python"}
    assert "output_dir" not in recorded.cells[1].source
    [shown] = [out.data[PARAMETERS] for out in recorded.cells[2].outputs]
    assert shown["alpha"] == 0 and "output_dir" not in shown


def test_a_failed_part_keeps_its_traceback_and_the_earlier_results(run, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    (output / "result.txt").write_text("earlier")
    status, _, err = run(WRITE, "(settings.output_dir / 'no' / 'x').touch()")
    assert status == 1 and err.count("\n") == 1
    assert err.startswith("python -m helpers: part_a, cell 5: FileNotFoundError: ")
    assert "output/no/x'" in err and ".staging" not in err
    assert err.endswith("part_a.failed.ipynb\n") and hidden(output) == set()
    assert visible(output).keys() == {"result.txt", "part_a.failed.ipynb"}
    assert (output / "result.txt").read_text() == "earlier"
    assert "so far so good" in (output / "part_a.failed.ipynb").read_text()


FAILURES = {
    "1 / 0": "cell 2: ZeroDivisionError: division by zero",
    "import os; os._exit(1)": "Kernel died",
    "import sys; sys.exit()": "cell 2: SystemExit:",
    "notebook.record('x', 2, at_most=1)": r"x = 2 \(FAILED: must be at most 1\)",
}


@pytest.mark.parametrize("cell", FAILURES)
def test_what_a_notebook_must_not_do(tmp_path, cell):
    write_notebook(tmp_path / "n" / "x.ipynb", "from helpers import notebook", cell, "'the end'")
    with pytest.raises(PartError, match=f"^x, {FAILURES[cell]}$"):
        execute(tmp_path / "n" / "x.ipynb", tmp_path / "partial.ipynb", {})


def shows(read, **changes):
    """Write a cell that shows parameters as a run does."""
    data = {PARAMETERS: read | changes, "text/plain": ""}
    return f"from IPython.display import display\ndisplay({data!r}, raw=True)"


INJECTED = {"alpha": 0.5, "seed": 1}


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ([shows(INJECTED, seed=0)], "seed = 1 was injected, but 0 read"),
        ([shows(INJECTED), shows({"alpha": 0.5})], "seed = 1 was injected, but None read"),
        (["1"], "alpha = 0.5 was injected, but None read"),
    ],
)
def test_a_notebook_that_says_it_has_read_something_else_fails(tmp_path, sources, words):
    write_notebook(tmp_path / "n" / "x.ipynb", "alpha = 0", *sources)
    with pytest.raises(PartError, match=f"^x, {words}$"):
        execute(tmp_path / "n" / "x.ipynb", tmp_path / "partial.ipynb", INJECTED)


def test_a_reader_that_ends_does_not_end_the_run(start, tmp_path):
    process = start(WRITE, FINISH)
    process.stdout.readline()
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == ("", 0)
    assert (tmp_path / "output" / "result.txt").exists()


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path()


def survivors(tmp_path):
    """List the living processes of a run, with the last one's few seconds to end."""

    def family():
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == str(tmp_path):
                    yield process
            except psutil.Error:
                pass

    return psutil.wait_procs(list(family()), timeout=20)[1]


SLOW = f"""runs = settings.output_dir / {FOLDER!r}
runs.mkdir(exist_ok=True)
before = len(list(runs.glob("*.npz")))
(runs / f"{{before}}.npz").touch()
if alpha == 0.5:
    import time
    time.sleep(100)"""


def end(process, hits):
    """Send signals to a run; look at its exit status, and at what it says if it can."""
    for hit in hits:
        process.send_signal(hit)
        time.sleep(0.1)
    said = process.communicate(timeout=60)[1]
    if hits == [signal.SIGKILL]:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + hits[0]
        assert said.startswith("python -m helpers: interrupted; what was finished is kept")


def test_the_run_after_one_that_was_ended_goes_on(start, run, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    (output / "result.txt").write_text("earlier")
    endings = [[signal.SIGINT], [signal.SIGINT] * 2, [signal.SIGTERM], [signal.SIGKILL]]
    for number, hits in enumerate(endings):
        process = start(SLOW, WRITE, alpha="0.5")
        wait_for(lambda name=f"{number}.npz": list(output.glob(f".staging*/{FOLDER}/{name}")))
        end(process, hits)
        assert survivors(tmp_path) == []
        assert visible(output) == {"result.txt": b"earlier"}
        if hits != [signal.SIGKILL]:
            assert hidden(output) == {FOLDER}
    status, _, err = run(SLOW, WRITE, f"assert before == {len(endings)}")
    assert (status, err) == (0, "") and hidden(output) == {FOLDER}
    assert (output / "result.txt").read_text() == "alpha 1.0"


def test_a_full_disk_names_the_file(tmp_path):
    code = """import resource, sys
from helpers import files
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
files.write_text(sys.argv[1], "x" * 10_000)"""
    command = [sys.executable, "-c", code, tmp_path / "table.csv"]
    done = subprocess.run(command, cwd=files.PROJECT, capture_output=True, text=True)
    assert f"File too large: '{tmp_path}/table.csv'" in done.stderr
    assert list(tmp_path.iterdir()) == []
