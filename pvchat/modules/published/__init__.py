"""The published checkpoint InternVideo2-Chat-8B-HD: its names and ours, reading it, and writing it back."""
