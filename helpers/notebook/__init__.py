"""What makes a notebook an experiment: checked parameters, recorded values, shown source."""

from helpers.exercise.check import check
from helpers.notebook.progress import LiveCurve as live_curve
from helpers.notebook.progress import ProgressLine as progress_line
from helpers.notebook.records import finish, record, show_table, varies
from helpers.notebook.settings import read_parameters
from helpers.notebook.sources import show_source
