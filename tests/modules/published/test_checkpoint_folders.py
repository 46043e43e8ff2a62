"""A checkpoint is refused unless every tensor is there, with its shape and type."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.published.checkpoint_folders import (
    ImportedCheckpoint,
    PublishedCheckpoint,
    open_checkpoint,
)
from pvchat.modules.published.exchange import convert
from pvchat.modules.published.key_table import PublishedSizes, key_table
from pvchat.modules.published.shards import INDEX


def change(folder: Path, old: str, new: str | None, value: Tensor | None = None) -> None:
    """Rename, drop or replace a tensor, in its shard and in the index."""
    index = json.loads((folder / INDEX).read_text())
    path = folder / index["weight_map"].pop(old)
    tensors = load_file(path)
    was = tensors.pop(old)
    if new is not None:
        tensors[new] = was if value is None else value
        index["weight_map"][new] = path.name
    if (now := tensors.get(new or "")) is None or now.nbytes != was.nbytes:
        index["metadata"]["total_size"] += (0 if now is None else now.nbytes) - was.nbytes
    save_file(tensors, path)
    (folder / INDEX).write_text(json.dumps(index))


def test_every_tensor_is_read_under_our_name(
    published: Path, everything: dict[str, Tensor], sizes: PublishedSizes
) -> None:
    checkpoint = PublishedCheckpoint(published, sizes=sizes)
    for key in key_table(sizes):
        found = checkpoint.read(key.ours)
        assert tuple(found.shape) == key.our_shape
        if key.ours != "qformer.query_tokens":
            assert torch.equal(found.flatten(), everything[key.published].flatten())
    queries = torch.cat([everything["query_tokens"], everything["extra_query_tokens"]], 1).squeeze(0)
    assert torch.equal(checkpoint.read("qformer.query_tokens"), queries)


@pytest.mark.parametrize(
    ("old", "new", "value", "message"),
    [
        ("query_tokens", None, None, "1 missing: query_tokens"),
        ("query_tokens", "more_tokens", None, "1 missing: query_tokens; 1 unknown: more_tokens"),
        (
            "project_up.bias",
            "project_up.bias",
            torch.zeros(7).bfloat16(),
            r"1 of another shape: project_up.bias \[7\] for \[16\]",
        ),
        (
            "project_up.bias",
            "project_up.bias",
            torch.zeros(16).long(),
            "project_up.bias is I64 in .*, not as",
        ),
        (
            "qformer.bert.embeddings.position_ids",
            "qformer.bert.embeddings.position_ids",
            torch.ones(1, 7).long(),
            r"position_ids must be 0\.\.6",
        ),
    ],
)
def test_another_checkpoint_is_refused(
    published: Path, sizes: PublishedSizes, old: str, new: str | None, value: Tensor | None, message: str
) -> None:
    change(published, old, new, value)
    with pytest.raises(UserError, match=message):
        PublishedCheckpoint(published, sizes=sizes)


def test_a_small_one_is_not_the_published_one(published: Path) -> None:
    with pytest.raises(
        UserError, match=r"does not fit InternVideo2-Chat-8B-HD: \d+ missing: .* and \d+ more"
    ):
        PublishedCheckpoint(published)


def test_an_imported_folder_is_checked_too(published: Path, sizes: PublishedSizes, tmp_path: Path) -> None:
    out = tmp_path / "imported"
    checkpoint = PublishedCheckpoint(published, sizes=sizes)
    convert(checkpoint, out)
    again = open_checkpoint(out)
    assert isinstance(again, ImportedCheckpoint)
    assert again.sizes == sizes
    assert all(torch.equal(again.read(k.ours), checkpoint.read(k.ours)) for k in key_table(sizes))
    save_file({"other": torch.zeros(1)}, out / "lora.safetensors")
    with pytest.raises(UserError, match=r"the folder .* does not fit .*: \d+ missing: .*; 1 unknown: other"):
        open_checkpoint(out)
    (out / "import.json").write_text("{}")
    with pytest.raises(UserError, match=r"cannot read .*import.json\. Make the folder again"):
        open_checkpoint(out)


def test_a_folder_of_another_kind_is_named(published: Path, sizes: PublishedSizes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"import\.json \(imported\) or .* has none\. See pvchat import-ch"):
        open_checkpoint(tmp_path)
    convert(PublishedCheckpoint(published, sizes=sizes), tmp_path / "imported")
    with pytest.raises(UserError, match=r"language model of a checkpoint\. Give the whole: .*imported\."):
        open_checkpoint(tmp_path / "imported" / "language_model")
