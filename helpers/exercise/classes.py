"""Grading a class: all submissions in a folder, a table, and a page for each student.

Submissions are graded several at a time. Each result is stored as soon as it is there, with what it
depends on, so the same command goes on where it was stopped, and grades anew what has changed.

In the folder of results: `grades.csv`, a row for each submission; `feedback/NAME.md`, for the
student; `feedback/NAME.json`, the same in the form of Gradescope's results.json.
"""

import csv
import hashlib
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from helpers import files
from helpers.exercise import grading, isolation
from helpers.exercise.submissions import find_submissions
from helpers.notebook.checks.exercises import EXERCISES

LABELS = list(dict.fromkeys(exercise.label for exercise in EXERCISES))
UNSAFE = {ord(character): "_" for character in '<>:"/\\|?*`'} | dict.fromkeys(range(32), "_")
"""Characters that some systems do not allow in the name of a file."""


def grade_class(folder, results, seed, num_workers, show=print):
    """Grade all submissions in a folder; what has been graded before is not graded again.

    Parameters
    ----------
    folder : pathlib.Path
        Holds a folder or zip file for each student.
    results : pathlib.Path
        Where grades and feedback go; made if needed.
    seed : int
        Of the problems.
    num_workers : int
        Submissions graded at a time.
    show : callable
        Called with a line about the progress, for each submission.

    Returns
    -------
    list of dict
        The rows of the table.
    """
    submissions = find_submissions(folder)
    (results / "feedback").mkdir(parents=True, exist_ok=True)
    plan = grading.make_plan(seed)
    show(f"{len(submissions)} submissions, seed {seed}; {isolation.describe(plan.is_walled)}")
    rows = {}
    progress = Progress(len(submissions))
    pool = ThreadPoolExecutor(num_workers)
    stems = file_names([submission.name for submission in submissions])
    try:
        waiting = {
            pool.submit(grade_one, submission, plan, results / "feedback" / stem): submission.name
            for submission, stem in zip(submissions, stems, strict=True)
        }
        for future in as_completed(waiting):
            row, is_new = future.result()
            rows[waiting[future]] = row
            show(progress.line(row, is_new))
    finally:
        pool.shutdown(cancel_futures=True)
        table = [rows[each.name] for each in submissions if each.name in rows]
        note_duplicates(table)
        write_table(results / "grades.csv", table)
    return table


def grade_one(submission, plan, place):
    """Grade a submission, or read its grades if they are stored; give its row, and which it was.

    Whatever happens, there is a row; a result that is no verdict on the files is not stored.
    """
    try:
        submission.read()
        key = key_of(submission, plan)
        results = read_stored(place, key)
        if results is not None:
            return make_row(submission, results), False
        results = grading.grade_submission(submission, plan) | {"extra_data": {"graded": key}}
        files.write_text(place.with_name(f"{place.name}.md"), feedback(submission.name, results))
        files.write_json(place.with_name(f"{place.name}.json"), results)
    except Exception as error:
        submission.problem = f"NOT GRADED, an error of ours: {type(error).__name__}: {error}"
        results = {"score": 0, "tests": []}
    return make_row(submission, results), True


def key_of(submission, plan):
    """Hash all that a result depends on: the student's files, the problems, our files, points."""
    content = repr((submission.fingerprint, plan.seed, plan.is_walled, sorted(plan.files.items())))
    points = repr(sorted(grading.TASKS.items()))
    return hashlib.sha256((content + points).encode()).hexdigest()[:16]


def read_stored(place, key):
    """Read a stored result, None if there is none that was made from the same."""
    try:
        results = json.loads(place.with_name(f"{place.name}.json").read_text("utf-8"))
        is_complete = place.with_name(f"{place.name}.md").exists()
        return results if is_complete and results["extra_data"]["graded"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_row(submission, results):
    """Make the row of a submission: name, points of each exercise, total, note."""
    points = grading.by_exercise(results)
    row = {"name": submission.name} | points
    row |= {"total": results["score"], "note": grading.printable(submission.problem)}
    return row | {"fingerprint": submission.fingerprint if submission.files else ""}


def note_duplicates(rows):
    """Note who handed in the same files, to the byte; the fingerprints are taken out."""
    names = {}
    for row in rows:
        names.setdefault(row["fingerprint"], []).append(row["name"])
    for row in rows:
        others = [name for name in names[row["fingerprint"]] if name != row["name"]]
        if row.pop("fingerprint") and others:
            row["note"] = f"the same files as {', '.join(others)}"


def write_table(path, rows):
    """Write rows as a table, in UTF-8."""
    text = io.StringIO()
    table = csv.DictWriter(text, ["name", *LABELS, "total", "note"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    files.write_text(path, text.getvalue())


def feedback(name, results):
    """Write a student's page: points of each exercise, and what is wrong first with each thing."""
    lines = [f"# {name}", "", f"{results['score']:g} of {grading.MOST:g} points", ""]
    function = ""
    for test in results["tests"]:
        function_before = function
        function, _, what = test["name"].partition(": ")
        if function != function_before:
            lines += ["", f"## {test['number']}  {function}", ""]
        points = f"{test['score']:g} of {test['max_score']:g}"
        line = test["output"].replace("`", "'")
        lines.append(f"* {what}: {points}" if line == "right" else f"* {what}: {points}. `{line}`")
    lines += ["", "Each exercise was graded with a correct version of all the others."]
    return "\n".join(lines) + "\n"


def file_names(names):
    """Name a file for each name: safe on every system, and each another one."""
    found = {}
    for name in names:
        stem = name.translate(UNSAFE).strip(". ")[:80] or "_"
        number = 2
        unique = stem
        while unique.casefold() in found:
            unique = f"{stem} {number}"
            number += 1
        found[unique.casefold()] = unique
    return list(found.values())


class Progress:
    """Says how far a grading is and how long the rest may take; `count` submissions in all."""

    def __init__(self, count):
        self.count = count
        self.done = 0
        self.graded = 0
        self.start = time.monotonic()

    def line(self, row, is_new):
        """Count a submission, and say it in a line."""
        self.done += 1
        self.graded += is_new
        points = f"{row['total']:g} of {grading.MOST:g}" if is_new else "as stored"
        each = (time.monotonic() - self.start) / max(self.graded, 1)
        minutes, seconds = divmod(round(each * (self.count - self.done)), 60)
        left = f"{minutes}:{seconds:02} left" if self.done < self.count else "done"
        note = f"  ({row['note']})" if row["note"] else ""
        return f"{self.done:4} of {self.count}  {left:>11}  {row['name']}: {points}{note}"
