"""Forms: dataclasses as closed schemas, nested ones too, and strict reading."""

from dataclasses import dataclass

import pytest

from pvchat.endpoint.forms import json_schema, reader


@dataclass
class Part:
    name: str
    weight: float = 1.0


@dataclass
class Whole:
    parts: list[Part]


def test_schemas_are_closed_at_every_level() -> None:
    schema = json_schema(Whole)
    part = schema["$defs"]["Part"]
    assert schema["additionalProperties"] is False
    assert part["additionalProperties"] is False
    assert part["required"] == ["name", "weight"]  # strict servers want all of them


def test_reading_is_strict_and_names_the_place() -> None:
    read = reader(Whole)
    assert read('{"parts": [{"name": "é", "weight": 2}]}') == Whole([Part("é", 2.0)])
    with pytest.raises(ValueError, match=r"^parts.0.name: Input should be a valid string$"):
        read('{"parts": [{"name": 3}]}')
    with pytest.raises(ValueError, match=r"^Invalid JSON"):
        read("parts")
