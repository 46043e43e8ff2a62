"""What a training will need, found without allocating it: memory, operations, hours."""
