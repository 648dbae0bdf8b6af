"""Start the command line so that no signal, and no closed stream, ends in a traceback."""

import os
import signal
import sys

for _name in ("stdin", "stdout", "stderr"):  # closed by the shell, as in >&-
    if getattr(sys, _name) is None:
        setattr(sys, _name, open(os.devnull, "w"))  # noqa: SIM115
signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the imports take seconds, simply end

from helpers.batch import signals  # noqa: E402
from helpers.batch.command_line import main  # noqa: E402

signals.handle()
os._exit(main(sys.argv[1:]))  # what was interrupted has nothing more to say, nor to decide
