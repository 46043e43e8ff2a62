"""Who is filmed in which scene: everybody equally often, in an order fixed by the seed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from pvchat.synthesis.composer import Scene
from pvchat.synthesis.motions import MOTIONS
from pvchat.synthesis.wardrobe import COLOURS, GARMENTS, Clothes


class _Actor(Protocol):
    @property
    def person(self) -> str: ...
    @property
    def moves(self) -> bool: ...


Item = TypeVar("Item")
ActorT = TypeVar("ActorT", bound=_Actor)


def deal(rng: np.random.Generator, items: Sequence[Item]) -> Iterator[Item]:
    """Endlessly, each item once in a random order before any comes again."""
    while True:
        for i in rng.permutation(len(items)):
            yield items[i]


def scenes(rng: np.random.Generator, places: Sequence[str]) -> Iterator[Scene]:
    """Scenes in which every place, colour, garment and motion comes equally often."""
    decks = deal(rng, places), deal(rng, list(COLOURS)), deal(rng, GARMENTS), deal(rng, list(MOTIONS))
    for place, colour, garment, motion in zip(*decks, strict=True):
        yield Scene(place, Clothes(colour, garment), motion, seed=int(rng.integers(1 << 31)))


def strangers(rng: np.random.Generator, actors: Sequence[ActorT]) -> Callable[[int, bool], list[ActorT]]:
    """A function ``(count, moving)`` that chooses different people. ``moving`` prefers recordings to photos:
    a scene in which one head is a photo shows all heads as photos (``composer.match``), so scenes of either
    kind are cast from their own people."""
    people: dict[str, list[ActorT]] = {}
    for actor in actors:
        people.setdefault(actor.person, []).append(actor)
    moves = {name: all(a.moves for a in own) for name, own in people.items()}
    groups = {flag: [name for name in people if moves[name] == flag] for flag in (True, False)}
    decks = {flag: deal(rng, names) for flag, names in groups.items() if names}
    own = {name: deal(rng, choices) for name, choices in people.items()}

    def choose(count: int, moving: bool) -> list[ActorT]:
        chosen: list[str] = []
        for flag in (moving, not moving):
            enough = min(count, len(chosen) + len(groups[flag]))
            while len(chosen) < enough:
                name = next(decks[flag])
                if name not in chosen:
                    chosen.append(name)
        return [next(own[name]) for name in chosen]

    return choose
