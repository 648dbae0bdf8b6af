"""The command: everything is checked before anything runs; then the parts run in order.

Exit status: 0 if every part succeeded, 1 if one failed, 2 if the request was refused,
128 + the signal's number if it was interrupted.
"""

import os
import sys
from tempfile import TemporaryDirectory

from helpers.batch import signals
from helpers.batch.progress import say
from helpers.batch.request import PROGRAM, check, read_request
from helpers.errors import OneLineError
from helpers.notebook.output import open_folder


def main(words):
    """Run what the command's words ask for; give the exit status."""
    try:
        request = read_request(words)
        check(request.plan)
        signals.handle()
        folder = open_folder(request.output_dir)
        with TemporaryDirectory() as home:
            if not os.access(os.path.expanduser("~"), os.W_OK):
                os.environ["HOME"] = home  # else IPython, matplotlib and others complain
            # Not before: papermill and what it brings take a second to import.
            from helpers.batch import parts, staging

            with staging.locked(folder):
                parts.run(request)
    except (OneLineError, OSError) as error:
        say(f"{PROGRAM}: {error}", sys.stderr)
        refused = 2 if isinstance(error, OneLineError) else 1
        return getattr(error, "status", refused)
    return 0
