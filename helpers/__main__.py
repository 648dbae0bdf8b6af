"""Start the command so that no signal ends in a traceback."""

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a run begins, Ctrl-C simply ends all

from helpers.batch.command_line import main

# No second signal is to find the interpreter half taken down.
os._exit(main(sys.argv[1:]))
