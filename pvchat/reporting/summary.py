"""A test on screen: presence for the model and its controls, then what else was and was not learned."""

from collections.abc import Mapping

from pvchat.reporting.table import Cell, render_table

MEANING = {
    "main": "the personalised model",
    "text_only": "no video shown: must be at chance, or the questions leak",
    "face_blanked": "heads painted over: must be at chance, or the clips leak",
    "base_model": "before personalisation",
    "no_subject_tokens": "the subject's tokens left out: where is the identity stored?",
    "other_subject": "another subject's tokens: where is the identity stored?",
}
COLUMNS = {
    "answers": "presence_balanced_accuracy",
    "score": "score_balanced_accuracy",
    "calibrated": "calibrated_balanced_accuracy",
    "AUC": "presence_auc",
}
CAPTION = (
    "Is the subject there? Balanced accuracy (.5 is chance) of the written answers, of the yes/no score and\n"
    "of the score with a calibrated threshold; AUC: area under the ROC curve of the score."
)


OPEN = ("appearance", "action", "location", "general")
NAMED = {"named": "named", "constant": "named_majority", "uniform": "named_uniform"}
LEARNED = 0.5
OPEN_CAPTION = (
    "What else was asked? named: share of answers about who is on screen that name the true colour, place\n"
    "or action and no other; constant, uniform: chance, the best answer that ignores the clip and one over\n"
    "the number of values. there: share that are the truth word for word; not there: share that say so and\n"
    "make nothing up. BLEU: likeness to the truth, phrases included."
)


def summary(metrics: Mapping[str, float], *, split: str = "test") -> str:
    """The metrics of a run (``{split}/{control}/{metric}``) as tables with what each row means."""
    rows: list[list[Cell]] = [
        [control, *(metrics.get(f"{split}/{control}/{name}") for name in COLUMNS.values()), meaning]
        for control, meaning in MEANING.items()
        if f"{split}/{control}/presence_auc" in metrics
    ]
    presence = f"{CAPTION}\n\n{render_table(['control', *COLUMNS, 'what it is'], rows, digits=2)}"
    where = f"{split}/main"
    return "\n\n".join(
        [presence, *_counts(metrics, where), *_open_questions(metrics, where), *_composed(metrics, where)]
    )


def _counts(metrics: Mapping[str, float], where: str) -> list[str]:
    """How many answers that was, and what became of one subject asked for while another is on screen."""
    asked = metrics.get(f"{where}/existence_questions")
    if asked is None:
        return []
    text = f"{asked:.0f} questions"
    if (unparsed := metrics.get(f"{where}/presence_unparsed")) is not None:
        text += f", of whose written answers {unparsed:.0f} say neither yes nor no"
    told = [f"{text}."]
    sides = [metrics.get(f"{where}/presence_accuracy_{side}") for side in ("yes", "no")]
    if None not in sides:
        told.append(f"Answered right when the person is there: {sides[0]:.0%}, when not: {sides[1]:.0%}.")
    if (beside := metrics.get(f"{where}/presence_accuracy_no_beside_another")) is not None:
        told.append(f"Asked for one subject while another is on screen, it says no to {beside:.0%}.")
    return ["\n".join(told)]


def _composed(metrics: Mapping[str, float], where: str) -> list[str]:
    """When does somebody appear, who does what? Beside what an answer that ignores the clip reaches."""
    told = []
    if (iou := metrics.get(f"{where}/when_iou")) is not None:
        constant = metrics.get(f"{where}/when_majority", 0.0)
        told.append(
            f"When is somebody there? The seconds told overlap the true ones by {iou:.2f} (IoU); always "
            f"saying the same: {constant:.2f}."
        )
    if (named := metrics.get(f"{where}/who_named")) is not None:
        constant, guess = (metrics.get(f"{where}/who_named_{name}", 0.0) for name in ("majority", "uniform"))
        told.append(
            f"Who does it? {named:.0%} of the answers name the right person and nobody else; always the same "
            f"person: {constant:.0%}, a guess: {guess:.0%}."
        )
    return ["\n".join(told)] if told else []


def _open_questions(metrics: Mapping[str, float], where: str) -> list[str]:
    """Table of the open questions and one sentence on what was not learned; nothing if none were asked."""
    exact = {kind: metrics[key] for kind in OPEN if (key := f"{where}/{kind}_exact") in metrics}
    named = {kind: metrics[key] for kind in OPEN if (key := f"{where}/{kind}_named") in metrics}
    rows: list[list[Cell]] = [
        [kind, *(metrics.get(f"{where}/{kind}_{name}") for name in (*NAMED.values(), "exact", "refused"))]
        for kind in OPEN
        if kind in exact or kind in named or f"{where}/{kind}_refused" in metrics
    ]
    if not rows:
        return []
    nothing = [None] * len(NAMED)
    rows += [
        [f"BLEU-{n}", *nothing, *(metrics.get(f"{where}/bleu{n}_{side}") for side in ("present", "absent"))]
        for n in (1, 4)
    ]
    table = render_table(["asked about", *NAMED, "there", "not there"], rows, digits=2)
    weak = [f"{kind} ({share:.0%})" for kind, share in (exact | named).items() if share < LEARNED]
    told = [f"Not learned, answered right less than half the time: {', '.join(weak)}."] if weak else []
    return [f"{OPEN_CAPTION}\n\n{table}", *told]
