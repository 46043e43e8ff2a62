from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvchat.errors import UserError
from pvchat.synthesis.gallery.survey import Survey
from pvchat.synthesis.pipeline.gallery_people import GalleryPeople
from pvchat.synthesis.roles import Neighbour
from pvchat.synthesis.studio.actors import Actor

PHOTO = np.zeros((64, 64, 3), np.uint8)


class SmallGallery:
    """``count`` people, all of whom look most alike."""

    def __init__(self, count: int) -> None:
        self.people = [Neighbour(f"p{n}", 0.7 + n / 100) for n in range(count)]

    def refresh(self) -> Survey:
        return Survey(len(self.people), 0, 0, {})

    def nearest(self, face: object, count: int, *, farther_than: float) -> list[Neighbour]:
        return self.people[:count]

    def random(self, face: object, count: int, **_: object) -> list[Neighbour]:
        raise UserError("nobody is left")

    def looks(self, count: int, *, seed: int) -> list[object]:
        return []


@pytest.mark.parametrize(("count", "alike"), [(5, ["p0", "p1"]), (1, [])])
def test_a_small_gallery_has_strangers_too(
    count: int, alike: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    people = GalleryPeople(folder=str(tmp_path), store=tmp_path / "store")
    monkeypatch.setattr(people, "retriever", SmallGallery(count))
    monkeypatch.setattr(people, "_actor", lambda key: Actor(key, key, PHOTO))
    monkeypatch.setattr(people, "_each_once", lambda clear: clear)
    others = people.find([], [np.zeros(128, np.float32)], seed=0)
    assert [a.person for (a,) in others.lookalikes] == alike
    assert [a.person for (a,) in others.strangers] == [f"p{n}" for n in range(len(alike), count)]
