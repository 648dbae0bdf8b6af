"""The one kind of error that users are meant to read: its message says it all in one line.

A message names the value, what is allowed, and where to set it or what to do. Each such error has
a class of its own, which stands where it is raised; the command line prints its message and a
notebook shows it without a traceback. Everything else that goes wrong is a mistake in the code and
keeps its traceback.
"""


class OneLineError(Exception):
    """An error whose message says all that a user needs to know."""

    def _render_traceback_(self):
        """Show one line where IPython would show a traceback; the name is IPython's."""
        return [f"{type(self).__name__}: {self}"]
