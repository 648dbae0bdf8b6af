"""Grading: each mistake costs its own exercise and no other, and nothing stops the grader."""

import ast
import json
import runpy
import subprocess
import sys
from types import ModuleType

import pytest

from helpers.broken_gradients import FAULTS
from helpers.exercise import grading
from helpers.exercise.__main__ import main
from helpers.exercise.tasks import TASKS
from helpers.files import PROJECT

ANSWERS = runpy.run_path(str(grading.CALLS))["answers"]
SWAPPED = "swapped = lambda M: M.mT if M.shape[-1] == M.shape[-2] else M\n"
MISTAKES = {
    "transposed W": (
        "network.unpack",
        "reshape(*weights.shape[:-1], *shape)",
        "reshape(*weights.shape[:-1], *shape[::-1]).T",
    ),
    "off by one": (
        "network.unpack",
        "weights[..., start:end]",
        "weights[..., start + 1 :][..., : end - start]",
    ),
    "copies for views": ("network.unpack", "*shape))", "*shape).copy())"),
    "ReLU on the logits": ("network.forward", "return activations, z", "return activations, h"),
    "bias forgotten": ("network.forward", " + b[..., None]", ""),
    "softmax without shift": ("network.softmax", " - logits.max(axis=-2, keepdims=True)", ""),
    "softmax over images": ("network.softmax", "axis=-2", "axis=-1"),
    "log of a rounded probability": (
        "network.log_loss",
        "losses = np.log(np.exp(shifted).sum(axis=-2)) - at_label",
        "p = (softmax(logits) * one_hot(labels, logits.shape[-2])).sum(axis=-2)\n"
        "    losses = -np.log(p)",
    ),
    "sum for mean": ("network.log_loss", "losses.mean(", "losses.sum("),
    "no shuffle": (
        "sgd.minibatches",
        "np.random.default_rng(seed).permutation(num_images)",
        "np.arange(num_images)",
    ),
    "the same shuffle": ("sgd.minibatches", "default_rng(seed)", "default_rng(0)"),
    "last batch dropped": (
        "sgd.minibatches",
        "range(0, num_images, batch_size)",
        "range(0, num_images - batch_size + 1, batch_size)",
    ),
    "rate applied twice": ("sgd.step", "W -= rate * dW", "W -= rate * rate * dW"),
    "step uphill": ("sgd.step", "b -= ", "b += "),
    "step not in place": ("sgd.step", "W -= rate * dW", "W = W - rate * dW"),
    "L2 not handed on": ("sgd.step", "labels, alpha)", "labels)"),
    "step not divided out": ("gradient_check.complex_step", " / step", ""),
    "finite difference": (
        "gradient_check.complex_step",
        "along_axes(layers, images, labels, alpha, 1j * step, chosen).imag / step",
        "two_point(layers, images, labels, alpha)",
    ),
    "a unit is lost": ("analysis.tile_W0", "int(np.ceil(", "int(np.floor("),
}
"""What students write: function, our text, theirs."""


def source_of(module):
    return (PROJECT / f"helpers/{module.replace('.', '/')}.py").read_text("utf-8")


def lost(module, source, folder):
    """Grade a student's file without a process: {function: line} of what does not get points."""
    found = {}
    for task in [task for task in TASKS if task.module == module]:
        merged = folder / "merged.py"
        merged.write_text(source_of(module), "utf-8")
        grading.merge(merged, source.encode(), task)
        student = ModuleType(f"helpers.{module}")
        exec(compile(merged.read_text("utf-8"), task.file, "exec"), student.__dict__)
        answers = ANSWERS(task.function, getattr(student, task.function))
        line = grading.difference(json.loads(json.dumps(answers)), task)
        found |= {task.function: line} if line else {}
    return found


def changed(module, source):
    """Name the functions in which a file differs from ours."""
    ours, theirs = (
        {getattr(node, "name", ""): ast.dump(node) for node in ast.parse(text).body}
        for text in (source_of(module), source)
    )
    return {name for name in ours if name and ours[name] != theirs[name]}


def replaced(module, right, wrong):
    source = source_of(module)
    assert source.count(right) >= 1, right
    return source.replace(right, wrong)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_costs_its_exercise_alone(mistake, tmp_path):
    place, right, wrong = MISTAKES[mistake]
    module, _, function = place.rpartition(".")
    source = source_of(module)
    [node] = [n for n in ast.parse(source).body if getattr(n, "name", "") == function]
    body = ast.get_source_segment(source, node)
    assert right in body
    lines = lost(module, source.replace(body, body.replace(right, wrong)), tmp_path)
    assert list(lines) == [function]
    assert function in lines[function], lines


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_gradient_costs_the_function_that_is_broken(fault, tmp_path):
    source = replaced("network", *FAULTS[fault])
    lines = lost("network", SWAPPED + source, tmp_path)
    assert lines.keys() == changed("network", source) != set()
    assert all(function in line for function, line in lines.items())


def test_sound_files_lose_nothing(tmp_path):
    for module in {task.module for task in TASKS}:
        assert lost(module, source_of(module), tmp_path) == {}


HOSTILE = {
    "unpack": ("while True: pass", "unpack: no answer within 4 s"),
    "forward": ("return forward(layers, images)", "raises RecursionError"),
    "softmax": ("import sys; sys.exit(0)", "raises SystemExit"),
    "log_loss": ("import os; os._exit(0)", "ended with status 0 and gave no answer"),
    "backprop": ("print('x' * 10**8)", "backprop(layers, images, labels) is None, expected a list"),
    "minibatches": ("return np.ones(2**40)", "MemoryError"),
    "step": ("images[0] = 1", "after step(layers, images, labels, rate), layers[0][0], entry"),
    "complex_step": (
        "return network.pack(layers).astype(np.float32)",
        "complex_step(layers, images, labels) has dtype float32, expected float64",
    ),
    "tile_W0": ("open(OUTSIDE, 'w').write('x')", "not allowed: open"),
}
"""Bodies of functions that a student might hand in, and what the line says."""
CHEATS = {
    "network": ("this is no Python\n", "network.py: SyntaxError"),
    "sgd": ("import there_is_no_such_module\n", "sgd.py: ModuleNotFoundError"),
    "gradient_check": (
        "import numpy, sys\nnumpy.isclose = numpy.allclose = lambda *a, **k: True\n"
        "sys.modules['__main__'].answers = lambda *a: []\n"
        "def complex_step(*a): return 0\n",
        "the answers cannot be read",
    ),
    "analysis": ("def tile_W0(W): open(CALLS, 'a').write('broken')\n", "not allowed: open"),
}


@pytest.fixture
def submission(tmp_path):
    """Give a function that adds lines to our files, as a student's."""

    def hand_in(added):
        for module in {task.module for task in TASKS}:
            file = tmp_path / f"helpers/{module.replace('.', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source_of(module) + added.get(module, ""), "utf-8")
        return tmp_path

    return hand_in


def test_grading_survives_hostile_functions(submission, tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "SECONDS", 4)
    added, outside = {}, tmp_path / "outside.txt"
    for task in TASKS:
        body = HOSTILE[task.function][0].replace("OUTSIDE", repr(str(outside)))
        lines = source_of(task.module).splitlines()
        head = next(line for line in lines if line.startswith(f"def {task.function}("))
        added[task.module] = added.get(task.module, "") + f"\n{head}\n    {body}\n"
    for grade in grading.grade(submission(added)):
        assert grade.points == 0
        assert HOSTILE[grade.task.function][1] in grade.line
        assert len(grade.line) <= 200 and grade.line.isprintable()
    assert not outside.exists()


def test_grading_survives_hostile_files(submission):
    before = grading.CALLS.read_bytes()
    added = {
        module: "\n" + text.replace("CALLS", repr(str(grading.CALLS)))
        for module, (text, _) in CHEATS.items()
    }
    for grade in grading.grade(submission(added)):
        assert grade.points == 0
        assert CHEATS[grade.task.module][1] in grade.line
    assert grading.CALLS.read_bytes() == before


def test_grading_ends_within_a_minute_whatever_is_handed_in():
    assert len(TASKS) / grading.AT_ONCE * grading.SECONDS < 60


def test_our_solution_gets_all_points(tmp_path):
    command = [sys.executable, "-m", "helpers.exercise", "--grade", ".", "--json"]
    command.append(tmp_path / "results.json")
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    most = sum(task.points for task in TASKS)
    assert f"{most} of {most}" in done.stdout
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["score"] == most == sum(test["max_score"] for test in results["tests"])


@pytest.mark.parametrize(
    "arguments", [["{}"], ["{}/full"], ["--grade", "{}"], ["--grade", "{}/missing"]]
)
def test_bad_folder_is_refused_in_one_line(arguments, tmp_path, capsys):
    (tmp_path / "full").write_text("x")
    with pytest.raises(SystemExit, match="2"):
        main([argument.format(tmp_path) for argument in arguments])
    [line] = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line
