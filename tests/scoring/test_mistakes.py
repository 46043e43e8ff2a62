"""Which mistakes are shown, and what is written beside the frames."""

from pathlib import Path
from typing import Any

from pvchat.datamodules.manifest import read_manifest
from pvchat.evaluation import Prediction
from pvchat.scoring.mistakes import mistake_card, worst


def asked(number: int, answer: str | None, score: float, *, there: bool = True, **other: Any) -> Prediction:
    values: dict[str, Any] = {
        "id": f"c{number}#0",
        "clip_id": f"c{number}",
        "control": "main",
        "type": "existence",
        "origin": "real",
        "subjects": ("tom",),
        "polarity": "yes" if there else "no",
        "presence": {"tom": there},
        "question": "Is <tom> here?",
        "reference": "Yes, <tom> is here.",
        "answer": answer,
        "score": score,
    }
    return Prediction(**values | other)


def test_the_surest_mistakes_first_and_one_of_a_clip() -> None:
    found = worst(
        [
            asked(1, "Yes.", 3.0),  # right
            asked(2, "No.", -1.0),
            asked(3, "No.", -4.0),
            asked(3, "No.", -3.0, id="c3#1"),
            asked(4, "Yes.", 9.0, there=False),
            asked(5, "No.", -9.0, control="text_only"),
            asked(6, "No.", -9.0, polarity=None, type="action"),
        ],
        threshold=0.0,
    )
    assert [p.id for p in found] == ["c4#0", "c3#0", "c2#0"]


def test_without_a_plain_answer_the_score_decides() -> None:
    found = worst(
        [asked(1, "Hm.", 2.0), asked(2, "Hm.", 0.5), asked(3, None, 0.5), asked(4, None, 2.0)], threshold=1.0
    )
    assert {p.clip_id for p in found} == {"c2", "c3"}


def test_a_card_shows_frames_and_escaped_text(tiny_corpus: Path) -> None:
    clips = {r.id: r for r in read_manifest(tiny_corpus)}
    clip = next(iter(clips))
    evil = "<img src=x onerror=alert(1)>" + "a" * 10_000
    shown = mistake_card(asked(1, evil, 0.0, clip_id=clip), clips[clip])
    lost = mistake_card(asked(2, "No.", 0.0), None)
    assert "data:image/jpeg;base64," in shown
    assert "<img src=x" not in shown
    assert "(10026 characters)" in shown  # without the brackets
    assert "Is tom here?" in shown
    assert "data:image" not in lost
