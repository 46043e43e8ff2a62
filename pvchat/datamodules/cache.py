"""A folder of tensors that are computed once, whoever asks first: runs and processes share it.

An entry's name is the hash of its key, and the key names everything the tensors depend on, so nothing is
ever invalidated by hand: other bytes, settings or weights are another entry."""

import hashlib
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, contiguous_format, uint8

from pvchat.batch import Features
from pvchat.errors import UserError

_log = logging.getLogger(__name__)


class FeatureCache:
    """Safetensors files below ``root``, checked when read; ``hits`` and ``misses`` count the questions."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.hits = self.misses = 0

    def __contains__(self, key: str) -> bool:
        """An entry is there; whether it is sound is found when it is read."""
        return self._path(key).is_file()

    def get_or_compute(self, key: str, compute: Callable[[], Features]) -> Features:
        """The tensors of ``key``; computed, by one process only, where missing or damaged."""
        path = self._path(key)
        found = self._read(path, key)
        if found is None:
            with _alone(path):
                found = self._read(path, key)  # another process may have been faster
                if found is None:
                    self.misses += 1
                    computed = {name: t.detach().cpu() for name, t in compute().items()}
                    # cloned: safetensors refuses views of one storage
                    found = {n: t.clone(memory_format=contiguous_format) for n, t in computed.items()}
                    self._write(path, key, found)
                    return found
        self.hits += 1
        return found

    def entries(self) -> Iterator[tuple[Path, str]]:
        """File and key of each entry; of a damaged one the key is empty."""
        for path in sorted(self.root.glob("*/*.safetensors")):
            try:
                with safe_open(path, "pt") as file:
                    key = (file.metadata() or {}).get("key", "")
            except (SafetensorError, OSError):
                key = ""
            yield path, key

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.root / name[:2] / f"{name}.safetensors"

    def _read(self, path: Path, key: str) -> Features | None:
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            _log.warning("cache entry %s is damaged (%s): computed again.", path.name, error)
            return None
        if header != {"key": key, "checksum": _checksum(tensors)}:
            _log.warning("cache entry %s is damaged (checksum): computed again.", path.name)
            return None
        return tensors

    def _write(self, path: Path, key: str, tensors: Features) -> None:
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            save_file(tensors, temporary, {"key": key, "checksum": _checksum(tensors)})
            os.replace(temporary, path)
        except (SafetensorError, OSError) as error:  # a full disk is either
            raise _unwritable(path, error) from error
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of the entry ``path``."""
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()
        # whoever waited for it finds the entry; whoever comes later needs no lock
        path.with_suffix(".lock").unlink(missing_ok=True)


def _unwritable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"the cache {path.parent.parent} cannot be written ({error}). "
        "Set cache_dir or $PVCHAT_CACHE to a folder with room."
    )


def _checksum(tensors: Features) -> str:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(_bytes(tensors[name]), zlib.crc32(name.encode(), total))
    return f"{total:08x}"


def _bytes(tensor: Tensor) -> Any:
    return tensor.reshape(-1).view(uint8).numpy()
