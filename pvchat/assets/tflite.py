"""Read a TensorFlow Lite file without its runtime: a short list of operations, weights as torch has them.

Fields are found by their ids in TensorFlow's ``schema.fbs``; the container is a FlatBuffer."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pvchat.errors import UserError

_DTYPES = {0: np.float32, 1: np.float16, 2: np.int32}
_ACTIVATIONS = {0: None, 1: "relu", 3: "relu6"}
_PLAIN = {14: "sigmoid", 19: "relu", 34: "pad", 54: "prelu", 117: "hardswish"}
_ADD, _MUL, _AVERAGE, _MAX, _CONV, _DEPTHWISE, _DEQUANTIZE, _RESIZE, _CUSTOM = 0, 18, 1, 17, 3, 4, 6, 23, 32


class _Table:
    """A FlatBuffer table at ``at``; fields are read by id and have a default when they are absent."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.vtable = at - self._read("<i", at)

    def _read(self, form: str, at: int) -> int:
        return int(struct.unpack_from(form, self.data, at)[0])

    def _field(self, field: int) -> int:
        """Where the field is, 0 when it is absent."""
        entry = 4 + 2 * field
        offset = self._read("<H", self.vtable + entry) if entry < self._read("<H", self.vtable) else 0
        return self.at + offset if offset else 0

    def number(self, field: int, form: str = "<i", default: int = 0) -> int:
        at = self._field(field)
        return self._read(form, at) if at else default

    def table(self, field: int) -> "_Table":
        at = self._field(field)
        return _Table(self.data, at + self._read("<I", at))

    def tables(self, field: int) -> list["_Table"]:
        start, count = self._vector(field)
        return [_Table(self.data, i + self._read("<I", i)) for i in range(start, start + 4 * count, 4)]

    def array(self, field: int, dtype: Any) -> npt.NDArray[Any]:
        """A vector of ``count`` numbers; of bytes it is as many numbers as they hold."""
        start, count = self._vector(field)
        return np.frombuffer(self.data, dtype, count, start)

    def text(self, field: int) -> str:
        return self.array(field, np.uint8).tobytes().decode()

    def _vector(self, field: int) -> tuple[int, int]:
        at = self._field(field)
        if not at:
            return 0, 0
        start = at + self._read("<I", at)
        return start + 4, self._read("<I", start)


def read_tflite(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    """The graph ``{"input", "outputs", "operations"}`` of a network of images, and its weights by name.

    An operation has ``kind``, ``inputs`` (activations), ``output`` and its settings; convolution weights are
    (out, in / groups, height, width). Raises UserError for other files, and for an operation that none of our
    networks has."""
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise UserError(f"a network must be a tflite file: {path.name} is not one.")
    model = _Table(data, struct.unpack_from("<I", data)[0])
    codes = [
        (max(c.number(0, "<b"), c.number(3)), c.text(1)) for c in model.tables(1)
    ]  # large codes do not fit into the older field
    graph, buffers = model.tables(2)[0], model.tables(4)
    constants: dict[int, npt.NDArray[Any]] = {}
    for i, tensor in enumerate(graph.tables(0)):
        content = buffers[tensor.number(2, "<I")].array(0, np.uint8)
        if content.size:
            dtype = _DTYPES[tensor.number(1, "<b")]
            constants[i] = np.frombuffer(content.tobytes(), dtype).reshape(tensor.array(0, np.int32))
    operations: list[dict[str, Any]] = []
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for operator in graph.tables(3):
        code, custom = codes[operator.number(0, "<I")]
        inputs, output = operator.array(1, np.int32).tolist(), int(operator.array(2, np.int32)[0])
        if code == _DEQUANTIZE:  # weights kept as fp16
            constants[output] = constants[inputs[0]].astype(np.float32)
            continue
        known = [constants[i] for i in inputs if i in constants]
        settings, parameters = _operation(code, custom, operator, known)
        settings |= {"inputs": [i for i in inputs if i not in constants], "output": output}
        for name, value in parameters.items():
            weights[f"{len(operations)}.{name}"] = np.ascontiguousarray(value, np.float32)
        operations.append(settings)
    ends = {"input": int(graph.array(1, np.int32)[0]), "outputs": graph.array(2, np.int32).tolist()}
    return ends | {"operations": operations}, weights


def _operation(
    code: int, custom: str, operator: _Table, known: Sequence[npt.NDArray[Any]]
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Settings and weights of one operation, whose constant inputs are ``known``."""
    if code in _PLAIN:
        if code == 34:  # rows (before, after) of batch, height, width, channels
            return {"kind": "pad", "amounts": known[0].tolist()}, {}
        return {"kind": _PLAIN[code]}, {"weight": known[0].ravel()} if known else {}
    if code == _CUSTOM and custom == "Convolution2DTransposeBias":
        stride = operator.array(5, np.uint8).view(np.int32)[1:3].tolist()  # (padding, width, height)
        return {"kind": "transposed", "stride": stride}, {
            "weight": known[0].transpose(3, 0, 1, 2),
            "bias": known[1],
        }
    if code not in (_ADD, _MUL, _AVERAGE, _MAX, _CONV, _DEPTHWISE, _RESIZE):
        raise UserError(f"a tflite file must consist of known operations: got number {code} {custom}.")
    options = operator.table(4)
    if code in (_ADD, _MUL):
        activation = _ACTIVATIONS[options.number(0, "<b")]
        return {"kind": "add" if code == _ADD else "mul", "activation": activation}, {}
    if code == _RESIZE:
        size = known[0].tolist()
        aligned, half = (bool(options.number(i, "<b")) for i in (2, 3))
        return {"kind": "resize", "size": size, "align_corners": aligned, "half_pixel": half}, {}
    same, stride = options.number(0, "<b") == 0, [options.number(2), options.number(1)]
    if code in (_AVERAGE, _MAX):
        size = [options.number(4), options.number(3)]
        kind = "average" if code == _AVERAGE else "max"
        return {"kind": kind, "same": same, "stride": stride, "size": size}, {}
    axes = (0, 3, 1, 2) if code == _CONV else (3, 0, 1, 2)
    return {
        "kind": "conv",
        "same": same,
        "stride": stride,
        "depthwise": code == _DEPTHWISE,
        "activation": _ACTIVATIONS[options.number(3 if code == _CONV else 4, "<b")],
    }, {"weight": known[0].transpose(axes), "bias": known[1]}


def tflite_to_torch(source: Path, target: Path) -> None:
    """Each network as ``NAME.json`` and ``NAME.safetensors``, for ``GraphNetwork``."""
    import torch
    from safetensors.torch import save_file

    for path in sorted(source.glob("*.tflite")):
        graph, weights = read_tflite(path)
        (target / f"{path.stem}.json").write_text(json.dumps(graph) + "\n")
        tensors = {name: torch.from_numpy(w.copy()) for name, w in weights.items()}
        save_file(tensors, target / f"{path.stem}.safetensors")
