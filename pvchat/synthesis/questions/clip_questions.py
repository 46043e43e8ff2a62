"""Questions about a clip, and answers from what is known of it.

Who is absent does nothing and wears nothing: such questions are refused. Questions that name nobody are
answered always."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pvchat.batch import Polarity
from pvchat.datamodules.manifest import QA
from pvchat.subjects import mention
from pvchat.synthesis.composer import Scene
from pvchat.synthesis.questions.bank import EXISTENCE, FIRM, OPEN, Bank
from pvchat.synthesis.questions.witnesses import ANYBODY, Facts, Witness


def existence_qa(
    name: str, present: bool, rng: np.random.Generator, count: int, *, bank: Bank = FIRM
) -> list[QA]:
    """``count`` different questions whether ``name`` is in the clip; answers are drawn apart from them."""
    polarity: Polarity = "yes" if present else "no"
    answers = rng.permutation(len(bank.present_absent))
    return [
        QA(
            EXISTENCE[q].format(s=mention(name)),
            bank.present_absent[answers[i % len(answers)]][0 if present else 1].format(s=mention(name)),
            "existence",
            polarity,
            (name,),
        )
        for i, q in enumerate(some(rng, len(EXISTENCE), count))
    ]


def open_qa(
    name: str, witness: Witness | None, rng: np.random.Generator, count: int, *, bank: Bank = FIRM
) -> list[QA]:
    """``count`` questions each on appearance, action and location of ``name``: answered by ``witness`` as far
    as known, or refused because ``name`` is absent (None)."""
    found: list[QA] = []
    for kind, questions in OPEN.items():
        for q in some(rng, len(questions), count):
            if witness is None:
                refusals = bank.refusals[kind]
                answer = refusals[rng.integers(len(refusals))].format(s=mention(name))
            elif (told := witness.answer(kind, questions[q], name, rng)) is not None:
                answer = told
            else:
                continue
            found.append(QA(questions[q].format(s=mention(name)), answer, kind, None, (name,)))
    return found


def general_qa(witness: Witness, rng: np.random.Generator, count: int) -> list[QA]:
    """``count`` questions that name nobody ("What is the person wearing?"), answered whoever it is."""
    found, kinds = [], list(OPEN)
    for i in some(rng, len(kinds), count):
        question = OPEN[kinds[i]][rng.integers(len(OPEN[kinds[i]]))]
        answer = witness.answer(kinds[i], question, None, rng)
        if answer is not None:
            found.append(QA(question.format(s=ANYBODY), answer, "general"))
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
    """All questions of a composed clip, which shows one person. ``scene`` is None for footage of which is
    known only who is in it. Whole corpora of any footage: ``fill_questions``."""
    facts = None if scene is None else Facts.of_scene(scene)
    qa: list[QA] = []
    for name, present in presence.items():
        qa += existence_qa(name, present, rng, counts.existence)
        if facts is not None:
            qa += open_qa(name, facts if present else None, rng, counts.about)
    if facts is not None:
        qa += general_qa(facts, rng, counts.general)
    return tuple(qa)


def some(rng: np.random.Generator, total: int, count: int) -> Sequence[int]:
    """``count`` of ``range(total)``, different as long as they last."""
    order = [int(i) for _ in range(-(-count // total)) for i in rng.permutation(total)]
    return order[:count]
