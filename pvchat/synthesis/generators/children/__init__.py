"""Scripts that run in the environment of a generator, under ``serve.py``: they import it, and numpy."""
