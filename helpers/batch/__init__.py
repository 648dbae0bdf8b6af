"""Unattended runs: the command line, papermill, and the publishing of results."""
