"""Runs without a person: the command line, papermill, lock and publishing."""
