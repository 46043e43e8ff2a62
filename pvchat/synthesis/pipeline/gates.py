"""The identity gates of a corpus: one for each subject, calibrated on people whom no test shows."""

from collections.abc import Mapping, Sequence

from pvchat.datamodules.manifest import Split
from pvchat.faces import SAME_PERSON, FaceAnalyzer
from pvchat.synthesis.gate import IdentityGate, calibrate
from pvchat.synthesis.likeness import Look, distance
from pvchat.synthesis.pipeline.known_subjects import Known
from pvchat.synthesis.pipeline.recipe import GateSettings
from pvchat.synthesis.pipeline.takes import Cast
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.extras import face_of


def gates_of(
    known: Sequence[Known],
    impostors: Sequence[Look],
    casts: Mapping[Split, Cast[Actor]],
    *,
    settings: GateSettings,
    faces: FaceAnalyzer,
) -> dict[str, IdentityGate]:
    """By name of the subject. Of ``impostors`` those count who look like nobody in the test of ``casts``."""
    others = unlike_the_tested(impostors, casts, faces)
    return {
        k.request.name: IdentityGate(
            references=k.looks,
            calibration=calibrate(k.looks, others, far=settings.far),
            faces=faces,
            num_frames=settings.num_frames,
        )
        for k in known
    }


def unlike_the_tested(
    impostors: Sequence[Look], casts: Mapping[Split, Cast[Actor]], faces: FaceAnalyzer
) -> list[Look]:
    """By their faces, since a gallery may show one person in several places."""
    cast = casts.get("test", Cast[Actor]({}))
    found = (face_of(actor, faces) for actor in (*cast.strangers, *cast.lookalikes))
    tested = [face for face in found if face is not None]
    return [look for look in impostors if distance(tested, look) >= SAME_PERSON]
