"""Where the work on many items runs (``roles.Executor``): in this process, in several, on several machines.

Workers skip what is on disk already, so a run that was killed is resumed by running it again."""

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from pvchat.errors import UserError
from pvchat.ray_cluster import cluster, require_ray
from pvchat.synthesis.roles import Item, Result

Make = Callable[[], Callable[[Item], Result]]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_ROWS = 4  # of a block: with larger ones little work is handed back before the end of the run


class LocalExecutor:
    """One item after the other, here."""

    def map(self, make_worker: Make[Item, Result], items: Sequence[Item]) -> Iterator[Result]:
        worker = make_worker()
        for item in items:
            yield worker(item)


class ProcessExecutor:
    """``workers`` fresh processes with one worker and one thread each. They end when this process does,
    however it ends. Raises UserError if one of them dies."""

    def __init__(self, workers: int) -> None:
        self.workers = _at_least_one(workers)

    def map(self, make_worker: Make[Item, Result], items: Sequence[Item]) -> Iterator[Result]:
        context = multiprocessing.get_context("spawn")  # forked torch hangs
        lifeline, held = context.Pipe(duplex=False)
        with lifeline, held, _single_threaded():
            pool = ProcessPoolExecutor(
                max(1, min(self.workers, len(items))),
                mp_context=context,
                initializer=_live,
                initargs=(lifeline, pickle.dumps(make_worker)),
            )
            try:
                for future in [pool.submit(_work, item) for item in items]:
                    yield future.result()
            except BrokenProcessPool as error:
                raise _dead("ProcessExecutor") from error
            finally:
                held.close()
                pool.shutdown(cancel_futures=True)


class RayExecutor:
    """``workers`` actors of Ray Data with a CPU and ``gpus`` GPUs each: on the cluster at ``address``, where
    pvchat is installed, the folders of the work are shared and Ray's token is set up, or on a local one that
    ends with the run. Raises UserError if one of them dies."""

    def __init__(self, workers: int, address: str | None = None, *, gpus: float = 0) -> None:
        self.workers, self.address, self.gpus = _at_least_one(workers), address, gpus
        require_ray("RayExecutor")

    def map(self, make_worker: Make[Item, Result], items: Sequence[Item]) -> Iterator[Result]:
        if not items:
            return
        with cluster(self.address, workers=self.workers, cpus=self.workers + 1, gpus=self.gpus):
            import ray
            from ray.exceptions import RayActorError

            ray.data.DataContext.get_current().enable_progress_bars = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)

            # the limits below are to get new names in 2.64, which pyproject.toml excludes
            warnings.filterwarnings("ignore", "`ray_remote_args")
            rows = [{"index": n, "item": pickle.dumps(item)} for n, item in enumerate(items)]
            results = (
                ray.data.from_items(rows)
                .repartition(target_num_rows_per_block=_ROWS)
                .map(
                    _RayWorker,
                    fn_constructor_args=(pickle.dumps(make_worker),),
                    compute=ray.data.ActorPoolStrategy(size=min(self.workers, -(-len(items) // _ROWS))),
                    num_cpus=1,
                    num_gpus=self.gpus,
                    runtime_env={"env_vars": dict.fromkeys(_THREADS, "1")},
                    max_restarts=0,  # else what kills a worker would be tried without end
                    max_task_retries=0,
                )
            )
            early: dict[int, bytes] = {}
            wanted = 0
            try:
                for row in results.iter_rows():
                    early[row["index"]] = row["result"]
                    while wanted in early:
                        result = pickle.loads(early.pop(wanted))
                        if isinstance(result, UserError):
                            raise result
                        yield result
                        wanted += 1
            except RayActorError as error:
                raise _dead("RayExecutor") from error


class _RayWorker:
    """Rows of pickled items -> rows of pickled results; a UserError is a result, the driver raises it."""

    def __init__(self, make_worker: bytes) -> None:
        self.make_worker = make_worker
        self.worker: Callable[[Any], Any] | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            if self.worker is None:
                self.worker = pickle.loads(self.make_worker)()
            result = self.worker(pickle.loads(row["item"]))
        except UserError as error:
            result = UserError(str(error))
        return {"index": row["index"], "result": pickle.dumps(result)}


_make_worker = b""
_worker: Callable[[Any], Any] | None = None


def _live(lifeline: Connection, make_worker: bytes) -> None:
    """Set a new process up: it ends with the other end of ``lifeline``, and Ctrl-C is for its parent."""
    global _make_worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _make_worker = make_worker
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _work(item: Any) -> Any:
    """In a process of the pool. It makes its worker for the first item, whose errors reach the parent."""
    global _worker
    if _worker is None:
        _worker = pickle.loads(_make_worker)()
    return _worker(item)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started inside have one thread: the libraries read these variables when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _at_least_one(workers: int) -> int:
    if workers < 1:
        raise UserError(f"workers must be >= 1: got {workers}.")
    return workers


def _dead(executor: str) -> UserError:
    return UserError(
        f"a worker of {executor} ended before its work was done (out of memory, or a crash). Take fewer "
        "workers and run again: what is done is kept."
    )
