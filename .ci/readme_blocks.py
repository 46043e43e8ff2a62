"""Named command blocks of README.md, so that what is documented is what is run.

A block is named by the second word of its fence: ```bash tests. ``python3.11 .ci/readme_blocks.py tests``
prints it. Needs nothing but the standard library: it runs before any environment exists.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
_FENCE = re.compile(r"^```bash(?: (?P<name>\S+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """``(name, commands)`` of every bash block, in order; unnamed ones have name ``""``."""
    return [(m["name"] or "", m["body"]) for m in _FENCE.finditer(text)]


def named(text: str, name: str) -> str:
    """Commands of the one block called ``name``."""
    found = [body for key, body in blocks(text) if key == name]
    if len(found) != 1:
        raise SystemExit(f"README.md must have exactly one block ```bash {name}: got {len(found)}.")
    return found[0]


if __name__ == "__main__":
    print(named(README.read_text(encoding="utf-8"), sys.argv[1]), end="")
