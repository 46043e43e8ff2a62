"""Persons <-> tokens <-> rows. The only file that spells a token.

A subject named ``tom`` owns one name token ``<tom>`` and ``num_soft_tokens`` soft tokens. New tokens get
ids that follow the base vocabulary and live in trainable rows of their own (``modules/token_rows.py``),
so the base table is never resized.
"""

import re
from collections.abc import Sequence

from pvchat.errors import UserError

PERSON_OPEN, PERSON_CLOSE = "[PERSON]", "[/PERSON]"
_NAME = re.compile(r"[^\W_](?:[\w .'-]*[^\W_])?")
_MENTION = re.compile(r"<([^<>]+)>")


def mention(name: str) -> str:
    """How a subject is written in questions and answers: ``<tom>``."""
    return f"<{name}>"


def mentions(text: str) -> tuple[str, ...]:
    """Names mentioned in ``text``, in order, each once."""
    return tuple(dict.fromkeys(_MENTION.findall(text)))


def split_mentions(text: str) -> list[str]:
    """``"Is <tom> here?"`` -> ``["Is ", "<tom>", " here?"]``."""
    return [part for part in re.split(r"(<[^<>]+>)", text) if part]


def check_name(name: str) -> str:
    """Return ``name``, or raise UserError: letters, digits, space, ``.'-_``, at most 40 characters."""
    if len(name) > 40 or not _NAME.fullmatch(name):
        raise UserError(
            "a subject name is 1-40 letters, digits, spaces or .'-_ and starts and ends with a letter or "
            f"digit: got {name!r}. Choose another --subject name."
        )
    return name


class SubjectRegistry:
    """The registered persons and their rows: for each person the name token, then its soft tokens."""

    def __init__(self, names: Sequence[str], *, num_soft_tokens: int = 16) -> None:
        if not names:
            raise UserError("at least one subject must be registered: got none.")
        if len({n.casefold() for n in names}) != len(names):
            raise UserError(f"subject names must differ: got {list(names)}.")
        if num_soft_tokens < 0:
            raise UserError(f"num_soft_tokens must be >= 0: got {num_soft_tokens}.")
        self.names = tuple(check_name(n) for n in names)
        self.num_soft_tokens = num_soft_tokens

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_rows(self) -> int:
        return len(self.names) * (1 + self.num_soft_tokens)

    def index(self, name: str) -> int:
        if name not in self.names:
            raise UserError(f"unknown subject {name!r}; registered: {list(self.names)}.")
        return self.names.index(name)

    def name_row(self, name: str) -> int:
        return self.index(name) * (1 + self.num_soft_tokens)

    def soft_rows(self, name: str) -> range:
        start = self.name_row(name) + 1
        return range(start, start + self.num_soft_tokens)

    def row_text(self, row: int) -> str:
        """Text of a generated row: soft tokens are silent, name tokens read as a mention."""
        person, offset = divmod(row, 1 + self.num_soft_tokens)
        return mention(self.names[person]) if offset == 0 else ""

    def link(self, text: str) -> str:
        """Turn plain names typed by a user into mentions: ``"Is Tom here?"`` -> ``"Is <tom> here?"``."""
        for name in sorted(self.names, key=len, reverse=True):
            pattern = rf"(?<![\w<]){re.escape(name)}(?![\w>])"
            text = re.sub(pattern, mention(name), text, flags=re.IGNORECASE)
        return text

    def person_mask(self, text: str) -> list[bool]:
        """Who is asked about in ``text``; everybody when nobody is named."""
        named = mentions(text)
        unknown = [n for n in named if n not in self.names]
        if unknown:
            raise UserError(f"unknown subject {unknown[0]!r}; registered: {list(self.names)}.")
        return [n in named for n in self.names] if named else [True] * len(self.names)
