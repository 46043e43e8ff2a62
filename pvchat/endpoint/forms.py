"""Structured answers: the JSON schema of a dataclass, and the strict way back from JSON to it."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)


def json_schema(form: type) -> dict[str, Any]:
    """JSON schema of the dataclass ``form``, closed: all fields are required and there are no others."""
    from pydantic import TypeAdapter

    return dict(_closed(TypeAdapter(form).json_schema()))


def instruction(schema: dict[str, Any]) -> str:
    """For servers that do not enforce a schema, and for models that do better when they are told."""
    return f"Answer with one JSON object and nothing else. Its schema: {json.dumps(schema)}"


def reader(form: type[T]) -> Callable[[str], T]:
    """From the text of an answer to a ``form``; a code fence around it is forgiven. Values are not converted
    (``"4"`` is no int). Raises ValueError that names the field."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(form)

    def read(text: str) -> T:
        fenced = _FENCE.fullmatch(text)
        try:
            return adapter.validate_json(fenced.group(1) if fenced else text, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from error

    return read


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _closed(part) for name, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        schema |= {"additionalProperties": False, "required": list(schema["properties"])}
    return schema
