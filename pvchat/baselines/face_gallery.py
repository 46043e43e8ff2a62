"""Faces of the reference, to compare those of a clip with."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pvchat.baselines.reference_clips import references_of
from pvchat.batch import Batch, Example, TrainingClip
from pvchat.errors import UserError

NOBODY = 2.0
"""Distance where no face is seen; that of two faces is under 1.5."""


class FaceGallery:
    """Face embeddings of each person, as the identity view of their reference ``clips`` has them. Raises
    UserError without that view, and where no reference shows a face."""

    def __init__(self, clips: Sequence[TrainingClip]) -> None:
        self.faces = {name: _reference_faces(clips, name) for name in clips[0].presence}
        self.sources = {clip.id: clip.source_id or clip.id for clip in clips}

    def distances(self, batch: Batch) -> list[dict[str, float]]:
        """L2 distance of the nearest face in any frame to the reference, of each question and person. Where
        there is another reference, a clip is not compared with those of its own photo or recording: they are
        nearer than any other picture of the person, so a threshold calibrated on them would be too strict."""
        views, masks = batch.views["identity"], batch.view_masks["identity"]
        rows = []
        for example, view, mask in zip(batch.examples, views, masks, strict=True):
            faces = _faces(view, mask)
            rows.append({name: self._distance(faces, name, example) for name in self.faces})
        return rows

    def _distance(self, faces: Tensor, name: str, example: Example) -> float:
        clips, source = self.faces[name], example.source_id or example.clip_id
        elsewhere = [f for clip, f in clips.items() if self.sources[clip] != source]
        others = [f for clip, f in clips.items() if clip != example.clip_id]
        known = elsewhere or others or list(clips.values())
        return float(torch.cdist(faces, torch.cat(known)).min()) if len(faces) else NOBODY


def _reference_faces(clips: Sequence[TrainingClip], name: str) -> dict[str, Tensor]:
    """Embeddings (n, 128) of ``name`` by clip."""
    clips = references_of(clips, name)
    if "identity" not in clips[0].features:
        raise UserError(
            f"faces are compared by the identity view: got {sorted(clips[0].features)}. Add identity to "
            "model.chat.init_args.views.init_args.names."
        )
    found = {clip.id: _faces(clip.features["identity"], clip.features["identity.mask"]) for clip in clips}
    if not any(map(len, found.values())):
        raise UserError(f"a reference shows a face: none of {list(found)} does. Take another clip.")
    return {clip: faces for clip, faces in found.items() if len(faces)}


def _faces(view: Tensor, mask: Tensor) -> Tensor:
    """Embeddings (n, 128) in the frames (T, F, 128) of a clip; all-zero ones are nobody's."""
    faces = view.float().cpu()[mask.cpu()].reshape(-1, view.shape[-1])
    return faces[faces.any(-1)]
