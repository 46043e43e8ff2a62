from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.animation.layers import Layers, PersonMatte
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.preparation import prepare


class _Blind(PersonMatte):
    """Sees nobody."""

    def separate(
        self, photo: npt.NDArray[np.uint8], *, centre: tuple[float, float], face_px: float
    ) -> Layers:
        layers = super().separate(photo, centre=centre, face_px=face_px)
        return replace(
            layers, alpha=torch.zeros_like(layers.alpha), foreground=torch.zeros_like(layers.foreground)
        )


def test_a_face_is_shown_even_where_the_matte_sees_nobody(photo: npt.NDArray[np.uint8]) -> None:
    animator = WarpAnimator(matte=_Blind())
    prepared = prepare(Actor("ann", "ann", photo), animator, unit_px=30)
    x, y = prepared.head.to_pixels(np.array([0.0, 0.5])).round().astype(int)
    layers = prepared.subject.layers
    assert layers.alpha[0, y, x] > 0.99
    assert np.allclose(layers.foreground[:, y, x] * 255, prepared.subject.photo[y, x], atol=1)
    assert layers.alpha[0, -1, -1] == 0
