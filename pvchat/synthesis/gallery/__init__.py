"""Hard and random negatives out of the user's gallery."""

from pvchat.synthesis.gallery.celebv_hq import CelebVHQGallery
from pvchat.synthesis.gallery.embedders import CLIPEmbedder, Embedder, FaceEmbedder
from pvchat.synthesis.gallery.laion_face import LAIONFaceGallery
from pvchat.synthesis.gallery.pictures import FolderGallery, Gallery, Picture
from pvchat.synthesis.gallery.retriever import GalleryRetriever
from pvchat.synthesis.gallery.survey import Survey

__all__ = [
    "CLIPEmbedder",
    "CelebVHQGallery",
    "Embedder",
    "FaceEmbedder",
    "FolderGallery",
    "Gallery",
    "GalleryRetriever",
    "LAIONFaceGallery",
    "Picture",
    "Survey",
]
