"""Settings of all Python tests."""

from hypothesis import settings

# The same examples in every run; a slow machine is no error.
settings.register_profile("treadle", deadline=None, derandomize=True)
settings.load_profile("treadle")
