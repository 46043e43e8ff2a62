"""A Ray cluster for as long as some work takes: somebody's, or one of our own on this machine."""

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pvchat.errors import UserError

SPARE_CPUS = 4  # Ray's own steps need some beside the workers, or the run hangs


def require_ray(what: str) -> None:
    """Raise UserError, in the name of ``what``, where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"{what} needs Ray, which is not installed: pip install 'pvchat[ray]'.")


@contextmanager
def cluster(address: str | None, *, workers: int, cpus: int, gpus: float = 0) -> Iterator[None]:
    """Connected to the cluster at ``address``, or to a local one that is shut down at the end. Raises
    UserError where it has not ``cpus`` CPUs in all and ``gpus`` GPUs for each of the ``workers``."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(
                address or "local",  # with None Ray joins any cluster it finds
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else {"num_cpus": cpus + SPARE_CPUS}),
            )
        except Exception as error:  # Ray raises plain ones, of a node that is slow to start for instance
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise UserError(
                f"a Ray cluster must be there and let us in: {address or 'the local one'} does not "
                f"({reason}). Start it with ray start, set up its token here, or give no address."
            ) from error
    try:
        there = ray.cluster_resources()
        for kind, count in {"CPU": cpus, "GPU": workers * gpus}.items():
            if there.get(kind, 0) < count:
                raise UserError(
                    f"{workers} workers need {count:g} {kind}s: the Ray cluster has "
                    f"{there.get(kind, 0):g}. Take fewer workers or a larger cluster."
                )
        yield
    finally:
        if ours:
            ray.shutdown()
