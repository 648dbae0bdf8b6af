"""What the README says of speed follows from what was measured."""

from tests.benchmarks import benchmark_steps as steps


def test_the_readme_follows_from_the_figures():
    page = steps.README.read_text("utf-8")
    assert page == steps.with_speed(page)
