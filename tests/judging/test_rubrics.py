"""The four rubrics: scales, and that only whole numbers on the scale are scores."""

import json

import pytest

from pvchat.endpoint.forms import json_schema, reader
from pvchat.judging import RUBRICS, Rubric

SCALES = {"es_1to5": (1, 5), "es_0to5": (0, 5), "dc_1to5": (1, 5), "dc_0to5": (0, 5)}


def test_es_and_dc_on_both_scales() -> None:
    assert {name: (rubric.lowest, rubric.highest) for name, rubric in RUBRICS.items()} == SCALES


@pytest.mark.parametrize("rubric", RUBRICS.values(), ids=RUBRICS)
def test_each_score_is_explained_once(rubric: Rubric) -> None:
    lines = rubric.instruction.splitlines()
    scores = [int(line[0]) for line in lines if line[1:2] == ":"]
    assert scores == list(range(rubric.highest, rubric.lowest - 1, -1))
    worst = next(line for line in lines if line.startswith(f"{rubric.lowest}:"))
    assert "takes somebody else for the person" in worst


@pytest.mark.parametrize("rubric", RUBRICS.values(), ids=RUBRICS)
def test_the_schema_is_closed_and_knows_the_scale(rubric: Rubric) -> None:
    schema = json_schema(rubric.form)
    score = schema["properties"]["score"]
    assert (score["type"], score["minimum"], score["maximum"]) == ("integer", *SCALES[rubric.name])
    assert list(schema["properties"]) == schema["required"] == ["reason", "score"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("score", [True, False, 0, 6, -1, 4.0, 4.5, "4", None, [4], float("nan")])
def test_what_is_no_score(score: object) -> None:
    """``true`` is 1 to Python, and 0 is a score in R1 alone."""
    with pytest.raises(ValueError, match=r"score: Input|Invalid JSON"):
        reader(RUBRICS["es_1to5"].form)(json.dumps({"reason": "so", "score": score}))


def test_what_is_a_score() -> None:
    for score in range(6):
        assert reader(RUBRICS["dc_0to5"].form)(f'{{"reason": "so", "score": {score}}}').score == score
