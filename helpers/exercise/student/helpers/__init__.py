"""A small library for a network from scratch on Fashion-MNIST; start reading at `network`."""

import logging
import sys

# On its first run matplotlib may say on stderr that it builds its font cache, and no notebook
# shows stderr.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def _show_in_one_line(shell, kind, error, trace, tb_offset=None):
    """Let a notebook show what is still to be written without a traceback above it."""
    error._render_traceback_ = lambda: [f"{kind.__name__}: {error}"]
    shell.showtraceback((kind, error, trace))


_shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
if _shell:
    _shell.set_custom_exc((NotImplementedError,), _show_in_one_line)
