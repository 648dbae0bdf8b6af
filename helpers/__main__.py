"""Start the command so that no signal ends in a traceback."""

import os
import signal
import sys
from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a run begins, Ctrl-C simply ends all

sys.path.insert(0, str(Path(__file__).parents[1]))  # this copy's helpers, started in whatever way

from helpers.batch.command_line import main

# No second signal is to find the interpreter half taken down.
os._exit(main(sys.argv[1:]))
