from dataclasses import fields, replace

import numpy as np
import pytest

from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.portraits import Portrait
from pvchat.synthesis.reshaping import Genes, blend, reshape, sample_genes


def test_no_genes_no_change(portrait: Portrait) -> None:
    same = reshape(portrait, Genes(), person="ann")
    solid = portrait.heads[..., 3] > 250
    assert np.abs(same.heads.astype(int) - portrait.heads)[solid].mean() < 1.5
    np.testing.assert_allclose(same.landmarks, portrait.landmarks, atol=0.01)


@pytest.mark.parametrize(("gene", "grows"), [("eye_distance", "eyes"), ("mouth_width", "mouth")])
def test_proportions_change_as_asked(portrait: Portrait, gene: str, grows: str) -> None:
    wide = reshape(portrait, replace(Genes(), **{gene: 0.2}), person="x")

    def width(p: Portrait) -> float:
        marks = HeadFrame(portrait.landmarks[0]).to_head(p.landmarks[0])
        left, right = marks[:2] if grows == "eyes" else marks[3:]
        return float(right[0] - left[0])

    assert width(wide) == pytest.approx(1.2 * width(portrait), rel=0.02)


def test_a_reshaped_person_is_somebody_else_with_the_same_movements(moving: Portrait) -> None:
    other = reshape(moving, sample_genes(np.random.default_rng(0)), person="stranger")
    assert (other.person, other.origin, other.source_id) == ("stranger", "warp", "clip:stranger")
    assert other.heads.shape == moving.heads.shape
    light = [h[..., :3][h[..., 3] > 250].mean() for h in other.heads]
    assert light[0] > light[1] > light[2]


def test_genes_are_seeded_and_far_from_zero() -> None:
    genes = [sample_genes(np.random.default_rng(s)) for s in (0, 0, 1)]
    assert genes[0] == genes[1] != genes[2]
    assert all(getattr(genes[0], f.name) != 0 for f in fields(Genes))


def test_blending_changes_eyes_and_nose_but_not_the_outline(portrait: Portrait, moving: Portrait) -> None:
    donor = replace(moving, heads=moving.heads[..., [2, 0, 1, 3]])  # other colours, same shapes
    mixed = blend(portrait, donor, 1.0)
    assert np.array_equal(mixed.heads[..., 3], portrait.heads[..., 3])
    grid = HeadFrame(portrait.landmarks[0]).grid(portrait.heads.shape[1])
    changed = np.abs(mixed.heads[0, ..., :3].astype(int) - portrait.heads[0, ..., :3]).max(-1)
    assert changed[(np.abs(grid[..., 0]) < 0.5) & (np.abs(grid[..., 1]) < 0.2)].mean() > 3
    assert changed[grid[..., 1] < -1.0].max() == 0
    assert changed[grid[..., 1] > 1.0].max() == 0
