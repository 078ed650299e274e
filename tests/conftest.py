"""For both suites: the same examples on every run, and no deadline that a busy machine could miss."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
