"""Is this machine ready? Checks that do a little real work, and say what to do about what fails."""
