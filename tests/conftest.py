"""The same examples in every run, and no deadline: a busy machine is not a failure."""

import hypothesis

hypothesis.settings.register_profile("project", derandomize=True, deadline=None)
hypothesis.settings.load_profile("project")
