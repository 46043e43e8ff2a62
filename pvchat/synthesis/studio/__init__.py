"""Animated portraits in commanded scenes: photos of people -> clips whose content is known exactly."""
