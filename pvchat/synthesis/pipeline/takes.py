"""What is going to be filmed: every scene with each subject and with others, fixed by the seed alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from pvchat.datamodules.manifest import Origin, Split
from pvchat.synthesis.casting import deal, strangers
from pvchat.synthesis.questions.witnesses import Facts
from pvchat.synthesis.roles import Adapter, Made

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Actor(Protocol):
    """Pictures of a ``person`` from one source: a photo, a part of a recording."""

    @property
    def person(self) -> str: ...
    @property
    def source_id(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def consent(self) -> str: ...
    @property
    def moves(self) -> bool:
        """Whether the pictures themselves move."""
        ...


@dataclass(frozen=True)
class Told:
    """What a scene shows besides the person, as the manifest spells it; ``facts`` answer questions, None
    where nobody commanded them. Clips with the same ``background`` show the same picture behind."""

    background: str | None = None
    clothes: str | None = None
    motion: str | None = None
    facts: Facts | None = None


A = TypeVar("A", bound=Actor)
S = TypeVar("S")
A_in = TypeVar("A_in", bound=Actor, contravariant=True)


class Studio(Protocol[A_in, S]):
    """Films actors in scenes of its own kind. ``origin`` is that of its clips of a subject."""

    adapter: Adapter
    origin: Origin

    def plan(self, rng: np.random.Generator, split: Split) -> Iterator[S]:
        """Endless scenes for a split. Pictures that lie behind the test lie behind no other split."""
        ...

    def match(self, scene: S, cast: Sequence[A_in]) -> S:
        """The scene with one treatment for all of its cast: else that would tell who is who."""
        ...

    def shoot(self, actor: A_in, scene: S) -> Made:
        """Same actor and scene, same bytes. Raises UserError for pictures that cannot be used."""
        ...

    def tell(self, scene: S) -> Told: ...


@dataclass(frozen=True)
class Cast(Generic[A]):
    """Who can be filmed in a split: the ``subjects`` by name, people who look like one, and others."""

    subjects: Mapping[str, Sequence[A]]
    strangers: Sequence[A] = ()
    lookalikes: Sequence[A] = ()


@dataclass(frozen=True)
class SplitSize:
    """Scenes of a split, and who is filmed in each of them besides the subjects."""

    scenes: int
    strangers: int = 1
    lookalikes: int = 0


@dataclass(frozen=True)
class Take(Generic[A, S]):
    """One clip: ``actor``, ``subject`` or a stranger (None), in ``scene``. ``role`` counts the cast."""

    id: str
    split: Split
    subject: str | None
    actor: A = field(repr=False)
    scene: S
    role: int


def plan_takes(
    studio: Studio[A, S],
    casts: Mapping[Split, Cast[A]],
    sizes: Mapping[Split, SplitSize],
    *,
    seed: int,
    prefix: str = "",
) -> Callable[[Split, int], list[list[Take[A, S]]]]:
    """A function ``(split, attempt)``: all takes of a split, by scene. A later attempt has as many
    other scenes, cast anew: the first is filmed whole, of the later ones what must be repeated."""

    def plan(split: Split, attempt: int = 0) -> list[list[Take[A, S]]]:
        size = sizes[split]
        if not size.scenes:
            return []
        cast = casts[split]
        rng = np.random.default_rng([seed, SPLITS.index(split), *([attempt] if attempt else [])])
        in_turn = studio.plan(rng, split)
        own = {name: deal(rng, actors) for name, actors in cast.subjects.items()}
        others, alike = strangers(rng, cast.strangers), strangers(rng, cast.lookalikes)
        stem = f"{prefix}-{split}" if prefix else split
        again = f"-again{attempt}" if attempt else ""
        scenes = []
        for n in range(size.scenes):
            people: list[tuple[str | None, A]] = [(name, next(deck)) for name, deck in own.items()]
            people += [(None, a) for a in others(size.strangers, n % 2 == 0)]
            people += [(None, a) for a in alike(size.lookalikes, n % 2 == 0)]
            scene = studio.match(next(in_turn), [actor for _, actor in people])
            scenes.append(
                [
                    Take(f"{stem}-{n:03d}-{role}{again}", split, name, actor, scene, role)
                    for role, (name, actor) in enumerate(people)
                ]
            )
        return scenes

    return plan
