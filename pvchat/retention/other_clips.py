"""General questions about test clips that show none of a run's subjects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pvchat.batch import Example
from pvchat.datamodules.manifest import Record
from pvchat.errors import UserError
from pvchat.retention.general_questions import ABOUT_CLIPS
from pvchat.subjects import mentions


@dataclass(frozen=True)
class OtherClips:
    """``asked``: questions with the clips they are about. ``truth_known``: their answers are those of the
    corpus; else there are none, as the questions are ours."""

    asked: Sequence[tuple[Record, Example]]
    truth_known: bool


def choose(records: Sequence[Record], subjects: Sequence[str]) -> OtherClips:
    """The general questions that name nobody about test clips without ``subjects``; where the corpus has
    none, ``ABOUT_CLIPS``. Whom a manifest does not label, it is taken not to show. Raises UserError."""
    clips = [r for r in records if r.split == "test" and not any(r.presence.get(s) for s in subjects)]
    if not clips:
        raise UserError(
            f"forgetting is seen on test clips without {' and '.join(subjects)}: got none. Add some, or "
            "name another corpus with --data MANIFEST."
        )
    own = [(clip, example) for clip in clips for example in _general(clip, subjects)]
    return OtherClips(own or [(c, e) for c in clips for e in _default(c, subjects)], bool(own))


def _general(clip: Record, subjects: Sequence[str]) -> Iterator[Example]:
    for number, qa in enumerate(clip.qa):
        if qa.type == "general" and not qa.subjects and not mentions(qa.question + qa.answer):
            yield _example(clip, number, qa.question, qa.answer, subjects)


def _default(clip: Record, subjects: Sequence[str]) -> Iterator[Example]:
    for number, question in enumerate(ABOUT_CLIPS):
        yield _example(clip, number, question, "", subjects)


def _example(clip: Record, number: int, question: str, answer: str, subjects: Sequence[str]) -> Example:
    absent = dict.fromkeys(subjects, False)
    return Example(f"{clip.id}#{number}", clip.id, question, answer, "general", None, (), absent, clip.origin)
