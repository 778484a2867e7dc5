"""Which backend, in which order: pure functions of names, numbers and ``now``."""
