"""Data: a source's records -> decoded clips -> cached features -> batches of questions."""
