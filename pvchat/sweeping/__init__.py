"""W&B sweep files without a server: the same points, the same commands, on this machine or a cluster."""
