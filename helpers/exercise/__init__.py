"""Exercises: a hand-out to fill in, and the grading of what comes back."""
