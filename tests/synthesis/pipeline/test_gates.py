from drawn_studio import BLUE, GREEN, GREY, RED, look
from tiny import DrawnFaces

from pvchat.synthesis.likeness import Look
from pvchat.synthesis.pipeline.gates import unlike_the_tested
from pvchat.synthesis.pipeline.takes import Cast
from pvchat.synthesis.studio.actors import Actor


def actor(colour: tuple[int, int, int]) -> Actor:
    return Actor("somebody", "a photo", look(colour)[0])


def embedded(*colours: tuple[int, int, int]) -> list[Look]:
    faces = DrawnFaces()
    return [
        [faces.embed(frame, face) for frame in look(colour) for face in faces.detect(frame[None])[0]]
        for colour in colours
    ]


def test_impostors_are_nobody_of_the_test() -> None:
    casts = {
        "train": Cast({"tom": [actor(RED)]}, [actor(GREY)]),
        "test": Cast({"tom": [actor(RED)]}, [actor(GREEN)], [actor(BLUE)]),
    }
    impostors = embedded(GREY, GREEN, BLUE)
    left = unlike_the_tested(impostors, casts, DrawnFaces())  # type: ignore[arg-type]
    assert [id(one) for one in left] == [id(impostors[0])]
    del casts["test"]
    assert len(unlike_the_tested(impostors, casts, DrawnFaces())) == 3  # type: ignore[arg-type]
