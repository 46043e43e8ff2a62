"""The other end of a ``Worker``. It runs in another environment, so it knows numpy and nothing of ours.

``python serve.py SCRIPT SETTINGS`` takes ``load(settings)`` from the file SCRIPT, with SETTINGS as JSON; it
returns ``handle(header, arrays) -> (header, arrays)``, which raises ValueError for input it refuses.
A message is ``MAGIC``, the length of a header, the header as JSON, and the bytes of the arrays it lists."""

from __future__ import annotations

import json
import os
import runpy
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

MAGIC = b"PVC1"
DTYPES = ("uint8", "int64", "float32", "float64")  # nothing that could hold an object
_MOST_HEADER = 1 << 20  # bytes

Array = npt.NDArray[Any]
Header = dict[str, Any]
Specs = list[tuple[tuple[int, ...], str]]
Handle = Callable[[Header, "list[Array]"], "tuple[Header, list[Array]]"]


class GarbageError(Exception):
    """What came is no message."""


def pack(header: Header, arrays: Sequence[Array]) -> list[bytes]:
    """The message as parts to be written one after the other."""
    listed = [{"shape": a.shape, "dtype": a.dtype.name} for a in arrays]
    text = json.dumps({**header, "arrays": listed}).encode()
    return [MAGIC + struct.pack(">I", len(text)) + text, *(np.ascontiguousarray(a).tobytes() for a in arrays)]


def unpack(
    read: Callable[[int], bytes], accept: Callable[[Header, Specs], None] = lambda header, specs: None
) -> tuple[Header, list[Array]]:
    """A message from ``read``, which returns exactly as many bytes as asked for or raises. ``accept`` sees
    what is announced before it is read. Raises GarbageError."""
    start = read(len(MAGIC) + 4)
    (size,) = struct.unpack(">I", start[len(MAGIC) :])
    if start[: len(MAGIC)] != MAGIC or size > _MOST_HEADER:
        raise GarbageError(repr(start))
    text = read(size)
    try:
        header = json.loads(text)
        specs = [(tuple(int(n) for n in a["shape"]), str(a["dtype"])) for a in header.pop("arrays")]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise GarbageError(repr(text[:40])) from error
    if any(dtype not in DTYPES or min(shape, default=0) < 0 for shape, dtype in specs):
        raise GarbageError(f"arrays {specs}")
    accept(header, specs)
    arrays = [
        np.frombuffer(read(prod(shape) * np.dtype(dtype).itemsize), dtype).reshape(shape)
        for shape, dtype in specs
    ]
    return header, arrays


def serve(handle: Handle, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until ``requests`` ends."""

    def send(header: Header, arrays: Sequence[Array]) -> None:
        for part in pack(header, arrays):
            replies.write(part)
        replies.flush()

    def read(size: int) -> bytes:
        data = requests.read(size)
        if len(data) < size:
            raise EOFError
        return data

    send({"ready": True}, [])
    while True:
        try:
            header, arrays = unpack(read)
        except EOFError:
            return
        try:
            answer = handle(header, arrays)
        except ValueError as error:
            answer = {"refused": " ".join(str(error).split())}, []
        send(*answer)


def end_with(parent: int) -> None:
    """A parent that is killed can stop nobody, and a model at work would keep the GPU until it is done."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main(script: str, settings: str) -> None:
    """Serve ``script``. What it prints goes to stderr: stdout belongs to the protocol alone."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    here = os.path.dirname(os.path.abspath(__file__))  # its files are named like packages over there
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    serve(runpy.run_path(script)["load"](json.loads(settings)), requests, replies)


if __name__ == "__main__":
    main(*sys.argv[1:])
