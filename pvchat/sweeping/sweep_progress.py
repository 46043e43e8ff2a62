"""What every way to run a sweep shares: which point is next, which is given up, what is said of them."""

from collections.abc import Callable, Collection
from difflib import get_close_matches
from statistics import fmean

from pvchat.sweeping.hyperband import to_stop
from pvchat.sweeping.sweep_file import described
from pvchat.sweeping.sweep_folder import ENDED, LOG, Point, SweepFolder


class Progress:
    """Of ``workers`` points of ``folder`` at a time. What happens is told to ``say``, one line each."""

    def __init__(self, *, folder: SweepFolder, workers: int, say: Callable[[str], None]) -> None:
        self.folder, self.workers, self.say = folder, workers, say
        self.given_up: set[int] = set()
        self._seconds: list[float] = []
        self._missed = self._reached = False

    def busy(self, ours: Collection[int]) -> set[int]:
        """Numbers of the points that are at work: ``ours``, and those that a killed sweep left."""
        return {p.number for p in self.folder.points if self.folder.state(p) == "running"} | set(ours)

    def next(self, busy: Collection[int]) -> Point | None:
        """The point to be begun; a search adds one. None when there is none, or the target is reached."""
        if self._at_target():
            return None
        for point in self.folder.points:
            if point.number not in busy and self.folder.state(point) == "pending":
                return point
        sweep = self.folder.sweep
        if sweep.method != "bayes" or len(self.folder.points) >= sweep.size:
            return None
        values = sweep.suggest([self.folder.trial(p) for p in self.folder.points])
        return self.folder.add([values])[0]

    def give_up(self, ours: Collection[int]) -> list[int]:
        """Which of ``ours`` early termination now ends."""
        settings = self.folder.sweep.config.get("early_terminate")
        if settings is None or not ours:
            return []
        histories = {p.number: self.folder.history(p) for p in self.folder.points}
        running = {str(n): histories.pop(n) for n in ours}
        maximize = self.folder.sweep.maximized
        names = to_stop(running, list(histories.values()), settings, maximize=maximize)
        new = {int(name) for name in names} - self.given_up
        self.given_up |= new
        return sorted(new)

    def begun(self, point: Point) -> None:
        self.say(f"[{point.number}/{self.folder.sweep.size}] {described(point.values)}: begun")

    def ended(self, point: Point, why: str) -> None:
        """Its process is gone; ``why``, unless it was given up or has said itself how it ended."""
        if point.number in self.given_up:
            self.folder.close(point, "stopped")
        elif self.folder.state(point) == "pending":
            self.folder.close(point, "failed", error=why)
        if self.folder.state(point) == "running":
            return  # its process was killed, its training was not
        about = self.folder.about(point)
        state = about["state"]
        value = None if state == "failed" else self.folder.metric(point)
        if state == "failed":
            what = f"failed: {about['error']} ({point.folder / LOG})"
        else:
            what = f"{state}, {self.folder.sweep.metric} {'-' if value is None else f'{value:.3f}'}"
            self._seconds += [about["seconds"]] if "seconds" in about else []
        place = f"[{point.number}/{self.folder.sweep.size}]"
        self.say(f"{place} {described(point.values)}: {what}{self._left()}")
        if state != "finished" or value is not None or self._missed:
            return
        if self.folder.sweep.metric not in self.folder.logged(point):
            self._missed = True
            self.say(missing_metric(self.folder, point))

    def _at_target(self) -> bool:
        """As W&B has it: once a run reaches ``metric.target``, those at work end and no other begins."""
        if self.folder.sweep.target is None or self._reached:
            return self._reached
        for point in self.folder.points:
            value = self.folder.metric(point) if self.folder.state(point) == "finished" else None
            if value is not None and self.folder.sweep.at_target(value):
                self._reached = True
                self.say(f"Point {point.number} reaches metric.target ({value:.3f}): no other is begun.")
                break
        return self._reached

    def _left(self) -> str:
        points, total = self.folder.points, self.folder.sweep.size
        done = sum(self.folder.state(p) in ENDED for p in points)
        if not self._seconds or done == total:
            return ""
        return f"; {fmean(self._seconds) * (total - done) / self.workers / 3600:.2f} hours left"


def missing_metric(folder: SweepFolder, point: Point) -> str:
    """The sentence about a metric that a finished run does not have."""
    name, names = folder.sweep.metric, sorted(folder.logged(point))
    near = get_close_matches(name, names, 3) or names[:3]
    return (
        f"note: metric.name must be something that runs log: {point.folder} has no {name!r}, but "
        f"{', '.join(near) or 'nothing'}. The points go on; correct the file and call the sweep again, "
        "which keeps what is finished."
    )
