"""What the people of a manifest wear and do, and where they are, as words to hold an answer against."""

from collections.abc import Iterable, Sequence

from pvchat.batch import QuestionType
from pvchat.datamodules.manifest import Record

COLOURS = {
    name: (name,)
    for name in (
        *("red", "orange", "yellow", "green", "blue", "purple", "pink"),
        *("brown", "beige", "white", "black"),
    )
} | {"grey": ("grey", "gray")}
ACTIONS = {
    "nod": ("nod", "nods", "nodding"),
    "shake": ("shake", "shakes", "shaking"),
    "sway": ("sway", "sways", "swaying"),
    "tilt": ("tilt", "tilts", "tilting"),
    "approach": ("approach", "approaches", "approaching", "closer"),
    "still": ("still", "motionless"),
    "smile": ("smile", "smiles", "smiling"),
    "anger": ("angry", "angrily", "anger"),
    "question": ("puzzled", "questioning"),
    "talk": ("talk", "talks", "talking"),
}
Words = dict[str, tuple[str, ...]]


def vocabulary(records: Iterable[Record]) -> dict[QuestionType, Words]:
    """Type of question -> value -> the words that name it, of all values that ``records`` have.

    Of clothes (``"red t-shirt"``) the colours count; a background (``"brick wall"``) is named by its own
    words, a motion (``"nod"``) by those of ``ACTIONS``, or by its own. Those of several people are joined by
    a plus."""
    clothes: dict[str, None] = {}
    places: dict[str, None] = {}
    motions: dict[str, None] = {}
    for record in records:
        clothes |= dict.fromkeys(_words(record.clothes))
        places |= dict.fromkeys([record.place] if record.place else [])
        motions |= dict.fromkeys(record.motion.split("+") if record.motion else [])
    return {
        "appearance": {name: words for name, words in COLOURS.items() if clothes.keys() & set(words)},
        "location": {name: (name,) for name in sorted(places)},
        "action": {name: ACTIONS.get(name, (name,)) for name in sorted(motions)},
    }


def _words(clothes: str | None) -> Sequence[str]:
    return clothes.casefold().replace("-", " ").replace("+", " ").split() if clothes else ()
