"""Faces by the real nets, and CLIP with small random weights in open_clip's own format."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from tiny import DrawnFaces, draw

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.gallery import CLIPEmbedder, FaceEmbedder, FolderGallery, GalleryRetriever


@pytest.fixture
def tower(tmp_path: Path) -> tuple[str, Path]:
    """Name and weights of a small model."""
    layers = {"layers": 1, "width": 32, "patch_size": 16, "image_size": 32, "head_width": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    config = tmp_path / "tiny-gallery-clip.json"
    config.write_text(json.dumps({"embed_dim": 24, "vision_cfg": layers, "text_cfg": text}))
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    weights = tmp_path / "weights.pt"
    torch.save(open_clip.create_model("tiny-gallery-clip").state_dict(), weights)
    return "tiny-gallery-clip", weights


def test_clip_is_open_clips_own(tower: tuple[str, Path]) -> None:
    name, weights = tower
    faces = DrawnFaces()
    embedder = CLIPEmbedder(faces=faces, name=name, pretrained=str(weights))
    frames = np.stack([draw(["ann", "bob"], "red", "inside"), draw([], "red", "inside")])
    model, _, transform = open_clip.create_model_and_transforms(name, pretrained=str(weights))
    found = faces.detect(frames)[0]
    crops = [Image.fromarray(faces.crop(frames[0], face, 224, 0.5)) for face in found]
    with torch.no_grad():
        expected = [model.eval().encode_image(transform(crop)[None])[0] for crop in crops]
    vectors = embedder.embed(frames)
    assert len(vectors) == 2
    assert embedder.width == 24
    for vector, other in zip(vectors, expected, strict=True):
        np.testing.assert_allclose(vector, (other / other.norm()).numpy(), atol=1e-5)
    assert embedder.embed(frames[1:]) == []


def test_fingerprint_follows_the_weights(tower: tuple[str, Path]) -> None:
    name, weights = tower
    first = CLIPEmbedder(faces=DrawnFaces(), name=name, pretrained=str(weights)).fingerprint
    assert first == CLIPEmbedder(faces=DrawnFaces(), name=name, pretrained=str(weights)).fingerprint
    assert (
        first != CLIPEmbedder(faces=DrawnFaces(), name=name, pretrained=str(weights), margin=0.3).fingerprint
    )
    state = torch.load(weights, weights_only=True)
    state["visual.proj"] += 1
    torch.save(state, weights)
    assert first != CLIPEmbedder(faces=DrawnFaces(), name=name, pretrained=str(weights)).fingerprint


@pytest.mark.parametrize("name", ["no-such-tower", "tiny-gallery-clip"])
@pytest.mark.usefixtures("tower")
def test_a_tower_that_is_not_there(name: str) -> None:
    embedder = CLIPEmbedder(faces=DrawnFaces(), name=name, pretrained="no-such-tag")
    with pytest.raises(UserError, match=f"cannot make the open_clip model '{name}' "):
        embedder.embed(draw(["ann"], "red", "inside")[None])


def test_real_people(media: Path, tmp_path: Path) -> None:
    """Of four photos the subject's own are left out by other photos of hers, and the rest come back."""
    root = tmp_path / "people"
    root.mkdir()
    for source in ("yangmi/yangmi_4.jpg", "yangmi/yangmi_5.jpg", "scarlett/scarlett_1.jpg", "obama/2.jpg"):
        photo = Image.open(media / "photos" / source).convert("RGB")
        photo.thumbnail((480, 480))
        photo.save(root / Path(source).name)
    embedder = FaceEmbedder(faces=FaceAnalyzer())
    retriever = GalleryRetriever(gallery=FolderGallery(root), embedder=embedder, store=tmp_path / "store")
    references = np.stack(
        [
            embedder.embed(np.asarray(Image.open(media / "photos" / "yangmi" / f).convert("RGB"))[None])[0]
            for f in ("yangmi_1.jpg", "yangmi_3.jpg")
        ]
    )
    found = retriever.nearest(references, 9, farther_than=0.6)
    assert sorted(n.key for n in found) == ["2.jpg", "scarlett_1.jpg"]
    assert retriever.forget(face=references, nearer_than=0.6) == ["yangmi_4.jpg", "yangmi_5.jpg"]
    assert retriever.near(references, 0.6) == []
