"""An empty folder and retrievers that read it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from colour_gallery import ColourEmbedder

from pvchat.synthesis.gallery import FolderGallery, GalleryRetriever


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    return folder


@pytest.fixture
def retrieve(root: Path, tmp_path: Path) -> Callable[..., GalleryRetriever]:
    """A retriever of ``root``; all share one store."""

    def retrieve(
        embedder: ColourEmbedder | None = None,
        *,
        one_person_per_folder: bool = False,
        exact_up_to: int = 1000,
    ) -> GalleryRetriever:
        return GalleryRetriever(
            gallery=FolderGallery(root, one_person_per_folder=one_person_per_folder),
            embedder=embedder or ColourEmbedder(),
            store=tmp_path / "store",
            exact_up_to=exact_up_to,
        )

    return retrieve
