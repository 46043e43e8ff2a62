"""Other people for users without a gallery: real faces out of packages, and people made from them."""

from collections.abc import Sequence

from pvchat.assets import ASSETS
from pvchat.faces import SAME_PERSON, FaceAnalyzer
from pvchat.synthesis.identities import OTHER_PERSON
from pvchat.synthesis.likeness import Look, distance
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.roles import Adapter
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.extras import face_of, package_actors, package_files, reshaped_actors

VERSION = "2"


class PackagePeople:
    """``count`` people who never were, reshaped from faces of packages, and those real people who look unlike
    the subjects; a face embedding says that all are somebody else. The nearest third are look-alikes."""

    def __init__(self, *, count: int = 12) -> None:
        self.count = count
        self.adapters = (
            Adapter("reshaped-faces", VERSION, "Apache-2.0", True, ASSETS["face-embedding"].key),
        )

    def check(self) -> None:
        """Nothing can be wrong before it is tried."""

    def find(self, own: Sequence[Actor], looks: Look, *, seed: int) -> Others:
        """See ``OtherPeople``."""
        faces, originals = FaceAnalyzer(), package_files()
        made = reshaped_actors(own, faces=faces, seed=seed, count=self.count, progress=True)
        away = {a.source_id: distance(looks, _look(a, faces)) for a in (*package_actors(), *made)}
        real = [a for a in package_actors() if away[a.source_id] >= OTHER_PERSON]
        made = [a for a in made if away[a.source_id] >= SAME_PERSON]
        near = sorted(made, key=lambda a: away[a.source_id])[: len(made) // 3]
        return Others(
            strangers=[[a] for a in (*real, *made) if a not in near],
            lookalikes=[[a] for a in near],
            originals={a.person: originals[a.person] for a in real},
            impostors=[_look(a, faces) for a in (*real, *made)],
            notes=[
                f"Other people: {len(real)} real faces from packages and {len(made)} reshaped from these. "
                "With a --gallery of real people a model learns to tell more of them apart."
            ],
        )


def _look(actor: Actor, faces: FaceAnalyzer) -> Look:
    face = face_of(actor, faces)
    return [] if face is None else [face]
