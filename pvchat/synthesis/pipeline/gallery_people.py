"""Other people out of the user's gallery: who looks like a subject, anybody, and never a subject."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pvchat.datamodules.video import MEDIA
from pvchat.errors import UserError
from pvchat.faces import SAME_PERSON, FaceAnalyzer, Vector
from pvchat.synthesis.animation.animator import MIN_FACE_PX
from pvchat.synthesis.face_selection import head_and_shoulders
from pvchat.synthesis.gallery import CLIPEmbedder, FaceEmbedder, FolderGallery, Gallery, GalleryRetriever
from pvchat.synthesis.identities import OTHER_PERSON
from pvchat.synthesis.likeness import Look, alike
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.roles import Adapter, Neighbour
from pvchat.synthesis.studio.actors import Actor

IMPOSTORS = 200


class GalleryPeople:
    """``lookalikes`` people nearest to the subjects and ``strangers`` drawn from ``gallery``, or from a
    ``folder`` in which each file or sub-folder is one person. Faces are compared by their embedding, or with
    ``clip`` look-alikes are chosen as in the paper; the subjects are left out by face in any case."""

    def __init__(
        self,
        *,
        folder: str | None = None,
        gallery: Gallery | None = None,
        lookalikes: int = 8,
        strangers: int = 24,
        clip: str | None = None,
        store: str | Path | None = None,
    ) -> None:
        if (folder is None) == (gallery is None):
            raise UserError("other people come from a folder or a gallery: give one of the two.")
        self.gallery = FolderGallery(folder, one_person_per_folder=True) if folder else gallery
        assert self.gallery is not None
        self.faces = FaceAnalyzer()
        self.num_lookalikes, self.num_strangers = lookalikes, strangers
        self.retriever = GalleryRetriever(
            gallery=self.gallery, embedder=FaceEmbedder(faces=self.faces), store=store
        )
        self.clip = None if clip is None else CLIPEmbedder(faces=self.faces, pretrained=clip)
        self.place = store

    @cached_property
    def by_clip(self) -> GalleryRetriever | None:
        """Chooses look-alikes; loads the weights of CLIP."""
        if self.clip is None:
            return None
        assert self.gallery is not None
        return GalleryRetriever(gallery=self.gallery, embedder=self.clip, store=self.place)

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        faces = self.retriever.adapter
        if self.clip is None:
            return (faces,)
        name = f"open_clip {self.clip.name} {self.clip.pretrained}"
        return faces, Adapter("gallery by CLIP", faces.version, self.clip.licence, faces.commercial, name)

    def check(self) -> None:
        assert self.gallery is not None
        assert self.by_clip is None or self.clip is not None  # its weights are there
        if isinstance(self.gallery, FolderGallery) and next(self.gallery.pictures(), None) is None:
            kinds = ", ".join(sorted(MEDIA))
            raise UserError(
                f"a gallery holds photos or clips of other people ({kinds}): {self.gallery.root} has none."
            )

    def find(self, own: Sequence[Actor], looks: Look, *, seed: int) -> Others:
        """See ``OtherPeople``. Pictures without a clear face that is large enough are left out."""
        references = np.stack(list(looks))
        report = self.retriever.refresh()
        notes = [f"Gallery: {report}"] if report.broken else []
        near = self._nearest(own, references)
        try:
            drawn = self.retriever.random(
                references,
                self.num_strangers,
                seed=seed,
                farther_than=OTHER_PERSON,
                without=[n.key for n in near],
            )
        except UserError:
            if not near:
                raise
            half = len(near) // 2  # a small gallery: all of it looks most alike
            near, drawn = near[:half], near[half:]
        people = [(n, self._actor(n.key)) for n in (*near, *drawn)]
        clear = [(n, actor) for n, actor in people if actor is not None]
        if len(clear) < len(people):
            notes.append(
                f"{len(people) - len(clear)} pictures of the gallery show no face of {MIN_FACE_PX} px and "
                "are left out."
            )
        clear = self._each_once(clear)
        if not clear:
            raise UserError(
                "a gallery must show other people clearly: in none of its pictures a face is large enough."
            )
        nearest = {n.key for n in near}
        return Others(
            strangers=[[actor] for n, actor in clear if n.key not in nearest],
            lookalikes=[[actor] for n, actor in clear if n.key in nearest],
            impostors=self.retriever.looks(IMPOSTORS, seed=seed),
            originals=self._originals([actor for _, actor in clear]),
            notes=notes,
        )

    def _nearest(self, own: Sequence[Actor], references: Vector) -> list[Neighbour]:
        if not self.num_lookalikes:
            return []
        if self.by_clip is None:
            return self.retriever.nearest(references, self.num_lookalikes, farther_than=SAME_PERSON)
        seen = [v for actor in own for v in self.by_clip.embedder.embed(actor.photo[None])[:1]]
        subject = self.retriever.near(references, SAME_PERSON)
        return self.by_clip.nearest(np.stack(seen), self.num_lookalikes, farther_than=0.0, without=subject)

    def _originals(self, people: Sequence[Actor]) -> dict[str, Path]:
        """Files as they are, where the gallery is a folder of such."""
        if not isinstance(self.gallery, FolderGallery):
            return {}
        return {actor.person: self.gallery.root / actor.source_id for actor in people}

    def _actor(self, key: str) -> Actor | None:
        """The person of a picture, its largest face; None without a clear one."""
        frames = self.retriever.read(key)
        frame = frames[len(frames) // 2]
        found = self.faces.detect(frame[None])[0]
        if not found or float(found[0].box[3] - found[0].box[1]) < MIN_FACE_PX:
            return None
        photo, _ = head_and_shoulders(found[0], found[1:], frame.shape).cut(frame, found[0])
        return Actor(key, key, photo, self.retriever.adapter.licence)

    def _each_once(self, people: Sequence[tuple[Neighbour, Actor]]) -> list[tuple[Neighbour, Actor]]:
        """Of pictures that look alike the first: they would show one person in training and test."""
        looks = [self._look(actor) for _, actor in people]
        return [people[group[0]] for group in alike(looks, SAME_PERSON)]

    def _look(self, actor: Actor) -> Look:
        return self.retriever.embedder.embed(actor.photo[None])[:1]
