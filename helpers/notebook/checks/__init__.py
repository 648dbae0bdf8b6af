"""Checks of the exercises: no solution, one line; the same in a notebook, a terminal and grading.

A file here for each file that students write in; how a check is built stands in `structure`.
"""

from helpers.notebook.checks.exercises import EXERCISES, SHAPES, Exercise, checks_of, first_fault
from helpers.notebook.checks.verdict import ExerciseError, check
