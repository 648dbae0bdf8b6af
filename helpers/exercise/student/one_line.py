def _show_in_one_line(shell, kind, error, trace, tb_offset=None):
    """Let a notebook show what is still to be written without a traceback above it."""
    error._render_traceback_ = lambda: [f"{kind.__name__}: {error}"]
    shell.showtraceback((kind, error, trace))


import sys  # noqa: E402

if "ipykernel" in sys.modules:
    from IPython import get_ipython

    get_ipython().set_custom_exc((NotImplementedError,), _show_in_one_line)
