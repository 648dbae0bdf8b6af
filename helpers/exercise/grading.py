"""Grading: the notebooks' checks on other problems, called in the student's process, judged here.

The problems are drawn from a seed: networks without a hidden layer and with several, square
matrices and others. Each function is called with our solution of all the others, so a mistake costs
its own exercise. What is to be right, and what it is worth, are the lines of tasks.csv. A call that
passes the check is compared with what our solution gave in a process of the same kind.
"""

import ast
import csv
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.errors import OneLineError
from helpers.exercise import handout, isolation, runner
from helpers.exercise.submissions import Submission
from helpers.notebook.checks.exercises import EXERCISES, checks_of
from helpers.notebook.checks.structure import Answer, fault, is_close

SECONDS = 10
"""That an exercise may take."""
IMPORTED_FIRST = "pandas", "scipy.special", "scipy.linalg", "matplotlib.pyplot"
"""Libraries that take long to import; where one of the files names one, it is imported once."""
ROOMS = "helpers", "grid", "checks"
"""Folders with what an exercise may import; the first files of the others import much more."""
LONGEST_LINE = 240


class GradingError(OneLineError):
    """The grading itself does not work, whoever's files are graded."""


class Task(NamedTuple):
    """One line of tasks.csv: what a function must do, and its points.

    `checks` is a pattern of the names of checks. With `beside`, the line counts only where this
    other one is right as well: a function that always raises ValueError refuses bad input, too.
    """

    function: str
    points: float
    what: str
    checks: str
    beside: str


@dataclass(frozen=True)
class Plan:
    """All that the submissions of one grading share.

    Attributes
    ----------
    seed : int
    problems : list of (tuple of int, int)
        `layer_sizes` and a seed for each problem.
    files : dict
        Our own files, by name below `helpers`.
    right : dict
        Function -> our answers to its calls, in order.
    is_walled : bool
        Whether student's processes live in namespaces.
    """

    seed: int
    problems: list
    files: dict
    right: dict
    is_walled: bool


def read_tasks():
    """Read what each function must do: {function: list of Task}."""
    tasks = defaultdict(list)
    with open(Path(__file__).with_name("tasks.csv"), encoding="utf-8") as file:
        for row in csv.DictReader(file):
            row["points"] = float(row["points"])
            tasks[row["function"]].append(Task(**row))
    return tasks


TASKS = read_tasks()
MOST = sum(task.points for tasks in TASKS.values() for task in tasks)
"""Points of somebody who has everything right."""


# ---- The plan


def make_plan(seed, is_walled=None):
    """Draw the problems, and ask our own solution first.

    Raises
    ------
    GradingError
        If our solution does not pass here: then nobody's would.
    """
    if is_walled is None:
        is_walled = isolation.has_namespaces()
    files = read_helpers()
    plan = Plan(seed, draw_problems(seed), files, {}, is_walled)
    ours = {file_of(exercise): files[file_of(exercise)] for exercise in EXERCISES}
    found = ask(ours, plan)
    plan.right.update({exercise.function: answers for exercise, (_, answers) in found.items()})
    for test in judge(found, plan):
        if test["score"] < test["max_score"]:
            raise GradingError(f"our own {test['name']} does not pass here: {test['output']}")
    return plan


def draw_problems(seed):
    """Draw the shapes of networks: none, one, two and three hidden layers, widths of 2 to 7."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.permutation(np.arange(2, 8))[:3].tolist()
    shapes = (a, c), (a, b, c), (a, b, b, c), (b, b, a, c, c)
    return [(shape, int(rng.integers(2**31))) for shape in shapes]


def read_helpers():
    """Read our files as a hand-out has them, with the solutions: {name: bytes}."""
    with tempfile.TemporaryDirectory() as folder:
        handout.copy_helpers(Path(folder))
        root = Path(folder, "helpers")
        paths = [path for path in root.rglob("*.py") if path.parent.name in ROOMS]
        files = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    del files["broken_gradients.py"]  # it quotes lines of a right gradient
    packages = "grid", "notebook", "notebook/checks"
    return files | {f"{package}/__init__.py": b"" for package in packages}


def file_of(exercise):
    """Name the file of an exercise below `helpers`."""
    return f"{exercise.module.replace('.', '/')}.py"


def calls_of(exercise, plan):
    """List the calls of an exercise: (number of the problem, check)."""
    return [
        (number, check)
        for number, (layer_sizes, seed) in enumerate(plan.problems)
        for check in checks_of(exercise, layer_sizes, seed)
    ]


# ---- The student's process


def ask(theirs, plan):
    """Make all calls with a student's files: {exercise: (how it ended, list of Answer)}.

    A process that was ended from within, by one exercise, is started again for the next.
    """
    text = b"\n".join(theirs.values()).decode("utf-8", "replace")
    modules = [name for name in IMPORTED_FIRST if name.split(".")[0] in text]
    found = {
        exercise: (f"{file_of(exercise)} is missing or unreadable", []) for exercise in EXERCISES
    }
    waiting = [exercise for exercise in EXERCISES if file_of(exercise) in theirs]
    while waiting:
        with isolation.StudentProcess(SECONDS, modules, plan.is_walled) as process:
            process.start()
            while waiting and process.is_alive:
                exercise = waiting.pop(0)
                status, lines = process.ask(make_job(exercise, theirs, plan))
                found[exercise] = status, read_answers(lines)
    return found


def make_job(exercise, theirs, plan):
    """Write a job: the student's file before ours without the exercise, so others are ours."""
    name = file_of(exercise)
    files = plan.files | {file: text for file, text in theirs.items() if file not in plan.files}
    ours = without_function(plan.files[name].decode(), exercise.function).encode()
    files[name] = theirs[name] + b"\n\n" + ours
    texts = {f"helpers/{file}": text.decode("latin-1") for file, text in files.items()}
    job = {"files": texts, "function": exercise.function, "problems": plan.problems}
    return json.dumps(job).encode()


def without_function(source, name):
    """Take a function on the top level out of a source."""
    lines = source.splitlines(keepends=True)
    [node] = [node for node in ast.parse(source).body if getattr(node, "name", "") == name]
    return "".join(lines[: node.lineno - 1] + lines[node.end_lineno :])


def read_answers(lines):
    """Read the answers of a student's process, up to the first that is none."""
    answers = []
    for line in lines.splitlines():
        try:
            answers.append(Answer(**json.loads(line, object_hook=runner.decode)))
        except (ValueError, TypeError, RecursionError, OverflowError, MemoryError):
            break
    return answers


# ---- The verdict


def grade_submission(submission, plan):
    """Grade a submission.

    Parameters
    ----------
    submission : Submission
        Already read.
    plan : Plan

    Returns
    -------
    dict
        In the form of Gradescope's results: a test for each line of tasks.csv.
    """
    found = {}
    if not submission.problem:
        found = ask(submission.files, plan)
    tests = judge(found, plan, submission.problem)
    score = round(sum(test["score"] for test in tests), 2)
    return {"score": score, "output": isolation.describe(plan.is_walled), "tests": tests}


def grade(path, seed=0):
    """Grade one filled-in hand-out, a folder or a zip file; see `grade_submission`.

    Raises
    ------
    FileNotFoundError
        If no file in it has exercises.
    """
    submission = Submission(path.name, path)
    submission.read()
    if submission.problem:
        raise FileNotFoundError(f"{path}: {submission.problem}")
    return grade_submission(submission, make_plan(seed))


def judge(found, plan, problem=""):
    """Judge what `ask` gives, exercise by exercise; `problem` is why there are no answers."""
    tests = []
    for exercise in EXERCISES:
        status, answers = found.get(exercise, (problem, []))
        tests += grade_exercise(exercise, status, answers, plan)
    return tests


def grade_exercise(exercise, status, answers, plan):
    """Judge an exercise: a test, in Gradescope's form, for each thing that it must do."""
    faults = find_faults(exercise, status, answers, plan)
    tests = []
    for task in TASKS[exercise.function]:
        beside = faults.get(task.beside, {})
        lines = [line or beside.get(number) for number, line in faults[task.what].items()]
        share = lines.count(None) / len(lines)
        test = {"number": exercise.label, "name": f"{exercise.function}: {task.what}"}
        test |= {"score": round(share * task.points, 2), "max_score": task.points}
        test["output"] = printable(next(filter(None, lines), "right"))
        tests.append(test)
    return tests


def find_faults(exercise, status, answers, plan):
    """Judge all calls: {what: {number of the problem: what is wrong first, None if nothing}}."""
    missing = f"no answer: {status}"
    if len(answers) == 1 and answers[0].error:
        missing = answers[0].error  # the file cannot be imported
    faults = defaultdict(dict)
    for place, (number, check) in enumerate(calls_of(exercise, plan)):
        line = missing
        if place < len(answers):
            line = find_fault(check, answers[place], plan.right[exercise.function][place])
            line = line and f"{check.what}: {line}"
        found = faults[find_task(exercise.function, check).what]
        found[number] = found.get(number) or line
    return faults


def find_task(function, check):
    """Find the line of tasks.csv that a check belongs to."""
    for task in TASKS[function]:
        if fnmatchcase(check.what, task.checks):
            return task
    raise GradingError(f"tasks.csv has no line for the check {check.what!r} of {function}")


def find_fault(check, answer, right=None):
    """Say what is wrong with an answer: by its check, or beside the one right result there is.

    An answer of a student's process may hold anything; that must not end the grading.
    """
    try:
        line = fault(check, answer)
        if line is None and right and check.unique and not agrees(answer.result, right.result):
            line = "a right solution gives other numbers"
    except Exception:
        line = "what comes back cannot be read"
    return line


def agrees(found, right):
    """Tell whether plain data agrees with ours: numbers to nine digits, lists as arrays."""
    if isinstance(right, dict):
        return found.keys() == right.keys() and all(agrees(found[key], right[key]) for key in right)
    if isinstance(right, list):
        return len(found) == len(right) and all(map(agrees, found, right))
    if right is None or isinstance(right, (str, bool)):
        return found == right
    return np.shape(found) == np.shape(right) and is_close(found, right)


def printable(line):
    """Make a line of what may hold anything."""
    text = "".join(c if c.isprintable() else " " for c in line)
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 3]}..."


def by_exercise(results):
    """Sum the points of results by exercise: {"A1": 2.0, ...}."""
    points = dict.fromkeys((exercise.label for exercise in EXERCISES), 0.0)
    for test in results["tests"]:
        points[test["number"]] += test["score"]
    return {label: round(score, 2) for label, score in points.items()}
