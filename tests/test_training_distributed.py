"""Two processes on a CPU train one model: the same weights in both, late blocks and lambda included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
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


ONE_LARGE_BATCH = """
import sys
from pathlib import Path
import lightning as L
import torch
from safetensors.torch import save_file
from tiny import fit, make_data, make_module, state

class Record(L.Callback):
    def __init__(self):
        self.rows = {"train/loss": [], "train/lambda": [], "train/active_rate": [], "train/video_stage": []}
        self.sizes = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        for name, values in self.rows.items():
            values.append(trainer.callback_metrics[name].clone())
        self.sizes.append(len(batch))

corpus, out, processes = sys.argv[1:]
module, record = make_module(), Record()
start = {f"start {n}": v.clone() for n, v in state(module).items()}
data = make_data(Path(corpus), module, batch_size=6 // int(processes), questions_per_clip=1)
more = {"devices": 2, "strategy": "ddp_find_unused_parameters_true"} if processes == "2" else {}
trainer = fit(module, data, record, **more)
if trainer.is_global_zero:
    rows = {name: torch.stack(values) for name, values in record.rows.items()}
    rows["sizes"] = torch.tensor(record.sizes)
    save_file({n: v.contiguous() for n, v in (state(module) | start | rows).items()}, out)
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


def test_two_processes_are_one_with_the_doubled_batch(corpus: Path, tmp_path: Path) -> None:
    """Losses, lambda, active rate and final weights, over the switch from image to video and the unfreezing,
    with a last batch that does not divide: the same but for the order in which floats are added."""
    (tmp_path / "script.py").write_text(ONE_LARGE_BATCH)
    one, two = (load_file(_run_as(tmp_path, corpus, processes)) for processes in (1, 2))
    assert min(one["sizes"]) % 2 == 1  # a last batch that does not divide
    stages = one["train/video_stage"]
    assert stages.unique().tolist() == [0.0, 1.0]
    for name in ("train/loss", "train/lambda", "train/active_rate", "train/video_stage"):
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-6)
    moved = [n for n in one if f"start {n}" in one and not torch.equal(one[n], one[f"start {n}"])]
    assert any(".encoder.late." in name for name in moved)
    for name in moved:
        step = (one[name] - one[f"start {name}"]).norm()
        assert (two[name] - one[name]).norm() <= 1e-2 * step + 1e-6, name


def _run_as(folder: Path, corpus: Path, processes: int) -> Path:
    out = folder / f"{processes}.safetensors"
    run(folder, corpus, "script.py", str(corpus), str(out), str(processes))
    return out
