"""Answers per second of a test as it is run, against one question at a time and against beams.

    python -m benchmarks.answering [--run RUN]

The laptop experiment on the demo corpus, trained first unless a ``RUN`` of it is given. All ways in one
process, in turn, several times. In batches, questions about a clip share what comes before them, and those
that are answered drop out; one by one is the same greedy decoding with a KV cache. Answers that differ are
printed: in bfloat16 two words may tie, which ``--dtype float32`` tells from a mistake. The beams (5, drawn,
as released) go through transformers, over the base vocabulary alone. Rates are of the wall clock; beside
them the processor seconds of an answer, which other work on the machine changes less.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from pvchat.batch import Batch
from pvchat.datamodules.loader import Item
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.modules.video_chat import VideoChat
from pvchat.reporting.table import Cell, render_table

ROOT = Path(__file__).parents[1]
BATCHED, ALONE = "batches of {}", "one by one"
Way = Callable[[Sequence[Item]], list[str]]
Timed = tuple[float, float]  # wall clock and processor seconds of an answer


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--run", type=Path, help="a trained run of the laptop experiment on the demo corpus")
    parser.add_argument("--questions", type=int, default=48, help="of the test, at most")
    parser.add_argument("--few", type=int, default=6, help="questions where it is slow: no cache, beams")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="auto", help="of the frozen language model")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        cli = _trained(Path(folder), options.run, options.dtype)
    chat, data = cli.model.chat.eval(), cli.datamodule
    data.setup("test")
    loader = data.test_dataloader("main")
    collate, size, most = loader.collate_fn, data.eval_batch_size, cli.model.max_new_tokens
    items = [loader.dataset[n] for n in range(min(options.questions, len(loader.dataset)))]

    def in_batches(asked: Sequence[Item]) -> list[str]:
        parts = [collate(asked[n : n + size]) for n in range(0, len(asked), size)]
        return [answer for part in parts for answer in chat.answer(part, max_new_tokens=most)]

    def each(answer: Callable[[VideoChat, Batch, int], str]) -> Way:
        return lambda asked: [answer(chat, collate([item]), most) for item in asked]

    batched = BATCHED.format(size)
    ways: dict[str, Way] = {batched: in_batches, ALONE: each(_alone)}
    ways |= {f"{ALONE}, no KV cache": each(_without_cache), f"{ALONE}, 5 beams, drawn": each(_beams)}
    told: dict[str, list[str]] = {}
    seconds: dict[str, list[Timed]] = {name: [] for name in ways}
    in_batches(items[:2])  # warms up
    for _ in range(options.repeats):
        for name, way in ways.items():
            asked = items if name in (batched, ALONE) else items[: options.few]
            wall, processor = time.perf_counter(), time.process_time()
            told[name] = way(asked)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            seconds[name].append((wall / len(asked), processor / len(asked)))
    head = ["way", "answers a second", "times one by one", "processor s an answer"]
    print(render_table(head, [_row(n, seconds) for n in ways], style="markdown"))
    print(f"\n{len(items)} questions ({options.few} without cache and with beams), ", end="")
    print(f"{options.threads} threads, torch {torch.__version__}, {_dtype(chat)}, ", end="")
    print(f"{options.repeats} repeats: median (least to most).\n")
    for name in (batched, f"{ALONE}, no KV cache"):
        _compare(name, told[name], told[ALONE], items)


def _dtype(chat: VideoChat) -> str:
    return str(chat.language_model.base.get_input_embeddings().weight.dtype).removeprefix("torch.")


def _trained(folder: Path, run_dir: Path | None, dtype: str) -> PVChatCLI:
    given = ["--trainer.max_steps=0", f"--init_from={run_dir}"] if run_dir else []
    return run(
        [
            "fit",
            f"--config={ROOT / 'experiments' / 'laptop.yaml'}",
            "--data.source=pvchat.synthesis.demo.DemoCorpus",
            f"--runs={folder}",
            "--trainer.enable_progress_bar=false",
            f"--model.chat.init_args.language_model.init_args.dtype={dtype}",
            f"--threads={torch.get_num_threads()}",
            *given,
        ]
    )


def _alone(chat: VideoChat, question: Batch, most: int) -> str:
    return chat.answer(question, max_new_tokens=most)[0]


@torch.no_grad()
def _without_cache(chat: VideoChat, question: Batch, most: int) -> str:
    """The same answer, all of it read again for each token."""
    model = chat.language_model
    embeds, mask, _ = chat._questions(question, "main")
    ids: list[int] = []
    while len(ids) < most:
        token = model.logits(model.hidden(embeds, mask)[:, -1]).argmax(-1)
        if int(token) in model.eos_ids:
            break
        ids.append(int(token))
        embeds = torch.cat([embeds, model.embed(token[None])], 1)
        mask = torch.cat([mask, mask[:, -1:]], 1)
    return model.decode(ids, chat.registry)


@torch.no_grad()
def _beams(chat: VideoChat, question: Batch, most: int) -> str:
    model = chat.language_model
    embeds, mask, _ = chat._questions(question, "main")
    dtype = model.base.get_input_embeddings().weight.dtype
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        ids = model.base.generate(
            inputs_embeds=embeds.to(dtype),
            attention_mask=mask.long(),
            num_beams=5,
            do_sample=True,
            max_new_tokens=most,
            eos_token_id=list(model.eos_ids),
            pad_token_id=model.pad_id,
        )
    return model.decode([i for i in ids[0].tolist() if i not in model.eos_ids], chat.registry)


def _row(name: str, seconds: dict[str, list[Timed]]) -> list[Cell]:
    walls = [wall for wall, _ in seconds[name]]
    times = [alone / wall for (alone, _), wall in zip(seconds[ALONE], walls, strict=True)]
    rates = _spread([1 / wall for wall in walls])
    return [name, rates, _spread(times), _spread([processor for _, processor in seconds[name]])]


def _compare(name: str, answers: Sequence[str], alone: Sequence[str], items: Sequence[Item]) -> None:
    pairs = list(zip(items, answers, alone, strict=False))
    different = [(item[0].id, a, b) for item, a, b in pairs if a != b]
    print(f"{name}: {len(pairs) - len(different)} of {len(pairs)} answers are those of {ALONE}.")
    for question, a, b in different:
        print(f"  {question}: {a!r} against {b!r}")


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
