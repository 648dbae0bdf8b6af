"""What is asked for is checked before anything runs, in one line; what runs tells how it goes."""

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import data, files, models
from helpers.batch import command_line, execution, signals
from helpers.batch import output as batch
from helpers.batch.command_line import main
from helpers.batch.request import make_plan, parse
from helpers.notebook import parameters
from helpers.notebook.parameters import FULL, PARTS


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


@pytest.fixture
def unverified(monkeypatch):
    """Skip the second it takes to read the data, for tests of something else."""
    monkeypatch.setattr(data, "verify", lambda: None)


@pytest.fixture
def refused(capsys, monkeypatch):
    """Give a function that expects a request to be refused, and returns the one line."""
    monkeypatch.setattr(command_line, "run", lambda *request: pytest.fail("it ran"))

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        assert (status, shown.out) == (2, "")
        assert shown.err.startswith("python -m helpers: ")
        assert shown.err.count("\n") == 1 and shown.err.endswith("\n")
        return shown.err.removeprefix("python -m helpers: ").strip()

    return run


# Part, parameter, value as typed -> what the line must hold; more in tests/notebook.
BAD = [
    ("a", "learning_rate", '"1e-3"', "learning_rate = '1e-3': expected a number above 0"),
    ("a", "learning_rate", "fast", "learning_rate = 'fast': expected a number above 0"),
    ("a", "learning_rate", "", "learning_rate = '': expected"),
    ("a", "learning_rate", "true", "learning_rate = True: expected"),
    ("a", "learning_rate", "True", "learning_rate = True: expected"),
    ("a", "learning_rate", "null", "learning_rate = None: expected"),
    ("a", "learning_rate", "NaN", "learning_rate = nan: expected"),
    ("a", "learning_rate", "1e999", "learning_rate = inf: expected"),
    ("a", "learning_rate", "-0.1", "learning_rate = -0.1: expected a number above 0"),
    ("a", "learning_rate", "0.1,0.2", "learning_rate = (0.1, 0.2): expected a number"),
    ("a", "learning_rate", '{"rate": 1}', "learning_rate = {'rate': 1}: expected a number"),
    ("a", "learning_rate", "[" * 100_000, "learning_rate = '[[[["),
    ("a", "learning_rate", "9" * 5_000, "learning_rate = '9999"),
    ("a", "learning_rate", "__import__('os')", "expected a number above 0"),
    ("a", "num_epochs", "9" * 24, "expected a whole number at least 0 and at most 10,000"),
    ("a", "num_epochs", "2.0", "num_epochs = 2.0: expected a whole number"),
    ("a", "hidden_layers", "64,0", "hidden_layers = (64, 0): expected a list"),
    ("a", "hidden_layers", '["64"]', "hidden_layers = ['64']: expected a list"),
    ("a", "hidden_layers", "64x64", "hidden_layers = ['64x64']: expected a list"),
    ("c", "learning_rate", "()", "learning_rate = (): expected a list of 1 or more"),
    ("c", "learning_rate", "1,1.0", "different values"),
    ("c", "learning_rate", "0.1,NaN", "learning_rate = ['0.1,NaN']: expected"),
    ("c", "learning_rate", "[0.1,NaN]", "learning_rate = [0.1, nan]: expected"),
    ("c", "num_epochs", "0", "num_epochs = [0]: expected a list"),
    ("c", "executor", "dask", "scheduler = '' and executor = 'dask': expected an address"),
    ("c", "scheduler", "8786", "scheduler = 8786: expected a text"),
    ("c", "resume", '"true"', "resume = 'true': expected true or false (a text was given"),
    ("d", "model_dir", "''", "model_dir = '': expected a text, not empty"),
    ("a", "learning_rat", "0.1", "; did you mean learning_rate?"),
    ("b", "learning_rate", "0.1", "unknown parameter 'learning_rate': expected one of alpha, "),
    ("a", "", "0.1", "unknown parameter '': expected one of"),
    ("a", "output_dir", "x", "parameter 'output_dir': set it with --output DIR"),
]


@pytest.mark.parametrize(
    ("part", "name", "value", "line"), BAD, ids=[f"{c[0]}-{c[1]}-{c[2]}"[:40] for c in BAD]
)
def test_a_bad_parameter_is_refused(refused, output, part, name, value, line):
    assert line in refused(part, "--quick", "--output", output, "-p", name, value)
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["e"], "unknown part 'e': expected some of a, b, c, d"),
        (["a", "part_c"], "unknown part 'part_c': expected some of a, b, c, d"),
        ([""], "unknown part ''"),
        (["a", "--resume"], "unknown parameter 'resume': expected one of"),
        (["a", "--scheduler", "tcp://h:1"], "unknown parameter 'scheduler'"),
        (["c", "--executor", "dask", "--scheduler", "tcp://h"], "expected an address such as"),
        (["c", "--scheduler", "tcp://h:1"], "executor = 'processes'"),
    ],
    ids=str,
)
def test_a_bad_request_is_refused(refused, output, arguments, line):
    assert line in refused(*arguments, "--output", output)
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--quik"], "unrecognized arguments: --quik"),
        (["-p", "learning_rate", "-Infinity"], "argument -p: expected 2 arguments"),
        (["c", "--executor", "threads"], "argument --executor: invalid choice: 'threads'"),
        (["--output"], "argument --output: expected one argument"),
        (["--output", ""], "argument --output: expected a folder, got an empty text"),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_read_is_refused(capsys, arguments, line):
    with pytest.raises(SystemExit) as ending:
        main(arguments)
    shown = capsys.readouterr()
    assert (ending.value.code, shown.out) == (2, "")
    usage, error = shown.err.strip().rsplit("\n", 1)
    assert usage.startswith("usage: python -m helpers ") and line in error


@pytest.mark.parametrize(
    ("below", "reason"),
    [("", "File exists"), ("x", "Not a directory")],
)
def test_a_file_in_the_place_of_the_output_folder_is_refused(
    refused, unverified, output, below, reason
):
    output.write_text("mine")
    folder = output / below
    assert f"{folder}: cannot be written ({reason})" in refused("a", "--output", folder)
    assert output.read_text() == "mine"


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="no /proc")
def test_an_unwritable_output_folder_is_refused(refused, unverified):
    assert "/proc/results: cannot be written (" in refused("a", "--output", "/proc/results")


def test_a_folder_in_use_is_refused(refused, unverified, output):
    with batch.output_lock(output):
        before = sorted(output.iterdir())
        assert f"{output}: in use by process {os.getpid()} on " in refused("a", "--output", output)
        assert sorted(output.iterdir()) == before


@pytest.mark.parametrize("place", ["outputs/nowhere", "/etc/passwd", "{seed}"])
def test_part_d_without_a_model_is_refused(refused, unverified, output, place):
    assert "best_model" in refused("d", "--output", output, "-p", "model_dir", place)
    assert "best_model" in refused("d", "--output", output)
    assert not output.exists()


def test_part_d_after_part_c_needs_no_model_yet(unverified, output):
    assert list(plan("d", "C", "--quick", "--output", str(output))) == ["c", "d"]


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_damaged_data_are_refused(refused, output, tmp_path, monkeypatch, damage):
    name = "t10k-labels-idx1-ubyte.gz"
    for path in files.DATA.glob("*.gz"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / name).unlink()
    if damage == "cut off":
        (tmp_path / name).write_bytes((files.DATA / name).read_bytes()[:1000])
    monkeypatch.setattr(data.verify, "__defaults__", (tmp_path,))
    line = refused("a", "--output", output)
    assert line.startswith(f"{name}: ") and data.REMEDY in line
    assert not output.exists()


def plan(*arguments):
    return make_plan(parse(arguments))


@pytest.mark.parametrize("text", ["3,4,5", "[3,4,5]", "(3, 4, 5)", "3, 4, 5"])
def test_ways_to_write_a_list(unverified, text):
    assert plan("c", "-p", "num_units", text)["c"]["num_units"] == [3, 4, 5]


@pytest.mark.parametrize("text", ["0.05", "5e-2", ".05", "5E-2"])
def test_a_number_fits_a_number_and_a_list(unverified, text):
    found = plan("a", "c", "-p", "learning_rate", text)
    assert found["a"]["learning_rate"] == 0.05
    assert found["c"]["learning_rate"] == [0.05]


def test_a_full_run_injects_the_grid_and_a_quick_one_the_folder_only(unverified):
    full, quick = plan(), plan("--quick")
    assert list(full) == list(quick) == ["a", "b", "c", "d"]
    assert full["c"] == FULL["c"] | {"output_dir": "outputs"}
    assert full["d"] == {"output_dir": "outputs", "model_dir": "outputs"}
    assert quick["c"] == {"output_dir": "outputs/quick"}


def test_changed_parameters_leave_the_recorded_results_alone(unverified, tmp_path, monkeypatch):
    changed = plan("a", "d", "-p", "alpha", "0.1", "-p", "num_images", "3")
    assert {each["output_dir"] for each in changed.values()} == {"outputs/changed"}
    assert changed["d"]["model_dir"] == "outputs"
    monkeypatch.setattr(models, "load_model", lambda folder: pytest.fail(f"looked into {folder}"))
    both = plan("c", "d", "-p", "alpha", "0.1")
    assert both["d"]["model_dir"] == "outputs/changed"
    assert plan("a", "--quick", "-p", "alpha", "0.1")["a"]["output_dir"] == "outputs/quick"
    monkeypatch.chdir(tmp_path)
    here = plan("a", "-p", "alpha", "0.1", "--output", "here")["a"]["output_dir"]
    assert here == (tmp_path / "here").as_posix()


def test_how_part_c_works_is_no_change(unverified):
    options = ["--resume", "--executor", "dask", "--scheduler", "tcp://host:8786"]
    found = plan("c", *options, "-p", "num_workers", "1")["c"]
    assert found == FULL["c"] | {
        "output_dir": "outputs",
        "resume": True,
        "executor": "dask",
        "scheduler": "tcp://host:8786",
        "num_workers": 1,
    }


def test_help_shows_what_the_command_uses_and_nothing_that_is_refused(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ending.value.code == 0
    assert "examples:" in shown and "output_dir" not in shown
    for part, kind in PARTS.items():
        section = shown.split(f"\npart {part}, about ")[1].split("\npart ")[0]
        for name in kind.model_fields.keys() - {"output_dir", "model_dir"}:
            full, quick = parameters.full(part)[name], parameters.defaults(part)[name]
            small = f"   (quick: {quick!r})" if full != quick else ""
            words = f"{kind.model_fields[name].description}: {parameters.allowed(part, name)}"
            assert f"  {name} = {full!r}{small}\n      {words}\n" in section + "\n"
    assert "num_units = [30, 40, 50]   (quick: [30, 50])" in shown


SHELL = [sys.executable, "-m", "helpers", "a", "-p", "batch_size", "0"]


@pytest.mark.parametrize("closed", [[], ["stdout"], ["stdin", "stdout"]], ids=str)
def test_nothing_but_one_line_and_the_status_from_the_shell(closed):
    shut = " ".join({"stdin": "<&-", "stdout": ">&-"}[name] for name in closed)
    command = ["sh", "-c", f'exec "$@" {shut}', "sh", *SHELL]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=files.PROJECT)
    assert done.returncode == 2
    assert done.stderr == (
        "python -m helpers: batch_size = 0: expected a whole number at least 1 and at most 54,000; "
        "set it in the parameters cell or with -p batch_size VALUE\n"
    )


PARAMETERS = """hidden_layers = [4]
num_epochs = 1
batch_size = 8
learning_rate = 0.01
alpha = 0.0
seed = 0
output_dir = "outputs/quick"
"""
WRITE = """from helpers import notebook
settings = notebook.read_parameters("a", globals())
(settings.folder / "result.txt").write_text(f"alpha {alpha}")
line = notebook.live()
line.update("so far so good")
print("no line made for it")"""
LIMITED = 'notebook.record("validation accuracy", alpha, at_most=1)'
FINISH = "notebook.finish(settings)"


def write_notebook(path, *sources):
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture
def part_a(tmp_path, monkeypatch, unverified):
    """Give a function that puts a notebook with the cells given in the place of part A."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(command_line, "LINE_EVERY", 0)
    return lambda *sources: write_notebook(files.NOTEBOOKS / "part_a.ipynb", PARAMETERS, *sources)


def visible(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def test_a_failed_part_keeps_its_traceback_and_the_earlier_results(part_a, tmp_path, capsys):
    output = tmp_path / "run{y} of {alpha}"
    request = ["a", "--quick", "--output", str(output)]
    part_a(WRITE, LIMITED, FINISH)
    assert main([*request, "-p", "alpha", "1"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith(f"part a into {os.path.relpath(output)}: about ")
    assert "part a: so far so good\n" in shown.out and "no line made for it" not in shown.out
    assert "part a: done in " in shown.out and "\n    validation accuracy = 1\n" in shown.out
    before = visible(output)
    assert {"part_a.ipynb", "result.txt", "report.html"} < before.keys()
    assert before["result.txt"] == b"alpha 1.0"
    recorded = nbformat.reads(before["part_a.ipynb"].decode(), as_version=4)
    typed = f"python -m helpers a --quick --output '{output}' -p alpha 1"
    assert recorded.metadata.pop("helpers") == {"command": typed}
    assert recorded.metadata.keys() == {"kernelspec", "language_info"}

    failed = output / "part_a.failed.ipynb"
    for cell, reason in {
        "1 / 0": "ZeroDivisionError: division by zero",
        "import os; os._exit(1)": "the kernel died",
        "raise notebook.parameters.ParameterError('one line')": "ParameterError: one line",
    }.items():
        part_a(WRITE, cell, FINISH)
        assert main(request) == 1
        shown = capsys.readouterr()
        where = f"see {os.path.relpath(failed)}"
        assert shown.err == f"python -m helpers: part_a, cell 4: {reason}; {where}\n"
        assert "part a: stopped after " in shown.out
        text = failed.read_text()
        assert "so far so good" in text and '"papermill": {' not in text
        assert {k: v for k, v in visible(output).items() if k != failed.name} == before
        assert not list(output.glob(".staging*"))

    part_a(WRITE, FINISH)
    assert main(request) == 0
    assert not failed.exists()
    assert (output / "result.txt").read_text() == "alpha 0.0"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ((LIMITED, FINISH), "cell 5: RecordError: validation accuracy = 2   (FAILED: must be"),
        ((LIMITED,), "part_a, validation accuracy = 2   (FAILED: must be at most 1)"),
        (("import sys; sys.exit()", FINISH), "part_a, it ended before its last cell"),
    ],
    ids=["finish", "no finish", "exit"],
)
def test_what_a_notebook_must_not_do_fails_the_run(part_a, output, capsys, cells, reason):
    part_a(WRITE, *cells)
    assert main(["a", "--quick", "--output", str(output), "-p", "alpha", "2"]) == 1
    assert " ".join(reason.split()) in " ".join(capsys.readouterr().err.split())
    assert not (output / "part_a.ipynb").exists()


def test_a_kernel_whose_port_was_taken_is_started_once_more(part_a, output, monkeypatch, capsys):
    part_a("1")
    start, failures = execution._Client.start_new_kernel_client, [2]

    def fail(self, **kwargs):
        if failures:
            failures.pop()
            self.km._kernel_id = None
            raise RuntimeError("Kernel died before replying to kernel_info")
        return start(self, **kwargs)

    monkeypatch.setattr(execution._Client, "start_new_kernel_client", fail)
    assert main(["a", "--quick", "--output", str(output)]) == 0
    failures += [1, 2]
    assert main(["a", "--quick", "--output", str(output)]) == 1
    assert "part_a: Kernel died before replying to kernel_info (" in capsys.readouterr().err


def test_a_terminal_of_80_columns_shows_the_validation_accuracy(monkeypatch):
    control, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    monkeypatch.setenv("COLUMNS", "80")
    line = "epoch  99  training: 0.4321, 85.12%  validation: 0.4512, 84.22%"
    with os.fdopen(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        with command_line.ProgressLine("a") as progress:
            progress.show("a line too long for its room " * 9 + "but for its end")
            progress.show(line)
    shown = ""
    with contextlib.suppress(OSError):  # the end of what a closed terminal showed
        while part := os.read(control, 10_000):
            shown += part.decode()
    os.close(control)
    first, last, *_ = [each for each in shown.split("\r") if "part a 0" in each][-2:]
    assert len(first.strip()) <= 80 and first.rstrip().endswith("but for its end")
    assert len(last.strip()) <= 80 and last.rstrip().endswith(" ".join(line.split()))
    assert "done in 0 s" in shown


def test_the_kernel_imports_the_copy_of_the_project_that_runs_it(tmp_path):
    shutil.copytree(files.PROJECT / "helpers", tmp_path / "helpers")
    write_notebook(tmp_path / "n.ipynb", "import helpers; helpers.__file__")
    call = "execute(Path('n.ipynb').resolve(), Path('done.ipynb').resolve(), {})"
    code = f"from pathlib import Path; from helpers.batch.execution import execute; {call}"
    environment = os.environ | {"PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    assert str(tmp_path / "helpers") in done.cells[0].outputs[0].data["text/plain"]


def test_a_signal_that_python_dropped_is_raised_again(part_a, output, monkeypatch, capsys):
    part_a("1")
    monkeypatch.setattr(signals, "received", [signal.SIGTERM])
    assert main(["a", "--quick", "--output", str(output)]) == 143
    kept = "python -m helpers: interrupted; finished parts are kept"
    assert capsys.readouterr().err == f"{kept}\n"
    (files.grid_folder(output)).mkdir()
    (files.grid_folder(output) / "unit.npz").touch()
    assert main(["a", "--quick", "--output", str(output)]) == 143
    assert capsys.readouterr().err.startswith(f"{kept}, and 1 units of the grid, with which --res")
