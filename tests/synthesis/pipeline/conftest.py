"""A drawn studio and who plays in it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from drawn_studio import ANN, BEN, CAT, RED, TOM, Drawn, DrawnStudio, look
from tiny import DrawnFaces

from pvchat.datamodules.manifest import Split
from pvchat.synthesis.gate import Calibration, IdentityGate
from pvchat.synthesis.pipeline.takes import Cast, SplitSize


@pytest.fixture
def studio() -> DrawnStudio:
    return DrawnStudio()


@pytest.fixture
def casts() -> Mapping[Split, Cast[Drawn]]:
    return {
        "train": Cast({"tom": [TOM]}, [ANN], [BEN]),
        "test": Cast({"tom": [replace(TOM, source_id="other")]}, [replace(CAT, source_id="cat")]),
    }


@pytest.fixture
def sizes() -> Mapping[Split, SplitSize]:
    return {"train": SplitSize(4, 1, 1), "validation": SplitSize(0), "test": SplitSize(2, 1)}


@pytest.fixture
def gates() -> dict[str, IdentityGate]:
    faces, frame = DrawnFaces(), look(RED)
    reference = faces.embed(frame[0], faces.detect(frame)[0][0])
    calibration = Calibration(0.3, 0.01, "default", 0, 0)
    return {"tom": IdentityGate(references=[reference], calibration=calibration, faces=faces)}
