"""Two processes on a CPU train one model: the same weights in both, late blocks and lambda included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import CONFIG, ROOT, make_corpus

pytestmark = pytest.mark.slow

PATHS = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]  # this checkout first

SCRIPT = """
import json, sys
from pathlib import Path
import lightning as L
import torch
from tiny import changed, fit, make_data, make_module, state

class Compare(L.Callback):
    def on_train_end(self, trainer, module):
        moved = sorted(changed(self.start, module))
        apart = {}
        for name, value in module.state_dict().items():
            everywhere = module.all_gather(value.detach().clone())
            apart[name] = float((everywhere[0].float() - everywhere[1].float()).abs().max())
        if trainer.is_global_zero:
            report = {"moved": moved, "steps": trainer.global_step}
            report["apart"] = [name for name, distance in apart.items() if distance]
            Path(sys.argv[2]).write_text(json.dumps(report))

compare = Compare()
module = make_module(chat={"dropout": 0.1})
compare.start = state(module)
data = make_data(Path(sys.argv[1]), module)
fit(module, data, compare, devices=2, strategy="ddp_find_unused_parameters_true")
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def run(folder: Path, corpus: Path, *arguments: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, PATHS)),
        "PVCHAT_CACHE": str(corpus.parent / "cache"),
        "PVCHAT_DATA": str(corpus),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_processes_stay_together(corpus: Path, tmp_path: Path) -> None:
    """Parameters unfrozen after the model is wrapped would drift apart: all are known when it is."""
    (tmp_path / "script.py").write_text(SCRIPT)
    run(tmp_path, corpus, "script.py", str(corpus), "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["apart"] == []
    assert any(".encoder.late." in name for name in report["moved"])
    assert "objective.smooth_proximity.weight" in report["moved"]
    assert report["steps"] == 5  # half of the 4 + 5 batches each


def test_one_run_folder_for_all_processes(corpus: Path, tmp_path: Path) -> None:
    two = ("--trainer.devices=2", "--trainer.strategy=ddp_find_unused_parameters_true")
    shown = run(tmp_path, corpus, "-m", "pvchat.cli", "fit", *CONFIG, *two)
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    assert (folder / "adapter" / "adapter.safetensors").is_file()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert shown.count("Run folder:") == 1
