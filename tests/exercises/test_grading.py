"""Grading: right work in any style gets all points, mistakes are named, hostile work gets nothing.

Mistakes are judged in this process; right and hostile work goes through processes of its own, with
the kernel's walls where there are any and without them.
"""

import dataclasses
import inspect
import json
import os
import re
import socket
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from helpers import network
from helpers.exercise import grading, isolation, runner
from helpers.exercise.__main__ import main
from helpers.exercise.submissions import Submission
from helpers.files import PROJECT
from helpers.notebook.checks import EXERCISES, SHAPES
from helpers.notebook.checks.structure import make
from tests.exercises.mistakes import MISTAKES, source_of
from tests.exercises.solutions import PLAIN, SOLUTIONS, compile_in

OF_FUNCTION = {exercise.function: exercise for exercise in EXERCISES}
WALLED = pytest.mark.skipif(not isolation.has_namespaces(), reason="no namespaces here")
WITH_AND_WITHOUT_WALLS = [pytest.param(True, marks=WALLED, id="walled"), pytest.param(False, id="")]


def make_plan(problems):
    """Make a plan in this process."""
    plan = grading.Plan(0, problems, grading.read_helpers(), {}, isolation.has_namespaces())
    for exercise in EXERCISES:
        calls = grading.calls_of(exercise, plan)
        plan.right[exercise.function] = [make(check, exercise.resolve()) for _, check in calls]
    return plan


@pytest.fixture(scope="module")
def plan():
    return make_plan(grading.draw_problems(11))


@pytest.fixture(scope="module")
def notebooks_plan():
    return make_plan([(shape, 0) for shape in SHAPES])


def hand_in(functions=(), files=()):
    """Make a submission of our files, with some functions written by a student, and more files."""
    texts = {name: text.decode() for name, text in grading.read_helpers().items()}
    theirs = {grading.file_of(exercise) for exercise in EXERCISES}
    found = {name: texts[name] for name in theirs}
    for function, source in dict(functions).items():
        name = grading.file_of(OF_FUNCTION[function])
        found[name] = grading.without_function(found[name], function) + f"\n\n{source}\n"
    files = {name: text.encode() for name, text in (found | dict(files)).items()}
    return Submission("a student", Path("nowhere"), files)


def by_function(results):
    """Sum points and collect lines: {function: (points, lines)}."""
    found = {exercise.function: [0, []] for exercise in EXERCISES}
    for test in results["tests"]:
        function, _, _ = test["name"].partition(": ")
        found[function][0] += test["score"]
        if test["score"] < test["max_score"]:
            found[function][1].append(test["output"])
    return found


def grade_here(exercise, function, plan):
    """Grade a function without a process of its own; its answers are written and read as always."""
    answers = [vars(make(check, function)) for _, check in grading.calls_of(exercise, plan)]
    lines = "\n".join(json.dumps(answer, default=runner.encode) for answer in answers)
    tests = grading.grade_exercise(exercise, "", grading.read_answers(lines.encode()), plan)
    return by_function({"tests": tests})[exercise.function]


def most(function):
    return sum(task.points for task in grading.TASKS[function])


# ---- Right


IMPORTS = """import this_is_ours
import matplotlib.pyplot as plt
import subprocess, socket
from scipy.special import logsumexp
subprocess.run(["uname"], capture_output=True)
socket.gethostname()
"""
"""Modules may look at the machine while they are imported."""
STYLES = {
    "log_loss": """
class Loss:
    def __init__(self, logits):
        self.logits = logits
    def of(self, labels):
        z = self.logits
        top = z.real.max(axis=0)
        return sum(np.log(np.exp(z[:, i] - top[i]).sum()) + top[i] - z[k, i]
                   for i, k in enumerate(labels)) / len(labels)
def log_loss(logits, labels):
    return Loss(logits).of(labels)
""",
    "softmax": """
from scipy.special import softmax as scipys
softmax = lambda logits: scipys(logits, axis=-2)
""",
    "unpack": """
def cut(vector, shapes):
    if not shapes:
        return []
    first, *rest = shapes
    size = int(np.prod(first))
    return [vector[:size].reshape(first), *cut(vector[size:], rest)]
def unpack(weights, layer_sizes):
    pairs = list(zip(layer_sizes[1:], layer_sizes))
    arrays = cut(weights, [*pairs, *[(n,) for n in layer_sizes[1:]]])
    if sum(a.size for a in arrays) != weights.size:
        raise ValueError
    return [[W, b] for W, b in zip(arrays[:len(pairs)], arrays[len(pairs):])]
""",
    "forward": """
def forward(layers: list, images: "np.ndarray") -> list:
    print("forward", images.shape)
    if images.shape[1] != layers[0][0].shape[1]:
        raise ValueError("width")
    activations, h = [], images.T
    for k, (W, b) in enumerate(layers):
        activations += [h]
        z = np.tensordot(W, h, 1) + b.reshape(-1, 1)
        h = np.where(z > 0, z, 0)
    return [activations, z]
""",
    "backprop": """
import functools
@functools.wraps(dict)
def backprop(layers, images, labels, alpha=0.0):
    activations, logits = forward(layers, images)
    def down(l, delta):
        here = [delta.dot(activations[l].T) + alpha * layers[l][0], delta @ np.ones(len(labels))]
        return here if False else ([] if l == 0 else down(
            l - 1, layers[l][0].T.dot(delta) * np.sign(activations[l]))) + [here]
    target = np.eye(len(logits))[:, labels]
    return down(len(layers) - 1, (softmax(logits) - target) / len(labels))
""",
    "minibatches": """
def minibatches(num_images, batch_size, seed):
    order = list(range(num_images))
    np.random.RandomState(seed).shuffle(order)
    return [order[i:i + batch_size] for i in range(0, num_images, batch_size)]
""",
    "step": """
def step(layers, images, labels, rate, alpha=0.0):
    for pair, slopes in zip(layers, network.backprop(layers, images, labels, alpha)):
        for array, slope in zip(pair, slopes):
            array[...] = array - rate * slope
    return layers
""",
    "list_runs": """
def list_runs(num_hidden_layers, num_units, learning_rate, batch_size, num_epochs, alpha, seed,
              num_seeds):
    return [Recipe([784] + [u] * d + [10], e, b, r, alpha, "constant", 0, s, s)
            for d in num_hidden_layers for u in num_units for r in learning_rate
            for b in batch_size for e in num_epochs for s in range(seed, seed + num_seeds)]
""",
}
"""Classes, SciPy, recursion, lists for tuples, lambdas, decorators, prints, annotations, lists of
positions, `return layers` where nothing is asked back."""


def windows(submission):
    """Write all lines with CRLF and a mark of UTF-8 in front, as Windows' editors do."""
    for name, text in submission.files.items():
        submission.files[name] = b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")
    return submission


def on_top(submission, text, encoding="utf-8"):
    """Put lines on top of network.py."""
    source = submission.files["network.py"].decode()
    submission.files["network.py"] = (text + source).encode(encoding)
    return submission


LATIN = "# -*- coding: latin-1 -*-\n# für später: é\nfrom __future__ import annotations\n"
RIGHT = {
    "plain NumPy": lambda: hand_in(PLAIN),
    "loops, CRLF and BOM": lambda: windows(hand_in(SOLUTIONS["loops"])),
    "einsum, latin-1, annotations": lambda: on_top(hand_in(SOLUTIONS["einsum"]), LATIN, "latin-1"),
    "other styles": lambda: hand_in(STYLES),
    "imports, own module": lambda: on_top(
        hand_in(PLAIN, {"this_is_ours.py": "", "mine.py": "from helpers import network\n"}),
        IMPORTS.replace("import this_is_ours", "from helpers import this_is_ours, mine"),
    ),
}


@pytest.mark.parametrize("style", RIGHT)
def test_right_work_gets_all_points_in_any_style(style, plan):
    results = grading.grade_submission(RIGHT[style](), plan)
    lines = [test for test in results["tests"] if test["output"] != "right"]
    assert not lines and results["score"] == grading.MOST == 21


# ---- Wrong


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake[0]}: {mistake[1]}")
def test_each_mistake_costs_points_and_is_named(mistake, plan, notebooks_plan):
    function, _, right, wrong, words = mistake
    exercise = OF_FUNCTION[function]
    theirs = compile_in(exercise.module, source_of(function, right, wrong), function)
    points, lines = grade_here(exercise, theirs, plan)
    assert points < most(function)
    assert "other numbers" not in lines[0]
    assert all(len(line) <= 240 and line.isprintable() for line in lines)
    points, lines = grade_here(exercise, theirs, notebooks_plan)
    assert points < most(function)
    assert any(words in line for line in lines)


@pytest.mark.parametrize("function", OF_FUNCTION)
@pytest.mark.parametrize(
    "trivial", [None, 0, [], "raise"], ids=["None", "zero", "empty", "ValueError"]
)
def test_what_does_nothing_gets_nothing(function, trivial, plan):
    def theirs(*arguments):
        if trivial == "raise":
            raise ValueError
        return trivial

    points, _ = grade_here(OF_FUNCTION[function], theirs, plan)
    assert points == 0


def test_points_are_given_for_each_thing_alone(plan):
    no_l2 = source_of("backprop", " + alpha * W", "")
    exercise = OF_FUNCTION["backprop"]
    points, lines = grade_here(exercise, compile_in("network", no_l2, "backprop"), plan)
    assert points == 3 and len(lines) == 1


def test_problems_differ_in_depth_and_width_and_with_the_seed():
    for seed in range(20):
        shapes = [shape for shape, _ in grading.draw_problems(seed)]
        assert {len(shape) for shape in shapes} >= {2, 3, 4}
        assert any(a == b for shape in shapes for a, b in pairwise(shape))
        assert len(set(shapes[1])) == 3
    assert grading.draw_problems(1) != grading.draw_problems(2)
    assert grading.draw_problems(1) == grading.draw_problems(1)


def test_a_check_without_points_is_refused(plan, monkeypatch):
    monkeypatch.setitem(grading.TASKS, "step", grading.TASKS["step"][:1])
    with pytest.raises(grading.GradingError, match="no line for the check 'with L2' of step"):
        grading.grade_exercise(OF_FUNCTION["step"], "", [], plan)


def test_all_points_of_a_function_can_be_reached(plan):
    for function, exercise in OF_FUNCTION.items():
        assert grade_here(exercise, exercise.resolve(), plan) == [most(function), []]


# ---- Hostile


SLEEP = "86399"
"""Seconds that processes of hostile work sleep, to be found by."""
HOSTILE = [
    {
        "unpack": ("while True: pass", "stopped after 2 s"),
        "forward": ("return forward(*arguments)", "RecursionError"),
        "softmax": ("import sys; sys.exit(0)", "SystemExit"),
        "log_loss": ("import os; os._exit(0)", "ended with status 0"),
        "backprop": ("import ctypes; ctypes.string_at(0)", "ended with status -11"),
        "minibatches": ("return np.ones(2**40)", "MemoryError"),
        "step": ("print('x' * 10**8); arguments[1][0] = 1", "images is changed"),
        "complex_step": ("return [{}] * 10**8", "MemoryError|stopped after|no answer"),
        "list_runs": ("return [[[]] * 3000] * 3000", "no answer"),
        "tile_W0": ("import os; os.mkfifo('answers'); os._exit(7)", "ended with status 7"),
    },
    {  # leftovers
        "unpack": ("import os\n    if os.fork(): return\n    os.execlp('sleep', 'sleep', N)", ""),
        "forward": (
            "import os\n    if os.fork(): return\n    os.setsid()\n"
            "    if os.fork(): os._exit(0)\n    os.execlpe('sleep', 'sleep', N, {})",
            "",
        ),
        "softmax": (
            "import subprocess; subprocess.Popen(['sleep', N], start_new_session=True, env={})",
            "None",
        ),
        "log_loss": (
            "import _posixsubprocess, os\n    r, w = os.pipe()\n    a = [[b'/bin/sleep',"
            " N.encode()],"
            " [b'/bin/sleep'], True, (), None, None, -1, -1, -1, -1, -1, -1, r, w, False, False,"
            " -1, None, None, None, -1, None, False]\n    _posixsubprocess.fork_exec(*a)",
            "",
        ),
        "backprop": (
            "import threading, time; threading.Thread(target=time.sleep, args=(int(N),)).start()",
            "None",
        ),
        "minibatches": ("import os\n    for _ in range(200): os.fork()", "processes|stopped"),
        "step": ("import os, signal; os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)", ""),
        "complex_step": ("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", ""),
        "list_runs": ("import os, signal; os.kill(os.getppid(), signal.SIGSTOP)", ""),
        "tile_W0": ("import os\n    for each in range(200): os.close(each)", ""),
    },
    {  # forgeries
        "unpack": ("gc_all('EVENTS'); import os; os.path.realpath = lambda *a, **k: '/'", "None"),
        "forward": (
            "import sys\n    from helpers.notebook.checks import structure\n"
            "    structure.fault = lambda *a: None",
            "None",
        ),
        "softmax": (
            "np.allclose = np.isclose = np.array_equal = lambda *a, **k: np.True_\n    return 3",
            "",
        ),
        "log_loss": (
            "import os; open('answers.jsonl', 'w').write("
            '\'{"result": 1.0, "after": {}, "error": ""}\\n\' * 99); os._exit(0)',
            "",
        ),
        "backprop": (
            "import os; os.symlink('/etc/passwd', 'b'); os.replace('b', 'answers.jsonl');"
            " os._exit(0)",
            "no answer",
        ),
        "minibatches": (
            "import sys; sys.modules['__main__'].encode = lambda value: 'right'; return [1]",
            "",
        ),
        "step": ("class Same(float):\n        __eq__ = lambda *a: True\n    return Same(1)", ""),
        "complex_step": (
            "from helpers.notebook.checks import gradient_check\n"
            "    gradient_check.beside_the_plain_way = lambda f, *a: {'found': 0, 'plain': 0}",
            "",
        ),
        "list_runs": (
            "import sys\n    frame = sys._getframe(1)\n"
            "    while frame: frame.f_locals.clear(); frame = frame.f_back",
            "",
        ),
        "tile_W0": ("raise type('Ή\\x1b[2J', (BaseException,), {})('\\0\\n' * 999)", ""),
    },
]
"""Bodies of functions that a student might hand in, and what the line says."""


def hostile_submission(bodies):
    start = f"import gc\nN = '{SLEEP}'\ndef gc_all(name): gc.collect()\n"
    functions = {
        function: f"{start}def {function}(*arguments):\n    {body}\n"
        for function, (body, _) in bodies.items()
    }
    return hand_in(functions)


def sleepers():
    """List the processes that hostile work has left."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [path] if SLEEP in path.read_text(errors="replace") else []
    return found


@pytest.mark.parametrize("is_walled", WITH_AND_WITHOUT_WALLS)
@pytest.mark.parametrize("bodies", HOSTILE, ids=["crashes", "leftovers", "forgeries"])
def test_hostile_functions_get_nothing_and_leave_nothing(bodies, is_walled, plan, monkeypatch):
    monkeypatch.setattr(grading, "SECONDS", 2)
    monkeypatch.setattr(isolation, "GRACE", 1)
    plan = dataclasses.replace(plan, is_walled=is_walled)
    found = by_function(grading.grade_submission(hostile_submission(bodies), plan))
    for function, (points, lines) in found.items():
        assert points == 0, function
        _, words = bodies[function]
        assert any(re.search(words, line) for line in lines), (function, lines)
        assert all(line.isprintable() for line in lines)
    assert not sleepers()


REACH = """
import ctypes, os, pathlib, socket, sqlite3, subprocess
def reach(what):
    outside, others, port = OUTSIDE, OTHERS, PORT
    if what == "open": open(outside + "/a", "w")
    if what == "mkdir": os.mkdir(outside + "/b")
    if what == "symlink": os.symlink("/etc", outside + "/c")
    if what == "sqlite": sqlite3.connect(outside + "/d").execute("create table t (x)")
    if what == "dir_fd": os.open("e", os.O_CREAT, dir_fd=os.open(outside, os.O_RDONLY))
    if what == "program": subprocess.run(["touch", outside + "/f"], check=True)
    if what == "others": open(others).read()
    if what == "solution": open(SOLUTION).read()
    if what == "accounts": open("/etc/shadow").read()
    if what == "kernel": open("/proc/sys/kernel/core_pattern", "a").close()
    if what == "device": open("/dev/tty", "w")
    if what == "jobs": open(f"/proc/{os.getppid()}/fd/0")
    if what == "memory": open(f"/proc/{os.getppid()}/mem", "rb")
    if what == "grader": os.kill(GRADER, 0)
    if what == "TCP": socket.create_connection(("127.0.0.1", port), 1)
    if what == "UDP":
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
    if what == "mount" and ctypes.CDLL(None).mount(b"x", b"/work", b"tmpfs", 0, b""): raise OSError
    if what == "unshare" and ctypes.CDLL(None).unshare(0x10000000): raise OSError
    if what == "disk":
        try:
            for k in range(10):
                pathlib.Path(f"big{k}").write_bytes(bytes(2**23))
        finally:
            for path in pathlib.Path(".").glob("big*"): path.unlink()
    if what == "environment" and "A_SECRET" not in os.environ: raise OSError
    if what == "ours":
        texts = [path.read_text() for path in pathlib.Path(".").rglob("*.py")]
        assert len(texts) > 9 and any(LINE[::-1] in text for text in texts)
    if what == "file": open("bigger", "wb").write(bytes(2**25))
def unpack(*arguments):
    reached = []
    for what in WHAT:
        try:
            reach(what)
            reached.append(what)
        except Exception:
            pass
    raise RuntimeError(f"reached: {' '.join(reached) or 'nothing'}.")
"""
INSIDE = "open", "mkdir", "symlink", "sqlite", "dir_fd", "program"
OUTWARD = "others", "solution", "accounts", "device", "grader", "TCP", "UDP", "kernel", "disk"
NEVER = "jobs", "memory", "mount", "unshare", "file", "environment", "ours"


@pytest.fixture
def reach(tmp_path, plan, monkeypatch):
    """Give a function that lets hostile work reach for things, and tells which it got."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "others.py").write_text("x")
    monkeypatch.setenv("A_SECRET", "x")
    [*_, last_line] = inspect.getsource(network.unpack).strip().splitlines()

    def try_all(what, is_walled):
        with socket.create_server(("127.0.0.1", 0)) as server:
            values = {
                "OUTSIDE": str(outside),
                "OTHERS": str(tmp_path / "others.py"),
                "SOLUTION": str(PROJECT / "helpers" / "network.py"),
                "GRADER": os.getpid(),
                "PORT": server.getsockname()[1],
                "LINE": last_line[::-1],
                "WHAT": what,
            }
            names = "\n".join(f"{name} = {value!r}" for name, value in values.items())
            submission = hand_in({"unpack": names + REACH})
            del submission.files["sgd.py"], submission.files["analysis.py"]
            walled = dataclasses.replace(plan, is_walled=is_walled)
            results = grading.grade_submission(submission, walled)
        points, [line, *_] = by_function(results)["unpack"]
        assert points == 0
        [reached] = re.findall(r"reached: ([\w ]+)\.", line) or [line]
        reached = reached.split()
        return reached, sorted(path.name for path in outside.iterdir()), results["output"]

    return try_all


@WALLED
def test_behind_walls_nothing_is_reached(reach):
    reached, written, says = reach([*INSIDE, *OUTWARD, *NEVER], True)
    assert reached == ["nothing"] and not written
    assert "no network, no other processes" in says


def test_without_walls_it_is_said_that_everything_is(reach):
    wanted = [*INSIDE, "others", "solution", "grader", "TCP", "UDP"]
    reached, written, says = reach(wanted, False)
    assert reached == wanted and len(written) == len(INSIDE)
    assert "submissions can read and write what you can, and reach the network" in says


def test_without_walls_there_are_limits_all_the_same(reach):
    reached, _, _ = reach(["file", "environment", "ours"], False)
    assert reached == ["nothing"]


@WALLED
def test_behind_walls_signals_reach_nobody(plan):
    theirs = "import os\ndef unpack(*arguments):\n    os.kill(-1, 9)"
    found = by_function(grading.grade_submission(hand_in({"unpack": theirs}), plan))
    assert "No such process" in found["unpack"][1][0]
    assert sum(points for points, _ in found.values()) == grading.MOST - most("unpack")


def test_a_broken_file_costs_its_own_exercises(plan):
    submission = hand_in(files={"sgd.py": "import sys; sys.exit(0)", "analysis.py": "def x(:"})
    del submission.files["grid/listing.py"]
    found = by_function(grading.grade_submission(submission, plan))
    lost = {function: lines[0] for function, (points, lines) in found.items() if not points}
    assert lost.keys() == {"minibatches", "step", "tile_W0", "list_runs"}
    assert "cannot be imported: SystemExit" in lost["step"]
    assert "SyntaxError" in lost["tile_W0"] and "line 1" in lost["tile_W0"]
    assert "grid/listing.py is missing" in lost["list_runs"]


def test_one_submission_on_the_command_line(tmp_path, capsys):
    write(hand_in({"step": source_of("step", "rate * ", "")}), tmp_path)
    main(["--grade", str(tmp_path), "--seed", "4", "--json", str(tmp_path / "results.json")])
    shown = capsys.readouterr().out
    assert "all: 20 of 21" in shown and "isolation: " in shown
    assert "moves by the gradient itself, without the rate" in shown
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["score"] == 20 == sum(test["score"] for test in results["tests"])
    assert sum(test["max_score"] for test in results["tests"]) == 21


def write(submission, folder):
    """Write a submission's files as a student's folder."""
    for name, text in submission.files.items():
        path = folder / "helpers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


@pytest.mark.parametrize(
    "arguments", [["{}"], ["{}/full"], ["--grade", "{}/none"], ["--grade", "{}/empty"]]
)
def test_bad_folder_is_refused_in_one_line(arguments, tmp_path, capsys):
    (tmp_path / "full").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main([argument.format(tmp_path) for argument in arguments])
    [line] = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line
