"""Lets a notebook show in one line what is still to be written."""

from IPython.core.getipython import get_ipython


def show_in_one_line(shell, kind, error, trace, tb_offset=None):
    """Show an error of a function that is still to be written, without a traceback above it."""
    error._render_traceback_ = lambda: [f"{kind.__name__}: {error}"]
    shell.showtraceback((kind, error, trace))


if get_ipython():
    get_ipython().set_custom_exc((NotImplementedError,), show_in_one_line)
