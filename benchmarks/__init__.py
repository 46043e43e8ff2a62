"""Committed measurements; they wait for one another as the command does."""

from pvchat.threads import share_cores

share_cores()
