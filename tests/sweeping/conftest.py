"""A training that takes no time: what it is called with is written down, its metric is its ``x``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

TRAINING = """
import json, pathlib, sys, time
given = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
run, x = pathlib.Path(given["run_dir"]), float(given["x"])
with open(given["log"], "a") as file:
    file.write(f"begun {given['x']}\\n")
if x == 3:
    sys.exit("pvchat: error: x must not be 3: got 3.")
with open(run / "metrics.csv", "w") as file:
    file.write("step,val/score\\n" + "".join(f"{n},{x}\\n" for n in range(4)))
time.sleep(float(given["seconds"]))
(run / "metrics.json").write_text(json.dumps({"test/score": x}))
with open(given["log"], "a") as file:
    file.write(f"done {given['x']}\\n")
"""

Sweep = Callable[..., Path]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def sweep(tmp_path: Path, log: Path) -> Sweep:
    """Writes a sweep file of that training."""
    program = tmp_path / "training.py"
    program.write_text(TRAINING)

    def write(x: Mapping[str, Any], *, seconds: float = 0.0, **changes: Any) -> Path:
        command = ["${interpreter}", "${program}", "fit", f"--log={log}", f"--seconds={seconds}", "${args}"]
        config = {
            "program": str(program),
            "method": "grid",
            "metric": {"name": "test/score", "goal": "maximize"},
            "command": command,
            "parameters": {"x": dict(x)},
        }
        path = tmp_path / "sweep-of-x.yaml"
        path.write_text(yaml.safe_dump(config | changes, sort_keys=False))
        return path

    return write
