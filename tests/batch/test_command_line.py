"""What is asked for is checked before anything runs: one line, exit status 2, nothing written."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import fields

import nbformat
import pytest
from helpers.notebook.settings import describe
from nbformat.v4 import new_code_cell, new_notebook

from helpers import data, files
from helpers.batch import command_line
from helpers.batch import output as batch
from helpers.batch.command_line import main, make_plan, parse
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
    monkeypatch.setattr(command_line, "run", lambda plan, folder: pytest.fail("it ran"))

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        assert (status, shown.out) == (2, "")
        assert shown.err.startswith("python -m helpers: ")
        assert shown.err.count("\n") == 1 and shown.err.endswith("\n")
        return shown.err.removeprefix("python -m helpers: ").strip()

    return run


# Part, parameter, value as typed -> what the line must hold.
BAD = [
    ("a", "learning_rate", '"1e-3"', "learning_rate = '1e-3': expected a number above 0"),
    ("a", "learning_rate", "fast", "learning_rate = 'fast': expected a number above 0"),
    ("a", "learning_rate", "", "learning_rate = '': expected"),
    ("a", "learning_rate", "true", "learning_rate = True: expected"),
    ("a", "learning_rate", "True", "learning_rate = True: expected"),
    ("a", "learning_rate", "null", "learning_rate = None: expected"),
    ("a", "learning_rate", "NaN", "learning_rate = nan: expected"),
    ("a", "learning_rate", "nan", "learning_rate = 'nan': expected"),
    ("a", "learning_rate", "Infinity", "learning_rate = inf: expected"),
    ("a", "learning_rate", "1e999", "learning_rate = inf: expected"),
    ("a", "learning_rate", "0", "learning_rate = 0: expected a number above 0"),
    ("a", "learning_rate", "-0.1", "learning_rate = -0.1: expected a number above 0"),
    ("a", "learning_rate", "0.1,0.2", "learning_rate = (0.1, 0.2): expected a number"),
    ("a", "learning_rate", "0,1", "learning_rate = (0, 1): expected a number"),
    ("a", "learning_rate", '{"rate": 1}', "learning_rate = {'rate': 1}: expected a number"),
    ("a", "learning_rate", "[" * 100_000, "learning_rate = '[[[["),
    ("a", "learning_rate", "9" * 5_000, "learning_rate = '9999"),
    ("a", "learning_rate", "__import__('os')", "expected a number above 0"),
    ("a", "num_epochs", "-1", "num_epochs = -1: expected a whole number at least 0"),
    ("a", "num_epochs", "2.5", "num_epochs = 2.5: expected a whole number"),
    ("a", "num_epochs", "2.0", "num_epochs = 2.0: expected a whole number"),
    ("a", "batch_size", "0", "batch_size = 0: expected a whole number at least 1"),
    ("a", "batch_size", "54001", "at most 54,000"),
    ("a", "hidden_layers", "64,0", "hidden_layers = (64, 0): expected a list"),
    ("a", "hidden_layers", "64,64.5", "each a whole number"),
    ("a", "hidden_layers", '["64"]', "hidden_layers = ['64']: expected a list"),
    ("a", "hidden_layers", "64x64", "hidden_layers = ['64x64']: expected a list"),
    ("a", "alpha", "-0.001", "alpha = -0.001: expected a number at least 0"),
    ("a", "seed", "-1", "seed = -1: expected a whole number at least 0"),
    ("a", "seed", "random", "seed = 'random': expected a whole number"),
    ("b", "step", "0", "step = 0: expected a number above 0"),
    ("b", "num_examples", "101", "num_examples = 101: expected"),
    ("c", "learning_rate", "[]", "learning_rate = []: expected a list of 1 or more"),
    ("c", "learning_rate", "()", "learning_rate = (): expected a list of 1 or more"),
    ("c", "learning_rate", "0.1,0.1", "learning_rate = (0.1, 0.1): expected a list"),
    ("c", "learning_rate", "1,1.0", "different values"),
    ("c", "learning_rate", "0.1,NaN", "learning_rate = ['0.1,NaN']: expected"),
    ("c", "learning_rate", "[0.1,NaN]", "learning_rate = [0.1, nan]: expected"),
    ("c", "num_units", "30,30", "num_units = (30, 30): expected a list of 1 or more different"),
    ("c", "num_units", "30;40", "num_units = ['30;40']: expected a list"),
    ("c", "num_epochs", "0", "num_epochs = [0]: expected a list"),
    ("c", "num_hidden_layers", "-1", "num_hidden_layers = [-1]: expected a list"),
    ("c", "batch_size", "16,60000", "each a whole number at least 1 and at most 54,000"),
    ("c", "executor", "threads", "executor = 'threads': expected one of 'processes', 'dask'"),
    ("c", "executor", "dask", "scheduler = '' and executor = 'dask': expected an address"),
    ("c", "scheduler", "tcp://host:8786", "expected an address such as 'tcp://host:8786' with"),
    ("c", "scheduler", "8786", "scheduler = 8786: expected a text"),
    ("c", "beyond_grid", "1", "beyond_grid = 1: expected true or false"),
    ("c", "beyond_grid", "yes", "beyond_grid = 'yes': expected true or false"),
    ("c", "resume", '"true"', "resume = 'true': expected true or false (a text was given"),
    ("c", "num_workers", "-2", "num_workers = -2: expected a whole number at least 0"),
    ("d", "num_images", "21", "num_images = 21: expected a whole number"),
    ("d", "model_dir", "''", "model_dir = '': expected a text, not empty"),
    ("a", "learning_rat", "0.1", "unknown parameter 'learning_rat' for part a: expected one of "),
    ("a", "lerning-rate", "0.1", "; did you mean learning_rate?"),
    ("c", "num_epoch", "3", "; did you mean num_epochs?"),
    ("c", "units", "3", "; did you mean num_units?"),
    ("b", "learning_rate", "0.1", "unknown parameter 'learning_rate' for part b: expected one of"),
    ("a", "zzz", "0.1", "unknown parameter 'zzz' for part a: expected one of alpha, batch_size"),
    ("a", "", "0.1", "unknown parameter '' for part a: expected one of"),
    ("a", "output_dir", "x", "parameter 'output_dir': set it with --output DIR"),
]


@pytest.mark.parametrize(
    ("part", "name", "value", "line"), BAD, ids=[f"{c[0]}-{c[1]}-{c[2]}"[:40] for c in BAD]
)
def test_a_bad_parameter_is_refused(refused, output, part, name, value, line):
    found = refused(part, "--quick", "--output", output, "-p", name, value)
    assert line in found
    assert found.startswith(("unknown", "parameter")) or "set it in the parameters cell" in found
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["e"], "unknown part 'e': expected some of a, b, c, d"),
        (["a", "part_c"], "unknown part 'part_c': expected some of a, b, c, d"),
        (["ab"], "unknown part 'ab'"),
        ([""], "unknown part ''"),
        (["a", "--resume"], "unknown parameter 'resume' for part a: expected one of"),
        (["a", "--scheduler", "tcp://h:1"], "unknown parameter 'scheduler' for part a"),
        (["c", "--executor", "dask"], "scheduler = '' and executor = 'dask'"),
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
        (["-p", "learning_rate"], "argument -p: expected 2 arguments"),
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
    assert usage.startswith("usage: python -m helpers ") and "Traceback" not in usage
    assert line in error


def test_an_output_folder_that_is_a_file_is_refused(refused, unverified, output):
    output.write_text("mine")
    assert f"{output}: cannot be written (File exists)" in refused("a", "--output", output)
    assert output.read_text() == "mine"


def test_an_output_folder_below_a_file_is_refused(refused, unverified, output):
    output.write_text("mine")
    assert "cannot be written (Not a directory)" in refused("a", "--output", output / "x")
    assert output.read_text() == "mine"


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="no /proc")
def test_an_unwritable_output_folder_is_refused(refused, unverified):
    assert "/proc/results: cannot be written (" in refused("a", "--output", "/proc/results")


def test_a_full_disk_is_refused(refused, unverified, output, monkeypatch):
    usage = shutil.disk_usage(output.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=999))
    assert "(0 MB free, 50 MB needed); use --output" in refused("a", "--output", output)
    assert not output.exists()


def test_a_folder_in_use_is_refused(refused, unverified, output):
    with batch.output_lock(output):
        before = sorted(output.iterdir())
        assert f"{output}: in use by process {os.getpid()} on " in refused("a", "--output", output)
        assert sorted(output.iterdir()) == before


def test_part_d_without_a_model_is_refused(refused, unverified, output):
    assert "best_model.json" in refused("d", "--output", output)
    assert not output.exists()


def test_part_d_after_part_c_needs_no_model_yet(unverified, output):
    assert list(make_plan(parse(["d", "C", "--quick"]), output)) == ["c", "d"]


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
    options = parse(arguments)
    return make_plan(options, options.output)


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


def test_shortcuts_are_parameters(unverified):
    options = ["--resume", "--executor", "dask", "--scheduler", "tcp://host:8786"]
    found = plan("c", "--quick", *options)["c"]
    assert found == {
        "output_dir": "outputs/quick",
        "resume": True,
        "executor": "dask",
        "scheduler": "tcp://host:8786",
    }


def test_a_relative_output_folder_is_taken_from_the_current_one(unverified, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = plan("a", "--quick", "--output", "here")["a"]
    assert found["output_dir"] == (tmp_path / "here").as_posix()


def test_help_lists_every_parameter_with_default_meaning_and_range(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ending.value.code == 0
    for part, kind in PARTS.items():
        section = shown.split(f"\npart {part}: ")[1].split("\npart ")[0]
        for field in fields(kind):
            meaning, limits = field.metadata["meaning"], field.metadata["limits"]
            default = command_line._defaults(part)[field.name]
            expected = f"  {field.name} = {default!r}\n      {meaning}: "
            assert expected + describe(field.type, limits) in section


def test_nothing_but_one_line_and_the_status_from_the_shell(tmp_path):
    command = [sys.executable, "-m", "helpers", "a", "-p", "batch_size", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=files.PROJECT)
    assert (done.returncode, done.stdout) == (2, "")
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


@pytest.fixture
def part_a(tmp_path, monkeypatch, unverified):
    """Give a function that puts a notebook with the cells given in the place of part A."""
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(command_line, "LINE_EVERY", 0)

    def make(*sources, parameters=PARAMETERS):
        command_line._defaults.cache_clear()
        cells = [new_code_cell(source) for source in (parameters, *sources)]
        cells[0].metadata["tags"] = ["parameters"]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, tmp_path / "part_a.ipynb")

    yield make
    command_line._defaults.cache_clear()


WRITE = """from helpers import files
files.write_text(files.output_folder(output_dir) / "result.txt", f"alpha {alpha}")
"""


def test_a_failed_part_keeps_its_traceback_and_the_earlier_results(part_a, output, capsys):
    request = ["a", "--quick", "--output", str(output)]
    part_a(WRITE)
    assert main([*request, "-p", "alpha", "1"]) == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    assert {"part_a.ipynb", "result.txt", "report.html"} < before.keys()
    assert (output / "result.txt").read_text() == "alpha 1.0"
    capsys.readouterr()

    part_a(WRITE, "print('so far')", "1 / 0")
    assert main(request) == 1
    shown = capsys.readouterr()
    failed = output / "part_a.failed.ipynb"
    assert shown.err == (
        "python -m helpers: part_a, cell 5: ZeroDivisionError: division by zero; "
        f"see {os.path.relpath(failed)}\n"
    )
    assert "part a: so far\n" in shown.out and "part a: stopped after " in shown.out
    text = failed.read_text()
    assert "ZeroDivisionError" in text and "papermill-error-cell" in text
    assert '"papermill": {' not in text, "times and paths are stripped"
    after = {path.name: path.read_bytes() for path in output.iterdir() if path != failed}
    assert after == before

    part_a(WRITE)
    assert main(request) == 0
    assert not failed.exists()
    assert (output / "result.txt").read_text() == "alpha 0.0"


def test_a_dead_kernel_is_reported_at_once(part_a, output, capfd):
    part_a("print('so far')", "import os", "os._exit(1)")
    assert main(["a", "--quick", "--output", str(output)]) == 1
    shown = capfd.readouterr()
    assert shown.err == (
        "python -m helpers: part_a, cell 5: the kernel died; "
        f"see {os.path.relpath(output / 'part_a.failed.ipynb')}\n"
    )
    assert "so far" in (output / "part_a.failed.ipynb").read_text()
    assert not list(output.glob(".staging*"))


def test_what_killed_kernels_left_is_swept_up(part_a, output, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    names = f"helpers-{os.getpid()}-a-kernel.json", f"helpers-{dead.pid}-b-kernel.json", "else.json"
    for name in names:
        (tmp_path / "temporary" / name).touch()
    part_a(WRITE)
    assert main(["a", "--quick", "--output", str(output)]) == 0
    left = {path.name for path in (tmp_path / "temporary").glob("*.json")}
    assert left == {names[0], names[2]}


def test_the_kernel_imports_the_copy_of_the_project_that_runs_it(tmp_path):
    copied = tmp_path / "helpers"
    shutil.copytree(files.PROJECT / "helpers", copied)
    notebook = new_notebook(cells=[new_code_cell("import helpers; helpers.__file__")])
    nbformat.write(notebook, tmp_path / "n.ipynb")
    where = tmp_path / "elsewhere"
    where.mkdir()
    call = f"notebooks.execute(Path('n.ipynb'), Path('done.ipynb'), {{}}, Path({str(where)!r}))"
    code = f"from pathlib import Path; from helpers import notebooks; {call}"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    assert str(copied) in done.cells[0].outputs[0].data["text/plain"]


def test_a_bad_default_in_a_notebook_is_refused(part_a, refused, output):
    part_a(parameters=PARAMETERS.replace("seed = 0", "seed = -1"))
    assert "seed = -1: expected a whole number at least 0" in refused("a", "--output", output)
    part_a(parameters=PARAMETERS.replace("[4]", "[4] * 3"))
    assert "part_a.ipynb: its parameters cannot be read" in refused("a", "--output", output)
    part_a(parameters=PARAMETERS.replace("seed", "sed"))
    assert "unknown or missing in its parameters cell: ['sed', 'seed']" in refused("a")
    (files.NOTEBOOKS / "part_a.ipynb").write_text("{")
    command_line._defaults.cache_clear()
    assert "part_a.ipynb: its parameters cannot be read" in refused("a", "--output", output)
    (files.NOTEBOOKS / "part_a.ipynb").unlink()
    command_line._defaults.cache_clear()
    assert "part_a.ipynb: its parameters cannot be read" in refused("a", "--output", output)
    assert not output.exists()


def test_a_signal_that_python_dropped_is_raised_again(part_a, output, monkeypatch, capsys):
    part_a("1")
    monkeypatch.setattr(command_line, "_received", [15])
    assert main(["a", "--quick", "--output", str(output)]) == 143
    assert capsys.readouterr().err.startswith("python -m helpers: interrupted; ")
