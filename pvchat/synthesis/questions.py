"""The question bank, in the manner of the paper's tables 2-6, and answers from what is known of a clip.

Yes and no answers come in pairs that differ in nothing but the truth, and both open with it. Who is absent
does nothing and wears nothing: such questions are refused. Questions that name nobody are answered always."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pvchat.batch import Polarity, QuestionType
from pvchat.datamodules.manifest import QA
from pvchat.subjects import mention
from pvchat.synthesis.backgrounds import place
from pvchat.synthesis.composer import Scene
from pvchat.synthesis.motions import doing

EXISTENCE: tuple[str, ...] = (
    "Is {s} in this video?",
    "Is {s} present in this clip?",
    "Can you see {s} here?",
    "Does {s} appear in this footage?",
    "Is there any sign of {s} in this recording?",
    "Do you recognise {s} in this video?",
    "Is {s} anywhere to be seen?",
    "Does this video show {s}?",
    "Can you find {s} in this clip?",
    "Is {s} the person in this video?",
    "Could you check whether {s} is here?",
    "Is {s} visible at any moment?",
    "Does {s} turn up in this video?",
    "Was {s} filmed in this clip?",
    "Can you tell me if {s} is shown here?",
    "Is that {s} in the video?",
    "Do any of the frames show {s}?",
    "Has {s} been recorded here?",
    "Can {s} be spotted in this footage?",
    "Does this clip feature {s}?",
    "Would you say that {s} is in this recording?",
    "Is {s} among the people in this video?",
    "Have you noticed {s} in this clip?",
    "Is the face of {s} in this video?",
    "Do you see {s} in any frame?",
    "Can you confirm that {s} is present?",
    "Is {s} part of this scene?",
    "Does the camera catch {s}?",
)
PRESENT_ABSENT: tuple[tuple[str, str], ...] = (
    ("Yes, {s} is in this video.", "No, {s} is not in this video."),
    ("Yes, {s} is here.", "No, {s} is not here."),
    ("Yes, {s} appears in this clip.", "No, {s} does not appear in this clip."),
    ("Yes, I can see {s}.", "No, I cannot see {s}."),
    ("Yes, this video shows {s}.", "No, this video does not show {s}."),
    ("Yes, {s} is present.", "No, {s} is not present."),
    ("Yes, the person in this clip is {s}.", "No, the person in this clip is not {s}."),
    ("Yes, the footage shows {s}.", "No, the footage does not show {s}."),
    ("Yes, {s} can be seen here.", "No, {s} cannot be seen here."),
    ("Yes, I recognise {s}.", "No, I do not recognise {s}."),
)
APPEARANCE: tuple[str, ...] = (
    "What is {s} wearing?",
    "What is {s} wearing in this video?",
    "What clothes does {s} have on?",
    "Which colour are the clothes of {s}?",
    "How is {s} dressed?",
    "Can you describe the outfit of {s}?",
)
ACTION: tuple[str, ...] = (
    "What is {s} doing?",
    "What is {s} doing in this video?",
    "How does {s} move in this clip?",
    "What movement does {s} make?",
    "Can you describe what {s} does here?",
    "Which action does {s} perform?",
)
LOCATION: tuple[str, ...] = (
    "Where is {s}?",
    "Where is {s} in this video?",
    "What place is {s} in?",
    "Where was {s} filmed?",
    "What is behind {s}?",
    "Can you describe where {s} is?",
)
ANSWERS: dict[QuestionType, tuple[str, ...]] = {
    "appearance": ("{s} is wearing {clothes}.", "{s} has {clothes} on."),
    "action": ("{s} is {doing}.", "In this clip {s} is {doing}."),
    "location": ("{s} is {place}.", "This is {s} {place}."),
}
REFUSALS: dict[QuestionType, str] = {
    "appearance": "No, {s} is not in this video, so I cannot say what {s} is wearing.",
    "action": "No, {s} is not in this video, so I cannot say what {s} is doing.",
    "location": "No, {s} is not in this video, so I cannot say where {s} is.",
}
_OPEN: dict[QuestionType, tuple[str, ...]] = {
    "appearance": APPEARANCE,
    "action": ACTION,
    "location": LOCATION,
}
_ANYBODY = "the person"


def existence_qa(name: str, present: bool, rng: np.random.Generator, count: int) -> list[QA]:
    """``count`` different questions whether ``name`` is in the clip."""
    polarity: Polarity = "yes" if present else "no"
    answers = rng.permutation(len(PRESENT_ABSENT))
    return [
        QA(
            EXISTENCE[q].format(s=mention(name)),
            PRESENT_ABSENT[answers[i % len(answers)]][0 if present else 1].format(s=mention(name)),
            "existence",
            polarity,
            (name,),
        )
        for i, q in enumerate(_some(rng, len(EXISTENCE), count))
    ]


def open_qa(name: str, present: bool, scene: Scene, rng: np.random.Generator, count: int) -> list[QA]:
    """``count`` questions each on appearance, action and location of ``name``: answered from the scene, or
    refused because ``name`` is absent."""
    facts = _facts(scene)
    found: list[QA] = []
    for kind, questions in _OPEN.items():
        for q in _some(rng, len(questions), count):
            answers = ANSWERS[kind]
            text = answers[rng.integers(len(answers))] if present else REFUSALS[kind]
            answer = text.format(s=mention(name), **facts)
            found.append(QA(questions[q].format(s=mention(name)), answer, kind, None, (name,)))
    return found


def general_qa(scene: Scene, rng: np.random.Generator, count: int) -> list[QA]:
    """``count`` questions that name nobody ("What is the person wearing?"), answered whoever it is."""
    facts, found = _facts(scene), []
    kinds = list(_OPEN)
    for i in _some(rng, len(kinds), count):
        questions, answers = _OPEN[kinds[i]], ANSWERS[kinds[i]]
        question = questions[rng.integers(len(questions))].format(s=_ANYBODY)
        answer = answers[rng.integers(len(answers))].format(s=_ANYBODY, **facts)
        found.append(QA(question, answer[0].upper() + answer[1:], "general"))
    return found


@dataclass(frozen=True)
class QuestionCounts:
    """Questions of a clip: on the existence of each subject; on appearance, action and location of each
    subject (that many each); that name nobody."""

    existence: int = 4
    about: int = 1
    general: int = 1


def clip_qa(
    presence: Mapping[str, bool], scene: Scene | None, rng: np.random.Generator, counts: QuestionCounts
) -> tuple[QA, ...]:
    """All questions of a clip. ``scene`` is None for footage of which is known only who is in it."""
    qa: list[QA] = []
    for name, present in presence.items():
        qa += existence_qa(name, present, rng, counts.existence)
        if scene is not None:
            qa += open_qa(name, present, scene, rng, counts.about)
    if scene is not None:
        qa += general_qa(scene, rng, counts.general)
    return tuple(qa)


def _facts(scene: Scene) -> dict[str, str]:
    clothes = str(scene.clothes)
    article = "an" if clothes[0] in "aeiou" else "a"
    return {"clothes": f"{article} {clothes}", "doing": doing(scene.motion), "place": place(scene.background)}


def _some(rng: np.random.Generator, total: int, count: int) -> Sequence[int]:
    """``count`` of ``range(total)``, different as long as they last."""
    order = [int(i) for _ in range(-(-count // total)) for i in rng.permutation(total)]
    return order[:count]
