"""A world small enough to learn in seconds: drawn people in drawn places, and the config of a tiny model.

A person is a bright square, whose colour tells who it is, above a shirt, on a dim background; positives and
negatives share backgrounds, shirts and places, so that nothing but that colour tells them apart.
``tiny.yaml`` is an overlay of experiments/laptop.yaml with random parts, so nothing is ever downloaded.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import lightning as L
import numpy as np
import torch
from PIL import Image

from pvchat import cli
from pvchat.batch import Batch, Example, QuestionType
from pvchat.callbacks import SparsityController, StageSchedule
from pvchat.datamodules.manifest import QA, Record, Split, write_manifest
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.sources import ManifestSource
from pvchat.faces import Face, FaceAnalyzer, Frame, Vector
from pvchat.losses import AnswerCrossEntropy, HeadActivation, Objective, RoutingSparsity
from pvchat.modules.attention import AttentionFactory, DenseAttention, ReMoHAttention
from pvchat.modules.base_views import Views
from pvchat.modules.introduction import Introduction
from pvchat.modules.language_model import LanguageModel, LoRA, RandomLanguageModel
from pvchat.modules.qformer import QFormer
from pvchat.modules.video_chat import VideoChat
from pvchat.modules.views import ClipViews
from pvchat.modules.vision import RandomViT
from pvchat.runs import find_run
from pvchat.stages import Stage, StagePlan
from pvchat.subjects import mentions
from pvchat.training import PersonalizedVideoChat

ROOT = Path(__file__).parent.parent
LAPTOP, TINY = str(ROOT / "experiments" / "laptop.yaml"), str(Path(__file__).with_name("tiny.yaml"))
CONFIG = ("-c", LAPTOP, "-c", TINY)

PEOPLE = {"tom": (250, 60, 60), "ann": (60, 250, 60), "bob": (70, 70, 250), "eva": (250, 250, 60)}
PEOPLE |= {"max": (60, 250, 250), "stranger": (250, 60, 250), "passer-by": (250, 250, 250)}
SHIRTS = {"red": (110, 30, 30), "green": (30, 110, 30), "blue": (30, 30, 110), "gray": (90, 90, 90)}
PLACES = {"inside": (40, 60, 70), "outside": (70, 50, 40)}
WIDTH, HEIGHT, FACE = 96, 64, 24
REMOH = partial(ReMoHAttention, num_heads=4, num_shared_heads=2)


class DrawnFaces(FaceAnalyzer):
    """Finds the bright squares of ``draw`` and embeds their colour."""

    fingerprint = "drawn faces"

    def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
        return [[self._face(box) for box in self._boxes(frame)] for frame in frames]

    def embed(self, frame: Frame, face: Face) -> Vector:
        x, y = (int(v) for v in (face.box[:2] + face.box[2:]) / 2)
        colour = frame[y - 4 : y + 4, x - 4 : x + 4].reshape(-1, 3).mean(0) / 255 - 0.5
        return np.tile(colour, 43)[:128].astype(np.float32) / 6

    @staticmethod
    def _boxes(frame: Frame) -> Iterator[tuple[int, int, int, int]]:
        bright = frame.max(-1) > 180
        columns = np.flatnonzero(bright.any(0))
        for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
            if len(run) > FACE // 2:
                rows = np.flatnonzero(bright[:, run].any(1))
                yield int(run[0]), int(rows[0]), int(run[-1]) + 1, int(rows[-1]) + 1

    @staticmethod
    def _face(box: tuple[int, int, int, int]) -> Face:
        return Face(np.array(box, np.float32), np.zeros((5, 2), np.float32), 1.0)


def draw(people: Sequence[str], shirt: str, place: str, *, shift: int = 0) -> Frame:
    """One frame: at most three ``people`` side by side."""
    frame = np.full((HEIGHT, WIDTH, 3), PLACES[place], np.uint8)
    for n, name in enumerate(people):
        left, top = 4 + shift + 32 * n, 8 + shift
        frame[top + FACE :, left : left + FACE] = SHIRTS[shirt]
        frame[top : top + FACE, left : left + FACE] = PEOPLE[name]
    return frame


def save_clip(path: Path, frames: Sequence[Frame]) -> Path:
    """An mp4, or a photo of the first frame, by the name of ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(frames[0]).save(path)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_corpus(
    folder: Path,
    subjects: Sequence[str] = ("tom",),
    *,
    clips: Mapping[Split, int] | None = None,
    seed: int = 0,
) -> Path:
    """Manifest of ``clips`` of each split, as many with each subject as without. Every third is a photo."""
    rng = random.Random(seed)
    records = []
    for split, count in (clips or {"train": 6, "validation": 4, "test": 8}).items():
        for n in range(count * len(subjects)):
            subject = subjects[n // 2 % len(subjects)]
            others = [name for name in PEOPLE if name not in subjects]
            people = [subject if n % 2 == 0 else rng.choice(others)]
            shirt, place = list(SHIRTS)[n // 2 % 4], rng.choice(list(PLACES))
            moves = rng.random() < 0.5
            first = {"validation": 3, "test": 5}.get(split, 4)  # no test clip is a copy
            frames = [draw(people, shirt, place, shift=first + 2 * t * moves) for t in range(4)]
            path = save_clip(folder / "clips" / f"{split}{n}.{'png' if n % 3 == 2 else 'mp4'}", frames)
            records.append(record(path, split, people, subjects, shirt, place))
    write_manifest(folder / "manifest.jsonl", records)
    return folder / "manifest.jsonl"


def record(
    path: Path, split: Split, people: Sequence[str], subjects: Sequence[str], shirt: str, place: str
) -> Record:
    """A clip of ``people``, with what there is to ask about each of ``subjects``."""
    presence = {name: name in people for name in subjects}
    qa: list[QA] = []
    for name, present in presence.items():
        answer = f"Yes, <{name}> is here." if present else f"No, <{name}> is not here."
        polarity = "yes" if present else "no"
        for question in (f"Is <{name}> here?", f"Do you see <{name}>?"):
            qa.append(QA(question, answer, "existence", polarity, (name,)))
        if present:
            shown = f"<{name}> is wearing {shirt}."
            qa.append(QA(f"What is <{name}> wearing?", shown, "appearance", None, (name,)))
            qa.append(QA(f"Where is <{name}>?", f"<{name}> is {place}.", "location", None, (name,)))
    return Record(
        id=path.stem,
        path=path,
        presence=presence,
        source_id=path.stem,
        background=place,
        clothes=shirt,
        origin="real" if any(presence.values()) else "negative",
        split=split,
        licence="CC0-1.0",
        consent="drawn",
        qa=tuple(qa),
    )


def make_chat(
    subjects: Sequence[str] = ("tom",),
    *,
    seed: int = 0,
    routed: AttentionFactory | None = REMOH,
    language_model: LanguageModel | None = None,
    views: Views | None = None,
    dropout: float = 0.0,
    width: int = 32,
    num_soft_tokens: int = 2,
    num_personal_query_tokens: int = 4,
    introduction: Introduction | None = None,
) -> VideoChat:
    """The model of ``tiny.yaml``; what is trained depends on ``seed``, the frozen base never does."""
    torch.manual_seed(seed)
    return VideoChat(
        subjects,
        views=views
        or ClipViews(encoder=RandomViT(width=32, image_px=28, grid=2), faces=DrawnFaces(), max_frames=4),
        qformer=partial(
            QFormer,
            width=width,
            num_layers=2,
            intermediate_width=2 * width,
            num_query_tokens=4,
            num_personal_query_tokens=num_personal_query_tokens,
            dense=partial(DenseAttention, num_heads=4),
            routed=routed,
            dropout=dropout,
        ),
        language_model=language_model
        or RandomLanguageModel(width=64, num_layers=2, lora=LoRA(rank=8, alpha=16, dropout=dropout)),
        num_soft_tokens=num_soft_tokens,
        introduction=introduction,
    )


def make_batch(
    chat: VideoChat, *asked: tuple[str, str] | str, frames: int = 2, types: Sequence[QuestionType] = ()
) -> Batch:
    """Questions, each with its answer if it has one, about clips of noise."""
    pairs = [(a, "") if isinstance(a, str) else a for a in asked]
    kinds = types or ["existence"] * len(pairs)
    examples = [
        Example(
            id=f"clip{n}#0",
            clip_id=f"clip{n}",
            question=question,
            answer=answer,
            type=kind,
            polarity=("yes" if answer.startswith("Yes") else "no") if kind == "existence" else None,
            subjects=mentions(question),
            presence=dict.fromkeys(chat.registry.names, answer.startswith("Yes")),
            origin="real",
        )
        for n, ((question, answer), kind) in enumerate(zip(pairs, kinds, strict=True))
    ]
    encoder = chat.views.encoder
    shapes = {
        "global": (encoder.boundary_tokens, encoder.width),
        "face": (encoder.boundary_tokens, encoder.width),
    }
    views = {n: torch.randn(len(pairs), frames, *s) for n, s in (shapes | {"identity": (1, 128)}).items()}
    masks = {name: torch.ones(len(pairs), frames, dtype=torch.bool) for name in views}
    person_mask = torch.tensor([chat.registry.person_mask(e.question) for e in examples])
    return Batch(examples, views, masks, person_mask)


class Scores(L.Callback):
    """Validation as if it had given ``values``, one after the other."""

    def __init__(self, values: Sequence[float], metric: str = "val/loss") -> None:
        self.left, self.metric, self.seen = list(values), metric, 0

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        pl_module.validation_step = lambda batch, batch_idx: None

    def on_validation_epoch_end(self, trainer: Any, pl_module: L.LightningModule) -> None:
        self.seen += 1
        pl_module.log(self.metric, self.left.pop(0))


def make_plan(image: int = 1, video: int = 1) -> StagePlan:
    """The paper's stages with fewer epochs."""
    plan = StagePlan()
    return StagePlan(
        Stage(image, 1, plan.image.question_types, plan.image.trainable),
        Stage(video, None, plan.video.question_types, plan.video.trainable),
    )


def make_module(
    subjects: Sequence[str] = ("tom",), *, chat: dict[str, Any] | None = None, **settings: Any
) -> PersonalizedVideoChat:
    """``chat`` are arguments of ``make_chat``, ``settings`` of PersonalizedVideoChat."""
    objective = Objective(
        language_modeling=AnswerCrossEntropy(),
        smooth_proximity=RoutingSparsity(initial=1e-4),
        head_activation=HeadActivation(),
    )
    defaults: dict[str, Any] = {"objective": objective, "warmup_steps": 2, "max_new_tokens": 8}
    return PersonalizedVideoChat(
        subjects=subjects, chat=partial(make_chat, **(chat or {})), **{**defaults, **settings}
    )


def make_data(
    manifest: Path, module: PersonalizedVideoChat, *, stages: StagePlan | None = None, **settings: Any
) -> PersonalizedDataModule:
    """A datamodule attached to ``module``; its cache is beside the manifest."""
    defaults = {"num_frames": 2, "cache_dir": str(manifest.parent / "cache")}
    source = ManifestSource(manifest, subjects=module.chat.registry.names)
    data = PersonalizedDataModule(source=source, stages=stages or make_plan(), **{**defaults, **settings})
    data.attach(module.chat.views.extractor, module.chat.registry)
    return data


def make_trainer(data: PersonalizedDataModule, *callbacks: L.Callback, **settings: Any) -> L.Trainer:
    """A quiet trainer for the stages of ``data``, with the callbacks that every run has."""
    defaults: dict[str, Any] = {
        "max_epochs": data.stages.epochs,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "num_sanity_val_steps": 0,
        "reload_dataloaders_every_n_epochs": 1,
        "gradient_clip_val": 1.0,
    }
    ours = [StageSchedule(data.stages), SparsityController(), *callbacks]
    return L.Trainer(callbacks=ours, **{**defaults, **settings})


def fit(
    module: PersonalizedVideoChat, data: PersonalizedDataModule, *callbacks: L.Callback, **settings: Any
) -> L.Trainer:
    trainer = make_trainer(data, *callbacks, **settings)
    trainer.fit(module, datamodule=data)
    return trainer


def run_once(manifest: Path, runs: Path) -> Path:
    """``pvchat fit`` (image stage only) and ``pvchat test`` with the config of ``tiny.yaml``."""
    data = (f"--data.source.path={manifest}", f"--data.cache_dir={manifest.parent / 'cache'}")
    short = ("--stages.video.epochs=0", "--checkpoint.every_n_steps=2", "--name=trained", f"--runs={runs}")
    assert cli.main(["fit", *CONFIG, *data, *short]) == 0
    run = find_run(runs / "trained")
    assert cli.main(["test", "--run", str(run)]) == 0
    return run


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the whole state, to compare with later."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def changed(before: Mapping[str, torch.Tensor], module: torch.nn.Module) -> set[str]:
    """Names of what is no longer bit-identical."""
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
