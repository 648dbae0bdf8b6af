"""Start the command line so that Ctrl-C never ends in a traceback."""

import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the imports take seconds, simply end

from helpers.batch.command_line import interrupt, main  # noqa: E402


def _report(unraisable):
    """Report an exception that Python drops, unless it is Ctrl-C, which is raised again."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)


sys.unraisablehook = _report
for _each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_each, interrupt)
sys.exit(main())
