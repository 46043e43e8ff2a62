"""A tokenizer in a page, for the random language model that needs no download."""

import re
from collections.abc import Sequence

SPECIALS = ("<pad>", "<|im_start|>", "<|im_end|>")
WORDS = """a about action an and answer any appear appears are around assistant at be behind black blue brown
by can cannot carrying clothes color colour describe do does doing eating else from glasses gray green grey
hair has have he head her here his holding how i in indoors inside is it its jacket know laughing left like
location long looking looks man me moving no nodding not of on one or orange outdoors outside people person
pink place present purple recognise recognize red right room running scene see seen shaking shirt short show
shows sitting smiling someone speaking standing talking tell that the there they this to turning user video
visible walking wearing what where which white who with woman working yellow yes you"""
_PIECE = re.compile("|".join(map(re.escape, SPECIALS)) + r"| ?[A-Za-z]+|.", re.DOTALL)


class ByteTokenizer:
    """Common words are one token each, whatever else is bytes, so any text survives a round trip."""

    pad_token_id = SPECIALS.index("<pad>")
    eos_token_id = SPECIALS.index("<|im_end|>")

    def __init__(self) -> None:
        forms = [form for word in WORDS.split() for form in (word, word.capitalize())]
        spaced = [f" {form}" for form in forms]
        words = sorted({w for w in (*forms, *spaced) if len(w) > 1})  # single letters are bytes already
        pieces = [*SPECIALS, *words]
        self._ids = {piece: i + 256 * (i >= len(SPECIALS)) for i, piece in enumerate(pieces)}
        self._bytes = [b""] * len(SPECIALS) + [bytes([b]) for b in range(256)] + [w.encode() for w in words]

    def __len__(self) -> int:
        return len(self._bytes)

    def get_vocab(self) -> dict[str, int]:
        """Marks and words with their ids; bytes have theirs between the two."""
        return dict(self._ids)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Ids of ``text``; the chat marks are one id each. No special token is ever added."""
        ids: list[int] = []
        for piece in _PIECE.findall(text):
            known = self._ids.get(piece)
            ids += [len(SPECIALS) + b for b in piece.encode()] if known is None else [known]
        return ids

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Text of ``ids``; broken UTF-8 reads as the replacement character."""
        pieces = (
            SPECIALS[i].encode() if i < len(SPECIALS) and not skip_special_tokens else self._bytes[i]
            for i in ids
        )
        return b"".join(pieces).decode(errors="replace")
