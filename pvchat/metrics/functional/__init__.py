"""Metrics as plain functions of answers, scores and truths."""
