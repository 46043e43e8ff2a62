"""``pvchat evaluate --run RUN --forgetting``: general questions before and after the training of a run."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from pvchat.batch import Batch, Example
from pvchat.datamodules.loader import Collate
from pvchat.datamodules.manifest import Record, read_manifest
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.errors import UserError
from pvchat.lightning_cli import PVChatCLI
from pvchat.lightning_cli import run as run_lightning
from pvchat.retention.before_and_after import Pair, ask_about_clips, ask_in_text
from pvchat.retention.general_questions import GENERAL_KNOWLEDGE
from pvchat.retention.other_clips import choose
from pvchat.retention.retention_report import CLIPS, TEXT, Group, Retention, save, screen
from pvchat.runs import CONFIG, open_run, read_config

NOTHING = "Nothing was trained in {}: it answers as it did before."


class BeforeAndAfterCLI(PVChatCLI):
    """``test`` with model and data as they are built for it, asked by hand instead of tested."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing yet."""


def main(run: Path, manifest: str | None, out: Path) -> None:
    """Ask ``run`` about its test clips, or those of ``manifest``; print, and write forgetting.json and .md to
    ``out``. Raises UserError."""
    records = read_manifest(manifest, check_files=False) if manifest else None
    config = read_config(run / CONFIG)
    if (config.get("model") or {}).get("baseline"):
        print(NOTHING.format(run))
        return
    cli = _built(run, config)
    if not _is_trained(cli):
        print(NOTHING.format(run))
        return
    retention, pairs = measure(cli, records, name=str(run))
    save(retention, pairs, open_run(out))
    print(f"{screen(retention)}\n\n{out / 'forgetting.md'} (.json)")


def measure(
    cli: Any, records: Sequence[Record] | None = None, *, name: str = ""
) -> tuple[Retention, list[Pair]]:
    """Ask the model of ``cli`` about ``records``, the clips of its own corpus if None, and in text alone."""
    module, data, device = cli.model.eval(), cli.datamodule, cli.trainer.strategy.root_device
    chat, longest = module.to(device).chat, module.max_new_tokens
    data.store.extractor.to(device)
    known = data.records if records is None else list(records)
    asked = choose(known, chat.registry.names).asked
    if chat.introduction is not None:
        chat.study(data.training_clips())
    clips: list[Pair] = []
    text: list[Pair] = []
    for batch in _batches(cli, asked):
        clips += ask_about_clips(chat, batch.to(device), module.untrained, max_new_tokens=longest)
    if not clips:
        raise UserError(f"forgetting is seen on clips that can be read: got none for {len(asked)} questions.")
    for questions in _chunks(GENERAL_KNOWLEDGE, data.eval_batch_size):
        text += ask_in_text(chat, questions, module.untrained, max_new_tokens=longest)
    groups = (Group.of(CLIPS, clips, vocabulary(known)), Group.of(TEXT, text))
    return Retention(name, chat.pretrained is not None, groups), [*clips, *text]


def _built(run: Path, config: dict[str, Any]) -> Any:
    """The model that training left, which also keeps what it began with: that depends on the seed, and on the
    order in which everything is made."""
    config["model"]["controls"] = ["main", "base_model"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CONFIG
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        arguments = ["test", "-c", str(path), "--init_from", str(run), "--run_dir", folder]
        return run_lightning(arguments, BeforeAndAfterCLI)


def _is_trained(cli: Any) -> bool:
    now = dict(cli.model.named_parameters())
    return any(not now[name].equal(start) for name, start in cli.model.initial.items())


def _batches(cli: Any, asked: Sequence[tuple[Record, Example]]) -> Iterator[Batch]:
    """Questions with the features of their clips; bad ones are left out where the run did so."""
    data = cli.datamodule
    collate = Collate(cli.model.chat.registry, show=data.store.extractor.show)
    for chunk in tqdm(_chunks(asked, data.eval_batch_size), "before and after", unit="batch"):
        items = []
        for record, example in chunk:
            try:
                items.append((example, data.store.features(record)))
            except UserError as error:
                if data.on_bad_clip == "error":
                    raise
                print(f"left out: {example.id}: {error}", file=sys.stderr)
        if items:
            yield collate(items)


def _chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
