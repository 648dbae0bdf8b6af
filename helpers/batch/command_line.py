"""The command line: everything is checked before anything runs; then the parts run in order.

Exit status: 0 if every part succeeded, 1 if one failed, 2 if the request was refused,
128 + the signal's number if it was interrupted.
"""

import os
import sys

from helpers.batch import signals
from helpers.batch.request import PROGRAM, check_machine, expected_time, make_plan, read_request
from helpers.errors import OneLineError
from helpers.notebook.output import output_lock


def main(words):
    """Run what the command line's words ask for; give the exit status."""
    try:
        request = read_request(words)
        plan = make_plan(request)
        check_machine(plan)
        signals.handle()
        with output_lock(request.output_dir):
            where = os.path.relpath(request.output_dir)
            parts = ", ".join(request.parts)
            print(f"part {parts} into {where}: {expected_time(request)}", flush=True)
            # Not before: papermill and what it brings take a second and more to import.
            from helpers.batch import parts

            status, reason = parts.run(request, plan)
    except OneLineError as error:
        status, reason = 2, error
    except OSError as error:
        status, reason = 1, error
    if reason:
        print(f"{PROGRAM}: {reason}", file=sys.stderr)
    return status
