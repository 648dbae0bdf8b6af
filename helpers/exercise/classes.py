"""Grading a class: all submissions in a folder, a table, and a page for each student.

Submissions are graded several at a time. Each result is stored as soon as it is there, with what it
depends on, so the same command goes on where it was stopped, and grades anew what has changed.

In the folder of results: `grades.csv`, a row for each submission; `feedback/NAME.md`, for the
student; `feedback/NAME.json`, the same in the form of Gradescope's results.json.
"""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import pandas as pd

from helpers import files
from helpers.exercise import grading, isolation
from helpers.exercise.submissions import find_submissions


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
    pandas.DataFrame
        A row for each submission: name, points of each exercise, total, note.
    """
    submissions = find_submissions(folder)
    (results / "feedback").mkdir(parents=True, exist_ok=True)
    plan = grading.make_plan(seed)
    show(f"{len(submissions)} submissions, seed {seed}; {isolation.describe(plan.is_walled)}")
    rows = {}
    start = time.monotonic()
    pool = ThreadPoolExecutor(num_workers)
    try:
        waiting = [
            pool.submit(grade_one, submission, plan, results / "feedback")
            for submission in submissions
        ]
        for future in as_completed(waiting):
            row = future.result()
            rows[row["name"]] = row
            show(say_progress(row, len(rows), len(submissions), time.monotonic() - start))
    finally:
        pool.shutdown(cancel_futures=True)
        if rows:
            table = make_table([rows[each.name] for each in submissions if each.name in rows])
            files.write_text(results / "grades.csv", table.to_csv(index=False))
    return table


def grade_one(submission, plan, folder):
    """Grade a submission, or read its grades if they are stored; give its row of the table.

    Whatever happens, there is a row; a result that is no verdict on the files is not stored.
    """
    path = folder / f"{submission.name}.json"
    try:
        submission.read()
        key = key_of(submission, plan)
        results = read_stored(path, key)
        if results is None:
            results = grading.grade_submission(submission, plan)
            results["extra_data"] = {"graded": key}
            files.write_text(folder / f"{submission.name}.md", feedback(submission.name, results))
            files.write_json(path, results)  # the last one: it says that all is stored
    except Exception as error:
        submission.problem = f"NOT GRADED, an error of ours: {type(error).__name__}: {error}"
        results = {"score": 0, "tests": []}
    row = {"name": submission.name} | grading.by_exercise(results) | {"total": results["score"]}
    row["note"] = grading.printable(submission.problem)
    return row | {"files": submission.fingerprint if submission.files else ""}


def key_of(submission, plan):
    """Hash all that a result depends on: the student's files, the problems, our files, points."""
    content = repr((submission.fingerprint, plan.seed, plan.is_walled, sorted(plan.files.items())))
    points = repr(sorted(grading.TASKS.items()))
    return hashlib.sha256((content + points).encode()).hexdigest()[:16]


def read_stored(path, key):
    """Read a stored result; None if there is none, or one that was made from something else."""
    try:
        results = json.loads(path.read_text("utf-8"))
        return results if results["extra_data"]["graded"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_table(rows):
    """Make the table of grades; who handed in the same files, to the byte, is noted."""
    table = pd.DataFrame(rows)
    for _, same in table[table["files"] != ""].groupby("files"):
        if len(same) > 1:
            table.loc[same.index, "note"] += f" the same files: {', '.join(same['name'])}"
    table["note"] = table["note"].str.strip()
    return table.drop(columns="files")


def feedback(name, results):
    """Write a student's page: points of each thing, and what is wrong first with it."""
    lines = [f"# {name}", "", f"{results['score']:g} of {grading.MOST:g} points", ""]
    for test in results["tests"]:
        points = f"{test['score']:g} of {test['max_score']:g}"
        verdict = test["output"].replace("`", "'")
        lines.append(f"* {test['number']} {test['name']}, {points}: `{verdict}`")
    lines += ["", "Each exercise was graded with a correct version of all the others."]
    return "\n".join(lines) + "\n"


def say_progress(row, num_done, num_submissions, seconds):
    """Say in a line how far a grading is, and how long the rest may take."""
    minutes, rest = divmod(round(seconds / num_done * (num_submissions - num_done)), 60)
    note = f"  ({row['note']})" if row["note"] else ""
    return (
        f"{num_done:4} of {num_submissions}  {minutes:3}:{rest:02} left  "
        f"{row['name']}: {row['total']:g} of {grading.MOST:g}{note}"
    )
