"""Controls and numbers of a test: what is shown under each control, and each metric by hand."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sklearn.metrics import brier_score_loss
from tiny import changed, fit, make_batch, make_chat, make_corpus, make_data, make_module, state
from torchmetrics.functional.classification import binary_calibration_error

from pvchat.batch import Batch
from pvchat.evaluation import (
    CONTROLS,
    ControlName,
    Prediction,
    calibrate,
    predict,
    run_controls,
    summarise,
)
from pvchat.metrics.functional.ranking import calibrate_threshold
from pvchat.modules.video_chat import VideoChat


def said(answer: str | None, truth: str | None, score: float = 0.0, **more: Any) -> Prediction:
    defaults: dict[str, Any] = {
        "id": "clip#0",
        "clip_id": "clip",
        "control": "main",
        "type": "existence",
        "origin": "real",
        "subjects": ("tom",),
        "polarity": truth,
        "presence": {"tom": truth == "yes"},
        "question": "Is <tom> here?",
        "reference": "Yes, <tom> is here." if truth == "yes" else "No, <tom> is not here.",
    }
    return Prediction(**{**defaults, **more}, answer=answer, score=score)


YES, NO = "Yes, <tom> is here.", "No, <tom> is not here."


def test_answers_are_counted_by_side() -> None:
    """Three of four right with the person, one of two without; what cannot be read is wrong, and counted."""
    predictions = [said(YES, "yes")] * 3 + [said("Blue.", "yes"), said(NO, "no"), said(YES, "no")]
    numbers = summarise(predictions, threshold=0.0)
    assert numbers["main/existence_questions"] == 6
    assert numbers["main/presence_accuracy"] == pytest.approx(4 / 6)
    assert numbers["main/presence_accuracy_yes"] == 0.75
    assert numbers["main/presence_accuracy_no"] == 0.5
    assert numbers["main/presence_balanced_accuracy"] == 0.625
    assert numbers["main/presence_unparsed"] == 1


def test_scores_have_an_auc_and_two_thresholds() -> None:
    """At 0 everything is a yes; the calibrated threshold is right about three of four."""
    scores = {"yes": (3.0, 1.0), "no": (2.0, 0.5)}
    predictions = [said(None, side, score) for side, values in scores.items() for score in values]
    numbers = summarise(predictions, threshold=0.75)
    assert numbers["main/presence_auc"] == 0.75
    assert numbers["main/score_balanced_accuracy"] == 0.5
    assert numbers["main/calibrated_balanced_accuracy"] == 0.75
    assert "main/presence_accuracy" not in numbers  # nothing was written


def test_scores_are_probabilities_as_they_are_and_shifted_by_the_threshold() -> None:
    scores = {"yes": (3.0, 1.0), "no": (2.0, 0.5)}
    predictions = [said(None, side, score) for side, values in scores.items() for score in values]
    truth, raw = [1, 1, 0, 0], [3.0, 1.0, 2.0, 0.5]
    numbers = summarise(predictions, threshold=0.75)
    for name, shift in (("presence", 0.0), ("calibrated", 0.75)):
        probabilities = [1 / (1 + math.exp(shift - score)) for score in raw]
        off = binary_calibration_error(torch.tensor(probabilities), torch.tensor(truth), n_bins=10)
        assert numbers[f"main/{name}_ece"] == pytest.approx(off.item(), abs=1e-6)
        brier = brier_score_loss(truth, probabilities)
        assert numbers[f"main/{name}_brier"] == pytest.approx(brier)


def test_look_alikes_are_taken_for_the_person_more_often() -> None:
    """Everybody who is there is found above 1, and so are one of four others, but one of two look-alikes."""
    there = [said(None, "yes", score) for score in (1.0, 2.0, 3.0)]
    strangers = [said(None, "no", score) for score in (-3.0, -2.0)]
    alike = [said(None, "no", score, look_alike=True) for score in (0.5, 1.5)]
    numbers = summarise([*there, *strangers, *alike], threshold=0.0)
    assert numbers["main/presence_fpr95"] == 0.25
    assert numbers["main/presence_fpr95_look_alikes"] == 0.5
    assert "main/presence_fpr95_look_alikes" not in summarise([*there, *strangers], threshold=0.0)
    assert "main/presence_fpr95_look_alikes" not in summarise(alike, threshold=0.0)


def test_one_side_alone_has_no_balance() -> None:
    numbers = summarise([said(YES, "yes", 1.0)], threshold=0.0)
    assert numbers["main/presence_accuracy"] == 1
    assert not {"main/presence_balanced_accuracy", "main/presence_auc"} & set(numbers)


def asked(kind: str, answer: str, reference: str, *, present: bool) -> Prediction:
    return said(answer, None, type=kind, reference=reference, presence={"tom": present})


def test_open_questions_are_compared_word_by_word() -> None:
    red = "<tom> is wearing red."
    predictions = [
        asked("appearance", answer, red, present=True)
        for answer in ("<TOM>  is wearing red.", "<tom> is wearing blue.")
    ]
    numbers = summarise(predictions, threshold=0.0)
    assert numbers["main/appearance_exact"] == 0.5
    assert "main/existence_questions" not in numbers
    assert 0 < numbers["main/bleu4"] < numbers["main/bleu1"] < 1


def asked_when(answer: str, reference: str, seconds: float | None = 10.0) -> Prediction:
    return said(answer, None, type="when", reference=reference, clip_seconds=seconds)


def test_when_is_an_overlap_of_seconds() -> None:
    """2 of 6 s, right about never, all of 4 of 10 s, unreadable; always would share .4, 0, .4 and .2."""
    never = "<tom> does not appear in this video."
    predictions = [
        asked_when("<tom> appears from 0 s to 4 s.", "<tom> appears from 2 s to 6 s."),
        asked_when("Tom is never there.", never),
        asked_when("<tom> is there throughout.", "<tom> appears from 1 s to 3 s and from 8 s to 10 s."),
        asked_when("<tom> is happy.", "<tom> appears from 0 s to 2 s."),
    ]
    numbers = summarise(predictions, threshold=0.0)
    found = {name[10:]: value for name, value in numbers.items() if name.startswith("main/when")}
    assert found == pytest.approx(
        {
            "iou": (2 / 6 + 1 + 4 / 10 + 0) / 4,
            "recall_at_0.3": 3 / 4,
            "recall_at_0.5": 1 / 4,
            "recall_at_0.7": 1 / 4,
            "seconds_iou": (2 + 0 + 4 + 0) / (6 + 0 + 10 + 2),
            "never_accuracy": 1,
            "majority": 1 / 4,
            "questions": 4,
            "unparsed": 1,
        }
    )


def test_without_a_length_throughout_means_nothing() -> None:
    reference = "<tom> appears from 1 s to 3 s."
    numbers = summarise([asked_when("Throughout the video.", reference, None)], threshold=0.0)
    assert numbers["main/when_unparsed"] == 1
    assert "main/when_majority" not in numbers


def test_who_is_named_and_nobody_else() -> None:
    """Guessing among those asked about, or on screen; a reference that names two is not counted."""
    there = {"tom": True, "ann": True, "bob": True, "eva": False}
    rows = [
        ("Tom is.", "<tom> is nodding.", ("tom", "ann")),
        ("<ann> is nodding, not <tom>.", "<ann> is nodding.", ("tom", "ann")),
        ("Somebody.", "<tom> is nodding.", ()),
        ("<tom> and <ann>.", "<tom> and <ann> are nodding.", ()),
    ]
    predictions = [
        said(answer, None, type="who", reference=reference, subjects=subjects, presence=there)
        for answer, reference, subjects in rows
    ]
    numbers = summarise(predictions, threshold=0.0)
    assert {name: value for name, value in numbers.items() if "/who" in name} == pytest.approx(
        {
            "main/who_named": 1 / 3,
            "main/who_named_questions": 3,
            "main/who_named_unparsed": 1,
            "main/who_named_majority": 2 / 3,
            "main/who_named_uniform": (1 / 2 + 1 / 2 + 1 / 3) / 3,
        }
    )


def test_who_is_on_screen_is_named_by_colour_whatever_the_wording() -> None:
    """General questions on clothes count, those on places do not, nor does who is absent."""
    red = "<tom> is wearing a red shirt."
    words = {"appearance": {"red": ("red",), "blue": ("blue",)}, "action": {"nod": ("nodding",)}}
    predictions = [
        asked("appearance", "Red it is.", red, present=True),
        asked("appearance", "A red and blue shirt.", red, present=True),
        asked("appearance", "A shirt.", "<tom> has a blue shirt on.", present=True),
        asked("appearance", "A red shirt.", "No, <tom> is not in this video.", present=False),
        said("Red.", None, type="general", subjects=(), reference="The person wears a red shirt."),
        said("Red.", None, type="general", subjects=(), reference="The person is on a beach."),
    ]
    numbers = summarise(predictions, threshold=0.0, vocabulary=words)
    found = {name: value for name, value in numbers.items() if "named" in name}
    assert found == {
        "main/appearance_named": 0.5,
        "main/appearance_named_questions": 4,
        "main/appearance_named_unparsed": 1,
        "main/appearance_named_majority": 0.75,
        "main/appearance_named_uniform": 0.5,
    }


def test_bleu_is_of_every_written_answer() -> None:
    """Of existence questions too; what was only scored has none."""
    other = said("A b c d.", None, type="general", reference="<tom> is wearing red.")
    alone = summarise([other], threshold=0.0)
    both = summarise([other, said(YES, "yes"), said(None, "no")], threshold=0.0)
    assert alone["main/bleu1"] < both["main/bleu1"] < 1
    assert summarise([said(YES, "yes")], threshold=0.0)["main/bleu4"] == pytest.approx(1)
    assert "main/bleu1" not in summarise([said(None, "yes")], threshold=0.0)


def test_refusals_do_not_hide_that_nothing_else_is_right() -> None:
    """All refusals right and every answer from the clip wrong: no mean of the two, neither exact nor BLEU."""
    no = "No, <tom> is not in this video, so I cannot say where <tom> is."
    predictions = [
        *[asked("location", no, no, present=False)] * 3,
        asked("location", "<tom> is in a park.", no, present=False),
        *[asked("location", "<tom> is in a park.", "This is <tom> in the snow.", present=True)] * 4,
        said("A park.", None, type="general", subjects=(), reference="The person is in the snow."),
        said(YES, "yes"),
    ]
    numbers = summarise(predictions, threshold=0.0)
    assert numbers["main/location_exact"] == numbers["main/general_exact"] == 0
    assert numbers["main/location_refused"] == 0.75
    assert "main/general_refused" not in numbers
    assert numbers["main/bleu4_present"] < 0.2 < numbers["main/bleu4"] < numbers["main/bleu4_absent"]


def test_who_is_absent_and_asked_about_must_be_refused() -> None:
    """With two asked about, of whom one is there, it is the other whose absence must be said."""
    both = {"type": "action", "subjects": ("tom", "ann"), "presence": {"tom": True, "ann": False}}
    right, wrong = (
        said(answer, None, **both) for answer in ("<tom> is here, but <ann> is not.", "<ann> is nodding.")
    )
    assert summarise([right, wrong], threshold=0.0)["main/action_refused"] == 0.5


def test_a_question_about_two_counts_each_of_them() -> None:
    """As the paper's accuracy does: two right, two wrong, one right beside one of whom nothing is said."""
    two = {"subjects": ("tom", "ann"), "presence": {"tom": True, "ann": False}}
    right = said("<tom> is here, but <ann> is not.", "yes", **two)
    wrong = said("<ann> is here, but <tom> is not.", "yes", **two)
    half = said("<tom> is here.", "yes", **two)
    numbers = summarise([right, wrong, half], threshold=0.0)
    assert numbers["main/presence_unparsed"] == 1
    assert numbers["main/presence_accuracy"] == pytest.approx(3 / 6)
    assert numbers["main/presence_accuracy_yes"] == pytest.approx(2 / 3)


def test_asked_for_one_while_another_is_on_screen() -> None:
    """Whoever answers yes to any learned face is right about strangers and wrong here."""
    stranger = said(NO, "no", presence={"tom": False, "ann": False}, score=9.0)
    beside = [
        said(a, "no", presence={"tom": False, "ann": True}, score=score)
        for a, score in ((NO, -1.0), (YES, 1.0), (YES, 2.0), (YES, 3.0))
    ]
    numbers = summarise([stranger, *beside, said(YES, "yes")], threshold=0.0)
    assert numbers["main/presence_accuracy_no"] == pytest.approx(2 / 5)
    assert numbers["main/presence_accuracy_no_beside_another"] == 0.25
    assert summarise([*beside, said(YES, "yes")], threshold=2.0)[
        "main/calibrated_accuracy_no_beside_another"
    ] == pytest.approx(3 / 4)
    assert not [name for name in summarise([stranger], threshold=0.0) if "beside" in name]


def test_keys_are_flat_and_values_numbers() -> None:
    """``{control}/{metric}``; the split is put in front by whoever ran the test."""
    predictions = [said(None, side, 1.0, control=control) for control in CONTROLS for side in ("yes", "no")]
    numbers = summarise(predictions, threshold=0.0)
    assert {key.split("/")[0] for key in numbers} == set(CONTROLS)
    assert all(len(key.split("/")) == 2 and isinstance(value, float) for key, value in numbers.items())


def test_nothing_asked_is_nothing_said() -> None:
    assert summarise([], threshold=0.0) == {}


@pytest.fixture
def chat() -> VideoChat:
    return make_chat(("tom", "ann")).eval()


@pytest.fixture
def batch(chat: VideoChat) -> Batch:
    return make_batch(chat, ("Is <tom> here?", YES), ("Is <ann> here?", "No, <ann> is not here."))


def scores(predictions: Sequence[Prediction]) -> list[float]:
    return [p.score for p in predictions]


def test_each_control_shows_what_it_says(chat: VideoChat, batch: Batch) -> None:
    before = state(chat)

    @contextmanager
    def zeroed() -> Iterator[None]:
        with torch.no_grad():
            for parameter in chat.project_up.parameters():
                parameter.zero_()
        yield
        chat.load_state_dict(before)

    by_control: dict[str, list[float]] = {}
    for control in CONTROLS:
        swap = zeroed()
        by_control[control] = scores(predict(chat, batch, control, base_model=swap, generate=False))
        assert changed(before, chat) == set()
    expected: dict[ControlName, Any] = {
        "main": chat.presence_scores(batch),
        "text_only": chat.presence_scores(batch, control="text_only"),
        "no_subject_tokens": chat.presence_scores(batch, control="no_subject_tokens"),
        "face_blanked": chat.presence_scores(batch),  # the loader has blanked them
    }
    with zeroed():
        expected["base_model"] = chat.presence_scores(batch)
    with chat.other_subject():
        expected["other_subject"] = chat.presence_scores(batch)
    assert by_control == {name: [round(v, 4) for v in values.tolist()] for name, values in expected.items()}
    assert len({tuple(v) for v in by_control.values()}) == 5  # all but face_blanked differ


def test_predictions_carry_the_question(chat: VideoChat, batch: Batch) -> None:
    first, second = predict(chat, batch, "main", max_new_tokens=3)
    assert (first.id, first.question, first.reference, first.polarity) == (
        "clip0#0",
        "Is <tom> here?",
        YES,
        "yes",
    )
    assert first.answer == chat.answer(batch, max_new_tokens=3)[0]
    assert second.as_json()["presence"] == {"tom": False, "ann": False}
    assert predict(chat, batch, "main", generate=False)[0].answer is None


def test_only_the_chosen_controls_write_answers(chat: VideoChat, batch: Batch) -> None:
    found = run_controls(
        chat, batch, ("main", "text_only"), base_model=None, generate=("main",), max_new_tokens=2
    )
    assert [(p.control, p.answer is None) for p in found] == [
        ("main", False),
        ("main", False),
        ("text_only", True),
        ("text_only", True),
    ]


def test_calibration_separates_what_it_is_shown(chat: VideoChat) -> None:
    batches = [make_batch(chat, ("Is <tom> here?", YES), ("Is <tom> here?", NO)) for _ in range(3)]
    threshold = calibrate(chat, batches)
    values = torch.cat([chat.presence_scores(b) for b in batches])
    truth = torch.tensor([e.polarity == "yes" for b in batches for e in b.examples])

    def balanced(t: float) -> float:
        right = (values > t) == truth
        return (right[truth].float().mean() + right[~truth].float().mean()).item() / 2

    assert balanced(threshold) >= max(balanced(float(v) - 1e-4) for v in values)


def test_calibration_goes_by_what_is_asked() -> None:
    """Not by whether anybody is there: of two persons on screen, one is asked about."""
    chat = make_chat(("tom", "ann"))
    batch = make_batch(chat, ("Is <tom> here?", YES), ("Is <ann> here?", "No, <ann> is not here."))
    examples = [replace(e, presence={"tom": True, "ann": False}) for e in batch.examples]
    shown = SimpleNamespace(presence_scores=lambda _: torch.tensor([2.0, -1.0]))
    assert -1 < calibrate(shown, [replace(batch, examples=examples)]) < 2  # type: ignore[arg-type]
    shown.presence_scores = lambda _: torch.tensor([-1.0, 2.0])  # the wrong way round
    assert not -1 < calibrate(shown, [replace(batch, examples=examples)]) < 2  # type: ignore[arg-type]


def test_the_threshold_is_never_set_on_test_clips(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, clips={"train": 4, "validation": 6, "test": 6})
    module = make_module(controls=("main",), generate=())
    data = make_data(corpus, module, test_variants=("main",))
    fit(module, data, limit_val_batches=0).test(module, datamodule=data, verbose=False)
    module.eval()
    (tested,) = data.test_dataloader()
    asked = [module.chat.presence_scores(batch) for batch in tested]
    best = calibrate_threshold(
        torch.cat(asked), [e.polarity == "yes" for batch in tested for e in batch.examples]
    )
    assert module.threshold == pytest.approx(calibrate(module.chat, data.calibration_dataloader()), abs=1e-6)
    assert abs(module.threshold - best) > 1e-4  # the test clips would have set another
