"""Prompts for generators that show a person in another scene, by gender, age group and scenario.

Every prompt is a leaf of a small grammar (``scene_roles.py``) and comes with what it asks for as facts, so
that questions can be answered as exactly as the generator obeys."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import get_args

import numpy as np

from pvchat.errors import UserError
from pvchat.synthesis.questions import Facts
from pvchat.synthesis.questions.witnesses import with_article
from pvchat.synthesis.scene_roles import ROLES, AgeGroup, Gender, Role, Scenario

_PERSON = {"female": "woman", "male": "man"}
_SHOTS = (
    "The camera stands at eye level and keeps {their} face in full view.",
    "{They} is filmed from the waist up, in soft light, turned towards the camera.",
    "It is a steady medium shot with even light on {their} face.",
)
_IDENTITY = (
    "{They} must stay recognisable as the person of the reference picture: the same shape of face, the same "
    "features, the same tone of skin."
)


@dataclass(frozen=True)
class ScenePrompt:
    """``text`` for a generator; ``facts`` are what it asks for."""

    text: str
    gender: Gender
    age: AgeGroup
    scenario: Scenario
    role: str
    facts: Facts


@cache
def scene_prompts() -> tuple[ScenePrompt, ...]:
    """Every prompt of the library."""
    return tuple(_leaves())


def sample_prompts(gender: Gender, age: AgeGroup, count: int, *, seed: int) -> list[ScenePrompt]:
    """``count`` different prompts for such a person, every scenario and every role in turn. Same seed, same
    prompts. Raises UserError for unknown attributes and if there are not so many."""
    fitting = [p for p in scene_prompts() if (p.gender, p.age) == (gender, age)]
    if not fitting or not 0 <= count <= len(fitting):
        raise UserError(
            f"prompts are for gender {', '.join(get_args(Gender))} and age {', '.join(get_args(AgeGroup))}: "
            f"got {gender!r}, {age!r} and {count} prompts, of which there are {len(fitting)}."
        )
    rng = np.random.default_rng(seed)
    shuffled = [fitting[i] for i in rng.permutation(len(fitting))]
    return _in_turn([_in_turn(list(roles.values())) for roles in _by_role(shuffled).values()])[:count]


def _by_role(prompts: list[ScenePrompt]) -> dict[Scenario, dict[str, list[ScenePrompt]]]:
    tree: dict[Scenario, dict[str, list[ScenePrompt]]] = {}
    for prompt in prompts:
        tree.setdefault(prompt.scenario, {}).setdefault(prompt.role, []).append(prompt)
    return tree


def _in_turn(decks: list[list[ScenePrompt]]) -> list[ScenePrompt]:
    """The first of each, then the second of each, and so on."""
    longest = max(map(len, decks), default=0)
    return [deck[n] for n in range(longest) for deck in decks if n < len(deck)]


def _leaves() -> Iterator[ScenePrompt]:
    for role in ROLES:
        for gender in get_args(Gender):
            for age in role.ages:
                for number, (doing, place) in enumerate(role.doing_where):
                    for clothes in role.clothes:
                        female, _, male = clothes.partition("|")
                        worn = male if male and gender == "male" else female
                        facts = Facts(clothes=worn, doing=doing, place=place)
                        text = _text(role, gender, age, facts, _SHOTS[number % len(_SHOTS)])
                        yield ScenePrompt(text, gender, age, role.scenario, role.called(gender), facts)


def _text(role: Role, gender: Gender, age: AgeGroup, facts: Facts, shot: str) -> str:
    person = with_article(f"{age} {_PERSON[gender]}").capitalize()
    noun = with_article(role.called(gender))
    scene = f"{person}, {noun} in {facts.clothes}, is {facts.doing} {facts.place}."
    they, their = ("She", "her") if gender == "female" else ("He", "his")
    return " ".join([scene, shot.format(They=they, their=their), _IDENTITY.format(They=they)])
