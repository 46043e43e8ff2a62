import re
from collections import Counter
from typing import get_args

import pytest

from pvchat.errors import UserError
from pvchat.synthesis.scene_prompts import ScenePrompt, sample_prompts, scene_prompts
from pvchat.synthesis.scene_roles import AgeGroup, Gender, Scenario

PROMPTS = scene_prompts()
PLACES = {  # who can only be where
    "lifeguard": "beach|pool",
    "nurse": "hospital|reception|treatment",
    "football player": "pitch|goal|touchline",
    "librarian": "library|lending desk|reading room",
    "train passenger": "railway|station",
    "airline passenger": "airport|departure|aeroplane",
    "tennis player": "court",
    "bowls player": "bowling green|clubhouse",
    "chemistry student": "laboratory",
}
TOO_OLD = "college|chemistry|football|backpacker|gamer|sister|brother|mother$|father$|lifeguard|nurse"
TOO_YOUNG = "grandmother|grandfather|pensioner|aunt|uncle|professor|evening class|bowls"


def test_the_library_is_at_least_as_large_as_the_papers() -> None:
    assert len({p.text for p in PROMPTS}) == len(PROMPTS) >= 461
    assert len({(p.gender, p.age, p.role, p.facts) for p in PROMPTS}) == len(PROMPTS)


def test_every_kind_of_person_has_every_scenario() -> None:
    for gender in get_args(Gender):
        for age in get_args(AgeGroup):
            counts = Counter(p.scenario for p in PROMPTS if (p.gender, p.age) == (gender, age))
            assert counts.keys() == set(get_args(Scenario))
            assert min(counts.values()) >= 12


def test_grammar() -> None:
    for prompt in PROMPTS:
        check_grammar(prompt)


def check_grammar(prompt: ScenePrompt) -> None:
    text, facts = prompt.text, prompt.facts
    assert not re.search(r"\b(\w+) \1\b", text), f"doubled word: {text}"
    assert not re.search(r"\b[Aa] (?:[aeio]|X-ray|un[^i])", text), f"a for an: {text}"
    assert not re.search(r"\b[Aa]n (?![aeioX]|un[^i])", text), f"an for a: {text}"
    assert not re.search(r"[{}|]|  | [.,]", text), text
    assert all(sentence[0].isupper() for sentence in text.split(". ")), text
    assert re.match(r"\w+ing ", f"{facts.doing} "), facts.doing
    assert re.match(r"(?:in|on|at|beside|behind|in front of) (?:a|an|the) ", facts.place or ""), facts.place
    assert re.match(r"an? |.* scrubs$", facts.clothes or ""), facts.clothes


def test_the_text_asks_for_the_facts_and_for_the_person() -> None:
    for prompt in PROMPTS:
        facts, they = prompt.facts, {"female": ("woman", "She", "her"), "male": ("man", "He", "his")}
        person, subject, possessive = they[prompt.gender]
        assert f" in {facts.clothes}, is {facts.doing} {facts.place}." in prompt.text
        assert re.match(rf"An? {prompt.age} {person}, an? {prompt.role} in ", prompt.text)
        _, *shot, identity = prompt.text.rstrip(".").split(". ")
        assert len(shot) == 1
        assert identity.startswith(f"{subject} must stay recognisable")
        wrong = {"She", "her", "He", "his"} - {subject, possessive}
        assert not wrong & set(re.findall(r"\w+", prompt.text))


def test_nobody_is_in_the_wrong_place_or_of_the_wrong_age() -> None:
    for prompt in PROMPTS:
        assert re.search(PLACES.get(prompt.role, ""), prompt.facts.place or ""), prompt.text
        if prompt.age == "elderly":
            assert not re.match(TOO_OLD, prompt.role), prompt.text
        if prompt.age == "young":
            assert not re.match(TOO_YOUNG, prompt.role), prompt.text
        assert not re.search(
            r"\b(?:helmet|mask|goggles|sunglasses|hat|veil)\b", prompt.text
        )  # they hide the face
    assert PLACES.keys() <= {p.role for p in PROMPTS}


def test_samples_are_seeded_different_and_balanced() -> None:
    ten = sample_prompts("female", "young", 10, seed=0)
    assert ten == sample_prompts("female", "young", 10, seed=0)
    assert ten != sample_prompts("female", "young", 10, seed=1)
    assert {(p.gender, p.age) for p in ten} == {("female", "young")}
    assert len({p.role for p in ten}) == 10
    assert sorted(Counter(p.scenario for p in ten).values()) == [1] * 8 + [2]
    many = sample_prompts("male", "elderly", 100, seed=3)
    assert len({p.text for p in many}) == 100
    counts = Counter(p.scenario for p in many).values()
    assert max(counts) - min(counts) <= 1
    assert sample_prompts("male", "elderly", 0, seed=0) == []


def test_refusals() -> None:
    with pytest.raises(
        UserError, match=r"female, male and age young, .*: got 'robot', 'young' and 1 prompts"
    ):
        sample_prompts("robot", "young", 1, seed=0)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"got 'male', 'elderly' and 999 prompts, of which there are 204"):
        sample_prompts("male", "elderly", 999, seed=0)
    with pytest.raises(UserError, match=r"and -1 prompts"):
        sample_prompts("male", "elderly", -1, seed=0)
