"""Run folders with answers that are known by heart."""

import json
from collections.abc import Sequence
from pathlib import Path


def write_run(
    folder: Path, subject: str, wrong: int, *, clips: int = 10, names: Sequence[str] | None = None
) -> Path:
    """A tested run: half of its clips show ``subject``, each is asked about once, the first ``wrong`` get a
    wrong answer and a wrong score."""
    folder.mkdir(parents=True)
    rows = []
    for n in range(clips):
        there = n >= clips // 2
        said = there != (n < wrong)
        rows.append(
            {
                "id": f"{subject}-{n}#0",
                "clip_id": f"{subject}-{n}",
                "control": "main",
                "type": "existence",
                "origin": "real",
                "subjects": [subject],
                "polarity": "yes" if there else "no",
                "presence": {subject: there},
                "question": f"Is <{subject}> here?",
                "reference": f"{'Yes' if there else 'No'}.",
                "answer": f"{'Yes' if said else 'No'}.",
                "score": 1.0 if said else -1.0,
            }
        )
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "run.json").write_text(json.dumps({"subjects": names or [subject], "threshold": 0.0}))
    return folder
