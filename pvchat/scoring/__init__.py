"""Scores answers, of a run or of any other system, with an interval on every number; ``pvchat evaluate``."""
