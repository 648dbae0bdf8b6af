"""Start the command line so that no signal, and no closed stream, ends in a traceback."""

import os
import signal
import sys

for _name in ("stdin", "stdout", "stderr"):  # closed by the shell, as in >&-
    if getattr(sys, _name) is None:
        setattr(sys, _name, open(os.devnull, "w"))  # noqa: SIM115
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a run begins, Ctrl-C simply ends all

from helpers.batch.command_line import main  # noqa: E402

# No second signal is to find the interpreter half taken down.
os._exit(main(sys.argv[1:]))
