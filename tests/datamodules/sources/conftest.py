"""Drawn photos in the layouts of other people's data sets."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


def draw(folder: Path, *names: str) -> None:
    """Photos ``names`` in ``folder``, each of its own colour."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        seed = sum(map(ord, f"{folder.parent.name}{folder.name}{name}"))
        colour = (seed * 7 % 256, seed * 13 % 256, seed * 29 % 256)
        Image.new("RGB", (32, 24), colour).save(folder / name)


@pytest.fixture
def photos() -> Callable[..., None]:
    return draw
