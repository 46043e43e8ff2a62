"""Runs the points of a sweep as trials of Ray Tune, on all machines of a cluster that share its folder.

Importing this needs the extra ``ray``."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from pvchat.ray_cluster import cluster
from pvchat.sweeping.runner import MODULE
from pvchat.sweeping.sweep_progress import Progress

TRIALS = "ray"  # what Tune itself keeps, in the folder of the sweep
LOOK_SECONDS = 2.0  # how often a trial says that it is there
RETRIES = 3  # of a point whose machine is lost; it goes on from its checkpoint


class RayRunner:
    """The points of ``progress`` on the cluster at ``address``, where pvchat is installed in the same place
    and the working directory is shared, or on a local one. A point gets its share of the CPUs, and a GPU
    where the cluster has one for each worker."""

    def __init__(self, *, progress: Progress, address: str | None) -> None:
        self.progress, self.address = progress, address

    def run(self) -> None:
        """Until no point is left. On Ctrl-C trainings are told to end: they save where they are. Raises
        UserError without a cluster that has room for the workers."""
        # points log and save themselves, and what happens is said here
        os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
        workers, points = self.progress.workers, Points(self.progress)
        here = max(1, (os.cpu_count() or 1) // workers)
        with cluster(self.address, workers=workers, cpus=workers if self.address else workers * here):
            cpus = self._share() if self.address else here  # the local cluster counts more than there are
            resources = {"cpu": cpus, "gpu": int(ray.cluster_resources().get("GPU", 0) >= workers)}
            tune.Tuner(
                tune.with_resources(PointTrial, resources),
                tune_config=tune.TuneConfig(
                    search_alg=points,
                    num_samples=-1,  # the points say when there are no more
                    max_concurrent_trials=workers,
                ),
                run_config=tune.RunConfig(
                    name=TRIALS,
                    storage_path=str(self.progress.folder.path.absolute()),
                    stop=GivenUp(self.progress, points),
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    verbose=0,
                ),
            ).fit()
        if not points.exhausted:
            raise KeyboardInterrupt

    def _share(self) -> int:
        """CPUs of a point, which any machine that has some can give."""
        machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        return max(1, min(sum(machines) // self.progress.workers, *filter(None, machines)))


class Points(Searcher):  # type: ignore[misc]
    """Tells Tune which point is next, and how it ended to ``progress``."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress, self.exhausted = progress, False
        self.trials: dict[str, int] = {}  # Tune's name of each point at work

    def suggest(self, trial_id: str) -> Any:
        busy = self.progress.busy(self.trials.values())
        point = self.progress.next(busy)
        if point is None:
            self.exhausted = not busy
            return None if busy else Searcher.FINISHED
        self.trials[trial_id] = point.number
        self.progress.begun(point)
        folder = str(self.progress.folder.path)
        return {"point": point.number, "folder": folder, "directory": str(Path.cwd())}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        point = self.progress.folder.points[self.trials.pop(trial_id) - 1]
        self.progress.ended(point, "its process or its machine was lost")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the folder of the sweep says where it is."""


class GivenUp(tune.Stopper):  # type: ignore[misc]
    """The early termination of the sweep file."""

    def __init__(self, progress: Progress, points: Points) -> None:
        self.progress, self.points = progress, points

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.progress.give_up(self.points.trials.values())
        return result["point"] in self.progress.given_up

    def stop_all(self) -> bool:
        return False


class PointTrial(tune.Trainable):  # type: ignore[misc]
    """The process of a point, wherever Tune puts it."""

    def setup(self, config: dict[str, Any]) -> None:
        self._number = config["point"]
        words = [sys.executable, "-m", MODULE, config["folder"], str(self._number)]
        self._process = subprocess.Popen(words, cwd=config["directory"])

    def step(self) -> dict[str, Any]:
        try:
            self._process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            return {"point": self._number, "done": False}
        return {"point": self._number, "done": True}

    def cleanup(self) -> None:
        self._process.terminate()
        self._process.wait()
