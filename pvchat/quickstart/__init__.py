"""``pvchat quickstart``: the main job in one command."""
