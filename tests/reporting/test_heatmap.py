"""The picture of head activation: written, legible in size, and true in colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvchat.errors import UserError
from pvchat.reporting.heatmap import _short, plot_head_activation

PRESENT = {"layer6.self": [1.0, 0.2, 0.0, 1.5], "layer6.cross": [1.0, 1.0, 0.3, 0.0]}
ABSENT = {"layer6.self": [1.0, 0.9, 0.0, 0.1], "layer6.cross": [1.0, 1.0, 0.3, 0.0]}


@pytest.mark.parametrize("num_shared_heads", [None, 2])
def test_writes_a_picture(tmp_path: Path, num_shared_heads: int | None) -> None:
    path = plot_head_activation(
        PRESENT, ABSENT, tmp_path / "new" / "map.png", num_shared_heads=num_shared_heads
    )
    with Image.open(path) as image:
        assert image.width > image.height > 200
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red, blue = pixels[..., 0] - pixels[..., 2] > 60, pixels[..., 2] - pixels[..., 0] > 60
    third = pixels.shape[1] * 2 // 3
    assert red[:, third:].sum() > 1000  # more active with the subject
    assert blue[:, third:].sum() > 1000  # less active
    assert not red[:, : third // 2].any()


def test_shared_heads_do_not_swamp_the_routed_ones(tmp_path: Path) -> None:
    """Shared weights of 1.7 beside routed ones of .07: the routed colours differ all the same."""
    there, away = {"layer2.cross": [1.7, 1.7, 0.07, 0.0]}, {"layer2.cross": [0.2, 0.2, 0.0, 0.05]}
    path = plot_head_activation(there, away, tmp_path / "map.png", num_shared_heads=2)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    third = pixels.shape[1] // 3
    blue = pixels[..., 2] - pixels[..., 0] > 60
    red = pixels[..., 0] - pixels[..., 2] > 60
    assert blue[:, :third].sum() > 1000  # the routed head of .07
    assert blue[:, third : 2 * third].sum() > 1000  # that of .05
    assert blue[:, 2 * third :].sum() > 1000  # the differences of .07
    assert red[:, 2 * third :].sum() > 1000  # and of .05


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [(0.238, False, ".24"), (1.76, False, "1.76"), (0.004, False, "0"), (-0.031, True, "\N{MINUS SIGN}.03")],
)
def test_weights_are_short(value: float, signed: bool, text: str) -> None:
    assert _short(value, signed=signed) == text


def test_equal_maps_have_a_grey_difference(tmp_path: Path) -> None:
    with Image.open(plot_head_activation(PRESENT, PRESENT, tmp_path / "map.png")) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    panel = pixels[: pixels.shape[0] * 2 // 3, pixels.shape[1] * 3 // 4 :]
    assert np.ptp(panel, axis=-1).max() < 40


def test_is_drawn_the_same_twice(tmp_path: Path) -> None:
    one = plot_head_activation(PRESENT, ABSENT, tmp_path / "1.png").read_bytes()
    assert one == plot_head_activation(PRESENT, ABSENT, tmp_path / "2.png").read_bytes()


def test_dead_everywhere_is_drawn(tmp_path: Path) -> None:
    dead = {"layer0.self": [0.0, 0.0]}
    assert plot_head_activation(dead, dead, tmp_path / "map.png").is_file()


@pytest.mark.parametrize(
    ("present", "absent", "message"),
    [
        ({}, {}, "needs modules with equally many heads: got {}"),
        ({"a": [1.0], "b": [1.0, 2.0]}, {"a": [1.0], "b": [1.0]}, "equally many heads: got {'a': 1, 'b': 2}"),
        ({"a": [1.0]}, {"b": [1.0]}, "equally many heads"),
        ({"a": [1.0]}, {"a": [1.0], "b": [1.0]}, r"same modules and heads: got \['a'\] x 1"),
        ({"a": [1.0]}, {"a": [1.0, 2.0]}, "same modules and heads"),
    ],
)
def test_errors(
    tmp_path: Path, present: dict[str, list[float]], absent: dict[str, list[float]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        plot_head_activation(present, absent, tmp_path / "map.png")
    assert not list(tmp_path.iterdir())
