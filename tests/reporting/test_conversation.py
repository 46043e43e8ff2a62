"""The sample conversation tells the truth beside answers that don't."""

from typing import Any

from pvchat.evaluation import Prediction
from pvchat.reporting.conversation import conversation


def asked(question: str, answer: str, reference: str, **more: Any) -> Prediction:
    defaults: dict[str, Any] = {
        "id": "", "clip_id": "test-0", "control": "main", "type": "existence", "origin": "warp",
        "subjects": ("tom",), "polarity": None, "presence": {"tom": True}, "score": 0.0,
    }  # fmt: skip
    return Prediction(**{**defaults, **more}, question=question, answer=answer, reference=reference)


PREDICTIONS = [
    asked("Is <tom> here?", "Yes, <tom> is here.", "Yes, I can see <tom>."),
    asked("Where is <tom>?", "<tom> is in a field.", "<tom> is in the mountains.", type="location"),
    asked("Where was <tom> filmed?", "Nowhere.", "<tom> is in the mountains.", type="location"),
    asked("What is <tom> doing?", "<tom> is nodding.", "<tom> is nodding.", type="action"),
    asked("Is <tom> here?", "No.", "Yes.", clip_id="test-1"),
    asked("Is <tom> here?", "No.", "No, <tom> is not.", clip_id="test-2", presence={"tom": False}),
    asked("Is <tom> here?", "Yes.", "No.", control="text_only"),
]


def test_truth_stands_beside_what_is_not_true() -> None:
    assert conversation(PREDICTIONS, "tom").splitlines() == [
        "A test clip with tom: test-0",
        "  > Is tom here?",
        "    Yes, tom is here.",
        "  > Where is tom?",
        "    tom is in a field.   (shown: tom is in the mountains.)",
        "  > What is tom doing?",
        "    tom is nodding.",
        "A test clip without tom: test-2",
        "  > Is tom here?",
        "    No.",
    ]
    assert "\033[2m(shown: tom is in the mountains.)\033[0m" in conversation(PREDICTIONS, "tom", colour=True)


def test_a_side_without_clips_is_left_out() -> None:
    assert "without" not in conversation(PREDICTIONS[:4], "tom")
