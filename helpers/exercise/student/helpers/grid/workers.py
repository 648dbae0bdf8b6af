"""Where networks train: here, in this process."""


def executor_for(*settings):
    """Take the settings of the full project; nothing is opened."""
