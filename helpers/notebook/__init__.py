"""What makes a notebook an experiment: checked parameters, recorded values, shown source."""

from helpers.notebook.parameters import read_parameters
from helpers.notebook.progress import live, watch
from helpers.notebook.records import finish, record, show_table, varies
from helpers.notebook.sources import show_source
