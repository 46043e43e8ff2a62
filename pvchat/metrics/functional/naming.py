"""Which value of a closed vocabulary does an answer name? Colours, places, actions, whatever the wording."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pvchat.errors import UserError

Vocabulary = Mapping[str, Iterable[str]]
"""Value -> the words that name it, as ``{"grey": ("grey", "gray")}``."""


class NamingCounts(NamedTuple):
    """Long tensors: how many answers are ``right``, how many ``unparsed`` (they name no value), and how often
    each value is the truth, ``total`` (V,)."""

    right: Tensor
    unparsed: Tensor
    total: Tensor


def named(text: str, vocabulary: Vocabulary) -> frozenset[str]:
    """The values that ``text`` names with whole words; of overlapping words the longest counts."""
    values = {_plain(word): value for value, words in vocabulary.items() for word in words}
    longest_first = sorted(values, key=len, reverse=True)
    pattern = "|".join(map(re.escape, longest_first)) or "(?!)"
    return frozenset(values[word] for word in re.findall(rf"\b(?:{pattern})\b", _plain(text)))


def naming_counts(preds: Sequence[str], target: Sequence[str], vocabulary: Vocabulary) -> NamingCounts:
    """An answer is right if it names the one value that its reference in ``target`` names, and no other.

    References that name no value or several are not counted. Raises UserError for lists that do not fit."""
    if len(preds) != len(target):
        raise UserError(f"each answer needs its reference: got {len(preds)} preds, {len(target)} target.")
    places = {value: i for i, value in enumerate(vocabulary)}
    right, unparsed, total = torch.tensor(0), torch.tensor(0), torch.zeros(len(places), dtype=torch.long)
    for answer, reference in zip(preds, target, strict=True):
        truth, said = named(reference, vocabulary), named(answer, vocabulary)
        if len(truth) == 1:
            total[places[next(iter(truth))]] += 1
            right += said == truth
            unparsed += not said
    return NamingCounts(right, unparsed, total)


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("-", " ").split())
