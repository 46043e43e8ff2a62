import re
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.naive_bayes import MultinomialNB

from pvchat.datamodules.manifest import Record, read_manifest, write_manifest
from pvchat.errors import UserError
from pvchat.metrics.functional.presence import parse_presence
from pvchat.synthesis.questions import CaptionedClip, Facts, QuestionPlan, fill_questions
from pvchat.synthesis.questions.asking import Witness

FACTS = Facts("a red coat", "reading", "in a library")
NAMES = ("tom", "ann", "eva", "max", "bob")


def clips(num_subjects: int, each: int) -> list[Record]:
    """``each`` clips of every pattern of presence."""
    patterns = list(product((True, False), repeat=num_subjects)) * each
    return [
        Record(
            id=f"clip-{i}", path=Path(f"/clips/{i}.mp4"),
            presence=dict(zip(NAMES, pattern, strict=False)), source_id=f"photo-{i}",
            origin="generated" if any(pattern) else "negative", split="train",
            licence="not stated", consent="not stated",
        )
        for i, pattern in enumerate(patterns)
    ]  # fmt: skip


def known(records: list[Record], facts: Witness = FACTS) -> dict[str, dict[str | None, Witness]]:
    return {r.id: {name: facts for name, there in r.presence.items() if there} for r in records}


def test_the_default_gives_the_numbers_of_the_paper(tmp_path: Path) -> None:
    """81 clips of one reference: 16 positives with 30 questions, everything else with 15."""
    records = clips(1, 41)[:81]
    full = [r for r in records if r.presence["tom"]][:16]
    write_manifest(tmp_path / "manifest.jsonl", fill_questions(records, known(full), seed=0))
    filled = read_manifest(tmp_path / "manifest.jsonl", check_files=False)
    assert sum(len(r.qa) for r in filled) == 1455
    counts = Counter(tuple(sorted(Counter(qa.type for qa in r.qa).items())) for r in filled)
    assert counts == {
        (("action", 5), ("appearance", 5), ("existence", 15), ("location", 5)): 16,
        (("existence", 15),): 65,
    }
    assert all(len({qa.question for qa in r.qa}) == len(r.qa) for r in filled)


@pytest.mark.parametrize(("num_subjects", "each"), [(1, 60), (2, 30), (3, 15), (5, 4)])
def test_questions_do_not_tell_their_answers(num_subjects: int, each: int) -> None:
    """A bag of words and of pairs of words is at chance on clips it has not seen."""
    asked = [
        (qa.question, qa.polarity, record.id)
        for record in fill_questions(clips(num_subjects, each), {}, seed=0)
        for qa in record.qa
    ]
    questions, truths, groups = (list(column) for column in zip(*asked, strict=True))
    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+").fit_transform(questions)
    guesses = cross_val_predict(MultinomialNB(), words, truths, groups=groups, cv=GroupKFold(5))
    assert 0.44 < balanced_accuracy_score(truths, guesses) < 0.56
    if num_subjects > 1:  # what would tell: the number of people, and "or" against "both"
        kinds = [(re.findall(r" or |both|all of", q)[:1], q.count("<")) for q in questions]
        told = {str(kind): Counter[str | None]() for kind in kinds}
        for kind, truth in zip(kinds, truths, strict=True):
            told[str(kind)][truth] += 1
        assert all(c["yes"] == c["no"] for kind, c in told.items() if not kind.startswith("([]"))
        assert len(told) == 1 + 2 * (num_subjects - 1)


@pytest.mark.parametrize("num_subjects", [2, 3, 5])
def test_groups_of_every_pattern_are_asked_about_and_answered_right(num_subjects: int) -> None:
    records = fill_questions(clips(num_subjects, 6), {}, seed=1)
    patterns = set()
    for record in records:
        assert len(record.qa) == 15
        assert sum(len(qa.subjects) > 1 for qa in record.qa) <= 8
        for qa in record.qa:
            truth = {name: record.presence[name] for name in qa.subjects}
            assert parse_presence(qa.answer, qa.subjects) == truth, qa
            if len(truth) == num_subjects:
                patterns.add(tuple(truth.values()))
    assert len(patterns) == 2**num_subjects if num_subjects < 4 else len(patterns) > 8


def test_a_wording_with_one_answer_is_not_asked() -> None:
    """One person a clip: never all of a group, so "both" would always be a no."""
    records = [r for r in clips(3, 4) if sum(r.presence.values()) < 2]
    groups = [qa for r in fill_questions(records, {}, seed=0) for qa in r.qa if len(qa.subjects) > 1]
    assert {word for qa in groups for word in (" or ", "both", "all of") if word in qa.question} == {" or "}
    assert Counter(qa.polarity for qa in groups)["yes"] * 2 == len(groups)


def test_full_share_of_groups_fits_the_clip() -> None:
    plan = QuestionPlan(existence=3, grouped=1.0)
    assert {len(r.qa) for r in fill_questions(clips(2, 5), {}, seed=3, plan=plan)} == {3}


def test_same_seed_same_questions_whatever_else_is_there() -> None:
    records = clips(1, 5)
    once = fill_questions(records, known(records), seed=0)
    assert once == fill_questions(records, known(records), seed=0)
    assert once != fill_questions(records, known(records), seed=1)
    assert once[3:] == fill_questions(records[3:], known(records[3:]), seed=0)


def test_who_is_absent_is_refused_and_nobody_named_is_answered() -> None:
    records = clips(1, 1)
    witnesses: dict[str, dict[str | None, Witness]] = {
        "clip-0": {"tom": FACTS},
        "clip-1": {None: FACTS},  # a stranger
    }
    plan = QuestionPlan(existence=2, about=1, refused=3, general=3)
    here, gone = fill_questions(records, witnesses, seed=0, plan=plan)
    assert Counter(qa.type for qa in here.qa) == {
        "existence": 2, "appearance": 1, "action": 1, "location": 1, "general": 3,
    }  # fmt: skip
    assert Counter(qa.type for qa in gone.qa) == {
        "existence": 2, "appearance": 3, "action": 3, "location": 3, "general": 3,
    }  # fmt: skip
    for qa in gone.qa:
        if qa.type == "general":
            assert any(fact in qa.answer for fact in ("a red coat", "reading", "in a library"))
            assert "not" not in qa.answer
        else:
            assert parse_presence(qa.answer, ["tom"]) == {"tom": False}
            assert not any(fact in qa.answer for fact in ("a red coat", "reading", "in a library"))


def test_who_is_there_and_not_known_is_asked_about_existence_alone() -> None:
    (filled,) = fill_questions(clips(1, 1)[:1], {}, seed=0, plan=QuestionPlan(refused=3, general=3))
    assert {qa.type for qa in filled.qa} == {"existence"}


def test_captioners_answer_too() -> None:
    class Captioner:
        def caption(self, frames: object, question: str) -> str:
            return f"He heard: {question}"

    class Rewriter:
        def rewrite(self, question: str, answer: str, *, subject: str) -> str:
            return answer.replace("He", f"<{subject}>").replace("the person", "me")

    clip = CaptionedClip(np.zeros((1, 8, 8, 3), np.uint8), Captioner(), Rewriter())  # type: ignore[arg-type]
    records = clips(1, 1)[:1]
    (filled,) = fill_questions(
        records, known(records, clip), seed=0, plan=QuestionPlan(existence=0, about=1, general=1)
    )
    *about, general = filled.qa
    assert [qa.type for qa in about] == ["appearance", "action", "location"]
    assert all(qa.answer == "<tom> heard: " + qa.question.replace("<tom>", "me") for qa in about)
    assert general.answer == f"He heard: {general.question}"
    assert "the person" in general.question


def test_refusals() -> None:
    records = clips(1, 1)
    with pytest.raises(UserError, match=r"somebody who is in the clip: 'clip-1' does not show 'tom'"):
        fill_questions(records, {"clip-1": {"tom": FACTS}}, seed=0)
    with pytest.raises(UserError, match=r"'clip-9' does not show 'tom'"):
        fill_questions(records, {"clip-9": {"tom": FACTS}}, seed=0)
    with pytest.raises(UserError, match=r"counts >= 0 and grouped in 0..1: got \(-1, 5, 0, 0\), 0.5"):
        QuestionPlan(existence=-1)
