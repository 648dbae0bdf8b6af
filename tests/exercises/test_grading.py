"""Grading: each mistake costs its own exercise and no other, and nothing stops the grader."""

import ast
import importlib
import json
import runpy
import subprocess
import sys
from types import ModuleType

import pytest

from helpers import broken_gradients
from helpers.exercise import grading
from helpers.exercise.__main__ import main
from helpers.exercise.tasks import TASKS, file_of
from helpers.files import PROJECT
from tests.deliverable import test_planted_faults

ANSWERS = runpy.run_path(str(grading.CALLS))["answers"]
SWAPPED = "swapped = lambda M: M.mT if M.shape[-1] == M.shape[-2] else M\n"
MISTAKES = {
    "transposed W": ("network", "1], *shape))", "1], *shape[::-1]).mT)"),
    "copies for views": ("network", "*shape))", "*shape).copy())"),
    "ReLU on the logits": ("network", "activations, z", "activations, h"),
    "no shift": ("network", "(logits - logits.max(axis=-2, keepdims=True))", "(logits)"),
    "log of a rounded probability": (
        "network",
        "np.log(np.exp(shifted).sum(axis=-2)) - at_label",
        "-np.log((softmax(logits) * one_hot(labels, logits.shape[-2])).sum(axis=-2))",
    ),
    "sum for mean": ("network", "losses.mean(", "losses.sum("),
    "the same order in every call": ("sgd", "default_rng(seed)", "default_rng(0)"),
    "step not in place": ("sgd", "W -= rate * dW", "W = W - rate * dW"),
    "L2 not handed on": ("sgd", "(layers, images, labels, alpha)", "(layers, images, labels)"),
    "not divided by the step": ("gradient_check", ".imag / step", ".imag"),
    "finite difference": (
        "gradient_check",
        "along_axes(layers, images, labels, alpha, 1j * step, chosen).imag / step",
        "two_point(layers, images, labels, alpha)",
    ),
    "the next seeds forgotten": ("grid.jobs", "seed + num_seeds)", "seed + 1)"),
    "a unit is lost": ("analysis", "np.ceil(", "np.floor("),
}
"""What students write: module, our text, theirs."""
PLANTED = test_planted_faults.FAULTS.items()
FAULTS = MISTAKES | {name: (file.removesuffix(".py"), *texts) for name, (file, *texts) in PLANTED}
FAULTS |= {name: ("network", *texts) for name, texts in broken_gradients.FAULTS.items()}
"""Together with the faults that other tests plant: in the shuffle, the gradient and L2."""
OUTSIDE = test_planted_faults.NO_FAULT, "the same order in every epoch"
"""Of these the changes that are in no function that a student writes."""


def source_of(module):
    return (PROJECT / file_of(module)).read_text("utf-8")


def lost(module, source, folder):
    """Grade a student's file without a process: {function: line} of what does not get points."""
    found = {}
    for task in [task for task in TASKS if task.module == module]:
        merged = folder / "merged.py"
        merged.write_text(source_of(module), "utf-8")
        grading.merge(merged, source.encode(), task)
        student = ModuleType(f"helpers.{module}")
        exec(compile(merged.read_text("utf-8"), file_of(task.module), "exec"), student.__dict__)
        answers = ANSWERS(task.function, getattr(student, task.function))
        line = grading.difference(json.loads(json.dumps(answers)), task)
        found |= {task.function: line} if line else {}
    return found


def functions(source):
    named = [node for node in ast.parse(source).body if hasattr(node, "name")]
    return {node.name: ast.get_source_segment(source, node) for node in named}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_costs_the_function_that_it_is_in(fault, tmp_path):
    module, right, wrong = FAULTS[fault]
    ours = source_of(module)
    source = ours.replace(right, wrong)
    changed = dict(functions(source).items() - functions(ours).items()).keys()
    lines = lost(module, SWAPPED + source, tmp_path)
    assert lines.keys() == (set() if fault in OUTSIDE else changed)
    assert all(function in line for function, line in lines.items()) and source != ours


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.function)
def test_forged_answers_without_numbers_do_not_pass(task):
    ours = getattr(importlib.import_module(f"helpers.{task.module}"), task.function)
    forged = {name: (kind, []) for name, (kind, _) in ANSWERS(task.function, ours).items()}
    assert grading.difference(forged, task)


HOSTILE = {
    "unpack": ("while True: pass", "no answer (stopped after 4 s)"),
    "forward": ("return forward(*arguments)", "RecursionError"),
    "softmax": ("import sys; sys.exit(0)", "SystemExit"),
    "log_loss": ("import os; os.mkfifo('answers.json'); os._exit(0)", "ended with status 0)"),
    "backprop": ("print('x' * 10**8)", "backprop(layers, images, labels): None, expected 3"),
    "minibatches": ("return np.ones(2**40)", "MemoryError"),
    "step": ("arguments[1][0] = 1", "layers after step(layers, images, labels, rate)"),
    "complex_step": ("return np.float32([1])", "float32 of shape (1,), expected float64 of"),
    "list_runs": ("return [{}] * 10**9", "list_runs(num_hidden_layers"),
    "tile_W0": ("open(OUTSIDE, 'w').write('x')", "not allowed: open"),
}
"""Bodies of functions that a student might hand in, and what the line says."""
CHEAT = """
import numpy, sys
numpy.isclose = numpy.allclose = lambda *arguments, **options: True
sys.modules["__main__"].answers = lambda *arguments: {}
def complex_step(*arguments): return 0
"""
FILES = {
    "network": ("this is no Python", "SyntaxError: invalid syntax (network.py"),
    "sgd": ("import there_is_no_such_module", "ModuleNotFoundError"),
    "gradient_check": (CHEAT, "int64 of shape (), expected float64"),
    "grid.jobs": ("def list_runs(*arguments): import os; os.fork()", "not allowed: os.fork"),
    "analysis": ("def tile_W0(W): open(OUTSIDE, 'a').write('x')", "not allowed: open"),
}
"""What stands at the end of a file, to break it or to reach into the grading."""


def hand_in(added, folder):
    """Make a student's files of ours, with some lines more, and grade them."""
    for module in {task.module for task in TASKS}:
        file = folder / file_of(module)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source_of(module) + "\n" + added.get(module, ""), "utf-8")
    tests = grading.grade(folder)["tests"]
    assert not any(test["score"] for test in tests)
    assert all(len(test["output"]) <= 200 and test["output"].isprintable() for test in tests)
    return {test["name"]: test["output"] for test in tests}


def test_grading_survives_hostile_functions(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "SECONDS", 4)
    added = dict.fromkeys((task.module for task in TASKS), "")
    for task in TASKS:
        body = HOSTILE[task.function][0].replace("OUTSIDE", repr(str(tmp_path / "outside")))
        added[task.module] += f"def {task.function}(*arguments):\n    {body}\n"
    for function, line in hand_in(added, tmp_path).items():
        assert HOSTILE[function][1] in line
    assert not (tmp_path / "outside").exists()


def test_grading_survives_hostile_files(tmp_path):
    before, place = grading.CALLS.read_bytes(), repr(str(grading.CALLS))
    added = {module: text.replace("OUTSIDE", place) for module, (text, _) in FILES.items()}
    lines = hand_in(added, tmp_path)
    assert all(FILES[task.module][1] in lines[task.function] for task in TASKS)
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
