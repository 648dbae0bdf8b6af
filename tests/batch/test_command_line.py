"""What is asked for is checked before anything runs, in one line; what runs tells how it goes."""

import os
import re
import shutil
import signal
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import data, files
from helpers.batch import execution, parts, progress, signals
from helpers.batch.command_line import main
from helpers.batch.request import PARTS, make_plan, read_request
from helpers.grid import workers
from helpers.notebook import parameters
from helpers.notebook.output import grid_folder, output_lock


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


@pytest.fixture(autouse=True)
def signals_as_before(monkeypatch):
    """Let a run in this process change neither its handlers nor what they have noted."""
    monkeypatch.setattr(signals, "_received", [])
    before = {number: signal.getsignal(number) for number in signals.ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def unverified(monkeypatch):
    """Skip the second it takes to read the data, for tests of something else."""
    monkeypatch.setattr(data, "verify", lambda: None)


@pytest.fixture
def refused(capsys, monkeypatch):
    """Give a function that expects a request to be refused, and returns the one line."""
    monkeypatch.setattr(parts, "run", lambda *request: pytest.fail("it ran"))

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        assert (status, shown.out) == (2, "")
        assert shown.err.startswith("python -m helpers: ")
        assert shown.err.count("\n") == 1 and shown.err.endswith("\n")
        return shown.err.removeprefix("python -m helpers: ").strip()

    return run


# What is typed -> what the line must hold; what a parameter accepts is tested in tests/notebook.
BAD = {
    "a -p learning_rate fast": "learning_rate = 'fast'",
    "a -p learning_rate ": "learning_rate = ''",
    "a -p learning_rate 0.1,0.2": "learning_rate = (0.1, 0.2)",
    "a -p learning_rate " + "[" * 100_000: "learning_rate = '[[[[",
    "a -p learning_rate " + "9" * 5_000: "learning_rate = '9999",
    "a -p learning_rate __import__('os')": "learning_rate = ",
    "a -p hidden_layers 64x64": "hidden_layers = ['64x64']",
    "c -p executor dask": "scheduler = ''",
    "a -p learning_rat 0.1": "did you mean learning_rate?",
    "b -p learning_rate 0.1": "unknown parameter 'learning_rate'",
    "a -p learning_rate": "-p: expected 2 arguments",
    "a -p output_dir x": "--output DIR",
    "a E": "unknown part 'E'",
    "": "unknown part ''",
    "a --resume": "unknown parameter 'resume'",
    "a --quik": "unknown option --quik; did you mean --quick?",
    "c --executor threads": "--executor: invalid choice: 'threads'",
}


@pytest.mark.parametrize("typed", BAD, ids=lambda typed: typed[:40])
def test_a_bad_request_is_refused(refused, output, typed):
    assert BAD[typed] in refused(*typed.split(" "), "--quick", "--output", output)
    assert not output.exists()


@pytest.mark.parametrize("folder", ["", "~nobody-has-this-name/x"])
def test_a_folder_that_cannot_be_named_is_refused(refused, folder):
    assert "--output" in refused("a", "--output", folder)


@pytest.mark.parametrize(
    ("below", "reason"), [(".", "File exists"), ("x", "Not a directory"), ("/proc/results", "")]
)
def test_a_folder_that_cannot_be_is_refused(refused, unverified, output, below, reason):
    output.write_text("mine")
    folder = output / below
    assert f"{folder}: cannot be written ({reason}" in refused("a", "--output", folder)
    assert output.read_text() == "mine"


def test_a_folder_in_use_is_refused(refused, unverified, output):
    with output_lock(output):
        before = sorted(output.iterdir())
        assert f"{output}: in use by " in refused("a", "--output", output)
        assert sorted(output.iterdir()) == before


@pytest.mark.parametrize("place", ["outputs/nowhere", "/etc/passwd", "{seed}"])
def test_part_d_without_a_model_is_refused(refused, unverified, output, place):
    assert "best_model" in refused("d", "--output", output, "-p", "model_dir", place)
    assert "best_model" in refused("d", "--output", output)
    assert not output.exists()


def test_damaged_data_are_refused(refused, output, tmp_path, monkeypatch):
    for path in files.DATA.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr(files, "DATA", tmp_path)
    assert data.REMEDY in refused("a", "--output", output)
    assert not output.exists()


def test_few_open_files_are_refused(refused, output, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64))
    assert refused("a", "--output", output) == "only 64 open files are allowed: ulimit -n 128"


def test_an_installed_copy_asks_for_the_project_s_folder(refused, output, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "PROJECT", tmp_path)
    assert refused("a", "--output", output).endswith("pip install -e .")


def test_a_cluster_is_looked_at_before_anything_runs(refused, unverified, output, monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 1)
    line = refused("c", "--quick", "--scheduler", "tcp://127.0.0.1:9", "--output", output)
    assert "tcp://127.0.0.1:9" in line


def asked(*arguments):
    return read_request(arguments)


def plan(*arguments):
    return make_plan(asked(*arguments))


@pytest.mark.parametrize(
    ("text", "value"),
    [("3,4,5", [3, 4, 5]), ("[3,4]", [3, 4]), ("(3, 4)", [3, 4]), ("5e-2", [0.05]), (".5", [0.5])],
)
def test_ways_to_write_a_list(text, value):
    assert plan("c", "-p", "learning_rate", text)["c"]["learning_rate"] == value


def test_every_parameter_is_injected_so_that_an_explored_cell_changes_nothing():
    full, quick = plan(), plan("--quick")
    assert list(full) == list(quick) == ["a", "b", "c", "d"]
    for part in PARTS:
        assert full[part] == parameters.full(part) | {"output_dir": "outputs"}
    assert quick["c"] == parameters.defaults("c") | {"output_dir": "outputs/quick"}


def test_changed_parameters_leave_the_recorded_results_alone(tmp_path, monkeypatch):
    changed = plan("a", "d", "-p", "alpha", "0.1", "-p", "num_images", "3")
    assert {each["output_dir"] for each in changed.values()} == {"outputs/changed"}
    assert changed["d"]["model_dir"] == "outputs"
    both = plan("d", "C", "-p", "alpha", "0.1")
    assert list(both) == ["c", "d"] and both["d"]["model_dir"] == "outputs/changed"
    assert plan("a", "--quick", "-p", "alpha", "0.1")["a"]["output_dir"] == "outputs/quick"


def test_an_output_folder_is_found_from_where_it_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    here = plan("a", "-p", "alpha", "0.1", "--output", "here")["a"]["output_dir"]
    assert here == (tmp_path / "here").as_posix()
    assert plan("a", "--output", ".")["a"]["output_dir"] == tmp_path.as_posix()
    assert asked("a", "--output=~/res").output_dir == tmp_path / "home" / "res"


def test_how_part_c_works_is_no_change():
    options = "c --resume --scheduler tcp://host:8786 -p num_workers 1"
    how = {"resume": True, "executor": "dask", "scheduler": "tcp://host:8786", "num_workers": 1}
    assert plan(*options.split())["c"] == parameters.full("c") | {"output_dir": "outputs"} | how
    assert asked(*options.split()).command("c") == "python -m helpers c"


def test_the_command_that_is_stored_finds_the_same():
    words = "a --quick c -p learning_rate 0.1 -p num_units [4,5] --output x"
    first = asked(*words.split())
    assert first.command("a") == "python -m helpers a --quick -p learning_rate 0.1"
    again = asked(*first.command("c").replace("'", "").split()[3:])
    found, expected = make_plan(again)["c"], make_plan(first)["c"]
    assert found | {"output_dir": ""} == expected | {"output_dir": ""}


def test_help_shows_what_the_command_uses_and_nothing_that_is_refused(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ending.value.code == 0 and "output_dir" not in shown
    for part, kind in PARTS.items():
        section = shown.split(f"\npart {part}, ")[1].split("\npart ")[0]
        for name in kind.model_fields.keys() - {"output_dir", "model_dir"}:
            assert f"  {name} = {parameters.full(part)[name]!r}" in section
    assert "num_units = [30, 40, 50]   (quick: [30, 50])" in shown


@pytest.mark.parametrize("closed", ["", ">&-", "<&- >&-"])
def test_nothing_but_one_line_and_the_status_from_the_shell(closed):
    command = f"exec '{sys.executable}' -m helpers a -p batch_size 0 {closed}"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, cwd=files.PROJECT)
    assert done.returncode == 2
    assert done.stderr.startswith("python -m helpers: batch_size = 0: ")
    assert done.stderr.count("\n") == 1


PARAMETERS = "\n".join(f"{name} = {value!r}" for name, value in parameters.defaults("a").items())
WRITE = """from helpers import notebook
settings = notebook.read_parameters("a", globals())
(settings.output_dir / "result.txt").write_text(f"alpha {alpha}")
line = notebook.progress_line()
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
    monkeypatch.setattr(progress, "LINE_EVERY", 0)
    return lambda *sources: write_notebook(files.NOTEBOOKS / "part_a.ipynb", PARAMETERS, *sources)


def visible(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def test_a_part_is_published_without_what_varies(part_a, tmp_path, capsys):
    output = tmp_path / "run{y} of {alpha}"
    warn = "import warnings; warnings.warn('in /home/somebody')"
    part_a(WRITE, warn, LIMITED, FINISH)
    assert main(["a", "--quick", "--output", str(output), "-p", "alpha", "1"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and "no line made for it" not in shown.out
    assert shown.out.startswith(f"part a into {os.path.relpath(output)}: ")
    assert "part a: so far so good\n" in shown.out
    assert shown.out.count("left out of the notebook, a warning: ") == 1
    assert re.search(
        r"part a: done in \d+ s\n(.*warning.*\n)    validation accuracy = 1\n", shown.out
    )
    assert (output / "result.txt").read_text() == "alpha 1.0"
    recorded = nbformat.read(output / "part_a.ipynb", as_version=4)
    assert recorded.metadata.pop("helpers") == {"command": "python -m helpers a --quick -p alpha 1"}
    assert recorded.metadata.keys() == {"kernelspec", "language_info"}
    kept = [(cell.id, cell.metadata.tags) for cell in recorded.cells if cell.metadata]
    assert kept[1:] == [("injected-parameters", ["injected-parameters"])]
    assert not [out for cell in recorded.cells for out in cell.outputs if "stderr" in str(out)]


FAILURES = {
    "1 / 0": "ZeroDivisionError: division by zero; see ",
    "import os; os._exit(1)": "the kernel died, exit status 1",
    "import os; os.kill(os.getpid(), 9)": "the kernel died, killed by SIGKILL",
    "import os, time; os.kill(os.getpid(), 2); time.sleep(5)": "KeyboardInterrupt: something",
    "assert False": "AssertionError; see ",
    "raise MemoryError": "MemoryError: more memory than",
}


def test_a_failed_part_keeps_its_traceback_and_the_earlier_results(part_a, output, capsys):
    request = ["a", "--quick", "--output", str(output)]
    part_a(WRITE, FINISH)
    assert main(request) == 0
    before = visible(output)
    assert {"part_a.ipynb", "report.html", "result.txt"} <= before.keys()
    failed = output / "part_a.failed.ipynb"
    for cell, reason in FAILURES.items():
        part_a(WRITE, cell, FINISH)
        capsys.readouterr()
        assert main([*request, "-p", "alpha", "1"]) == 1
        shown = capsys.readouterr()
        assert shown.err.startswith(f"python -m helpers: part_a, cell 4: {reason}")
        assert shown.err.endswith(f"; see {os.path.relpath(failed)}\n")
        assert shown.err.count("\n") == 1 and "part a: stopped after " in shown.out
        text = failed.read_text()
        assert "so far so good" in text and '"papermill": {' not in text
        assert visible(output) == before | {failed.name: text.encode()}
        assert not list(output.glob(".staging*"))
    part_a(WRITE, FINISH)
    assert main(request) == 0
    assert not failed.exists()


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
    start, failures = execution._Client.start_new_kernel_client, [1]

    def fail(self, **kwargs):
        if failures:
            failures.pop()
            self.process.kill()
        return start(self, **kwargs)

    monkeypatch.setattr(execution._Client, "start_new_kernel_client", fail)
    assert main(["a", "--quick", "--output", str(output)]) == 0
    failures += [1, 2, 3]
    assert main(["a", "--quick", "--output", str(output)]) == 1
    assert "before replying to kernel_info, killed by SIGKILL" in capsys.readouterr().err


def test_a_terminal_of_80_columns_shows_the_validation_accuracy(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    line = "epoch  99  training: 0.4321, 85.12%  validation: 0.4512, 84.22%"
    with progress.progress("part a") as show:
        show("about 5 min left; " + "a line too long for its room " * 9)
        show(line)
    _, first, last, empty, done = capsys.readouterr().out.split("\r")
    assert [len(each) for each in (first, last, empty)] == [79] * 3
    assert first.startswith("part a 0 s  about 5 min left")
    assert last.strip() == f"part a 0 s  {' '.join(line.split())}"
    assert empty.isspace() and done == "part a: done in 0 s\n"


def test_the_kernel_imports_the_copy_of_the_project_that_runs_it(tmp_path):
    shutil.copytree(files.PROJECT / "helpers", tmp_path / "helpers")
    write_notebook(tmp_path / "n.ipynb", "import helpers; helpers.__file__")
    call = "execute(Path('n.ipynb').resolve(), Path('done.ipynb').resolve(), {})"
    code = f"from pathlib import Path; from helpers.batch.execution import execute; {call}"
    environment = os.environ | {"PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    assert str(tmp_path / "helpers") in done.cells[0].outputs[0].data["text/plain"]


def test_an_interrupted_run_says_how_to_go_on(part_a, output, monkeypatch, capsys):
    part_a("1")
    monkeypatch.setattr(signals, "_received", [signal.SIGTERM, signal.SIGINT])
    assert main(["a", "--quick", "--output", str(output)]) == 143
    kept = "python -m helpers: interrupted; finished parts are kept"
    assert capsys.readouterr().err == f"{kept}\n"
    grid_folder(output).mkdir()
    (grid_folder(output) / "run.npz").touch()
    assert main(["a", "--quick", "--output", str(output)]) == 143
    assert "--resume" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_a_home_that_cannot_be_written_is_not_spoken_of(tmp_path, monkeypatch):
    for name in os.environ:
        if name.startswith(("MPL", "XDG", "IPYTHON", "JUPYTER")):
            monkeypatch.delenv(name)
    home = os.path.join(os.devnull, "home")
    monkeypatch.setenv("HOME", home)
    write_notebook(tmp_path / "n.ipynb", "import matplotlib.pyplot as plt; plt.plot([1]);")
    done = execution.execute(tmp_path / "n.ipynb", tmp_path / "done.ipynb", {})
    assert "stderr" not in str(done.cells[0].outputs)
    assert os.environ["HOME"] == home
