"""A test in one table: the model and its controls."""

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


def summary(metrics: Mapping[str, float], *, split: str = "test") -> str:
    """The presence metrics of a run (``{split}/{control}/{metric}``) as a table with what each row means."""
    rows: list[list[Cell]] = [
        [control, *(metrics.get(f"{split}/{control}/{name}") for name in COLUMNS.values()), meaning]
        for control, meaning in MEANING.items()
        if f"{split}/{control}/presence_auc" in metrics
    ]
    return f"{CAPTION}\n\n{render_table(['control', *COLUMNS, 'what it is'], rows, digits=2)}"
