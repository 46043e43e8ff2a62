"""A few questions of a test with the answers given, and beside each answer that differs what is true."""

from collections.abc import Sequence

from pvchat.evaluation import Prediction
from pvchat.subjects import mention

DIM, PLAIN = "\033[2m", "\033[0m"


def conversation(predictions: Sequence[Prediction], subject: str, *, colour: bool = False) -> str:
    """One question of each type about the first clip with and the first without ``subject``."""
    lines: list[str] = []
    for present, who in ((True, "with"), (False, "without")):
        told = [p for p in predictions if p.control == "main" and p.presence[subject] is present]
        if not told:
            continue
        lines.append(f"A test clip {who} {subject}: {told[0].clip_id}")
        asked: set[str] = set()
        for p in (p for p in told if p.clip_id == told[0].clip_id):
            if p.type not in asked:
                asked.add(p.type)
                lines += [f"  > {p.question}", f"    {p.answer or ''}{_truth(p, colour)}"]
    return "\n".join(lines).replace(mention(subject), subject)


def _truth(prediction: Prediction, colour: bool) -> str:
    """What is shown where the answer says anything else. Whether somebody is there, the heading tells."""
    if prediction.type == "existence" or prediction.answer == prediction.reference:
        return ""
    text = f"(shown: {prediction.reference})"
    return f"   {DIM}{text}{PLAIN}" if colour else f"   {text}"
