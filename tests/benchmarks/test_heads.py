"""The picture of reacting heads is of the runs of a grid, people below each other."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.heads import draw, reactions
from pvchat.errors import UserError


def run(runs: Path, variant: str, subject: str, seed: int, *aucs: float) -> None:
    folder = runs / f"{variant}{subject}{seed}"
    folder.mkdir(parents=True)
    labels = {"variant": variant, "subject": subject, "seed": str(seed)}
    (folder / "labels.json").write_text(json.dumps(labels))
    found = {"present": {}, "absent": {}, "auc": {"a": aucs[:2], "b": aucs[2:]}}
    (folder / "head_activation.json").write_text(json.dumps(found))


def test_heads_are_sorted_then_seeds_averaged(tmp_path: Path) -> None:
    run(tmp_path, "moh", "tom", 0, 0.1, 0.9, 0.5)
    run(tmp_path, "moh", "tom", 1, 0.7, 0.2, 0.3)
    run(tmp_path, "remoh", "ann", 0, 0.0, 1.0, 0.25)
    run(tmp_path, "soft", "ann", 0, 0.0, 1.0, 0.25)
    found = reactions(tmp_path)
    assert {name: list(rows) for name, rows in found.items()} == {"moh": ["tom"], "remoh": ["ann"]}
    np.testing.assert_allclose(found["moh"]["tom"], [0.8, 0.4, 0.15])
    np.testing.assert_allclose(found["remoh"]["ann"], [1.0, 0.25, 0.0])
    draw(found, tmp_path / "new" / "heads.png")
    assert Image.open(tmp_path / "new" / "heads.png").width > 500


def test_both_kinds_are_needed(tmp_path: Path) -> None:
    run(tmp_path, "moh", "tom", 0, 0.1, 0.9)
    with pytest.raises(UserError, match=r"needs tested runs of moh and remoh in .*: got none of remoh"):
        reactions(tmp_path)
