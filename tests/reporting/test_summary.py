"""What a test shows on screen: all of it from the metrics, and what was not learned in words."""

from pvchat.reporting.summary import summary

PRESENCE = {
    "test/main/presence_balanced_accuracy": 1.0,
    "test/main/score_balanced_accuracy": 0.975,
    "test/main/calibrated_balanced_accuracy": 0.95,
    "test/main/presence_auc": 0.99,
    "test/text_only/presence_auc": 0.52,
}
OPEN = {
    "test/main/appearance_exact": 0.75,
    "test/main/appearance_refused": 1.0,
    "test/main/location_exact": 0.0625,
    "test/main/location_refused": 0.9375,
    "test/main/general_exact": 0.0,
    "test/main/bleu1_present": 0.41,
    "test/main/bleu1_absent": 0.97,
}


NAMES = ("appearance", "action", "location", "general", "BLEU-1", "BLEU-4")


def test_presence_alone() -> None:
    lines = summary(PRESENCE).splitlines()
    assert lines[-2].split()[:5] == ["main", "1.00", "0.97", "0.95", "0.99"]
    assert lines[-1].split()[:5] == ["text_only", "-", "-", "-", "0.52"]


def test_open_questions_stand_beside_it() -> None:
    lines = summary(PRESENCE | OPEN).splitlines()
    rows = {line.split("  ")[0]: line.split()[-2:] for line in lines if line.split("  ")[0] in NAMES}
    assert rows == {
        "appearance": ["0.75", "1.00"],
        "location": ["0.06", "0.94"],
        "general": ["0.00", "-"],
        "BLEU-1": ["0.41", "0.97"],
        "BLEU-4": ["-", "-"],
    }
    assert lines[-1] == "Not learned, answered right less than half the time: location (6%), general (0%)."


def test_chance_stands_beside_what_is_named() -> None:
    """Named in other words than the reference's is learned."""
    numbers = {"location_exact": 0.0, "location_named": 0.8, "location_named_majority": 0.25}
    numbers["location_named_uniform"] = 0.125
    text = summary(PRESENCE | {f"test/main/{name}": value for name, value in numbers.items()})
    (row,) = (line.split() for line in text.splitlines() if line.startswith("location"))
    assert row == ["location", "0.80", "0.25", "0.12", "0.00", "-"]
    assert "Not learned" not in text


def test_nothing_is_said_against_what_was_learned() -> None:
    assert "Not learned" not in summary(PRESENCE | {"test/main/action_exact": 0.5})


def test_when_and_who_beside_what_ignores_the_clip() -> None:
    numbers = {"when_iou": 0.481, "when_majority": 0.426}
    numbers |= {"who_named": 0.55, "who_named_majority": 0.476, "who_named_uniform": 0.458}
    text = summary(PRESENCE | {f"test/main/{name}": value for name, value in numbers.items()})
    when, who = text.splitlines()[-2:]
    assert "by 0.48 (IoU); always saying the same: 0.43." in when
    assert who.startswith("Who does it? 55% of the answers")
    assert who.endswith("always the same person: 48%, a guess: 46%.")


def test_another_split() -> None:
    renamed = {key.replace("test/", "validation/"): value for key, value in (PRESENCE | OPEN).items()}
    assert summary(renamed, split="validation") == summary(PRESENCE | OPEN)


def test_how_many_and_one_beside_another() -> None:
    numbers = {"existence_questions": 12.0, "presence_unparsed": 1.0, "presence_auc": 0.9}
    numbers["presence_accuracy_no_beside_another"] = 0.75
    numbers |= {"presence_accuracy_yes": 1.0, "presence_accuracy_no": 0.82}
    text = summary({f"test/main/{name}": value for name, value in numbers.items()})
    assert "12 questions, of whose written answers 1 say neither yes nor no." in text
    assert "Answered right when the person is there: 100%, when not: 82%." in text
    assert "Asked for one subject while another is on screen, it says no to 75%." in text
