"""The stages of ``pvchat synthesize``: faces, other people, clips, questions, report."""

import argparse
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pvchat import __version__
from pvchat.datamodules.manifest import Record, Split, read_manifest
from pvchat.datamodules.video import clip_times, content_hash, decode, is_photo
from pvchat.errors import UserError, writing
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.attributes import Attributes, read_attributes
from pvchat.synthesis.contact_sheet import Reject
from pvchat.synthesis.executors import LocalExecutor, ProcessExecutor
from pvchat.synthesis.gate import IdentityGate, calibrate
from pvchat.synthesis.licences import check_commercial
from pvchat.synthesis.likeness import Look
from pvchat.synthesis.pipeline.casts import SHARES, casts_of, split_own, split_people
from pvchat.synthesis.pipeline.filming import Camera, film
from pvchat.synthesis.pipeline.finishing import MANIFEST, STATISTICS, Corpus, finish, record_of, summary
from pvchat.synthesis.pipeline.folder import corpus_folder
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.pipeline.recipe import Part, Recipe, load_recipe
from pvchat.synthesis.pipeline.request import SubjectRequest
from pvchat.synthesis.pipeline.takes import Cast, plan_takes
from pvchat.synthesis.questions.witnesses import CaptionedClip, Witness
from pvchat.synthesis.reference_faces import ReferenceFaces, find_faces, reference_files
from pvchat.synthesis.rewriting import RuleRewriter
from pvchat.synthesis.roles import Executor
from pvchat.synthesis.splits import Shared
from pvchat.synthesis.studio import Actor
from pvchat.synthesis.writing import write_photo

FACES, RAW = "faces", "raw"
STAGES = ("faces", "other people", "clips", "questions and report")


def synthesize_command(options: argparse.Namespace) -> None:
    """Make the corpus that ``options`` ask for. Raises UserError."""
    recipe, config = load_recipe(options.config, _overrides(options))
    if options.print_config:
        print(config, end="")
        return
    if options.places:
        recipe = _in_places(recipe, options.places)
    if options.commercial:
        check_commercial(recipe.adapters)
    executor = LocalExecutor() if options.workers == 1 else ProcessExecutor(options.workers)
    synthesize(
        options.subjects,
        recipe,
        out=Path(options.out),
        config=config,
        seed=options.seed,
        allow=options.allow,
        places=options.places,
        executor=executor,
    )


@dataclass(frozen=True)
class _Known:
    """What the first stage found of a subject."""

    request: SubjectRequest
    files: list[Path]
    faces: ReferenceFaces

    @property
    def looks(self) -> Look:
        return [face.embedding for face in self.faces.kept]


def synthesize(
    subjects: Sequence[SubjectRequest],
    recipe: Recipe,
    *,
    out: Path,
    config: str = "",
    seed: int = 0,
    allow: Collection[Shared] = (),
    places: str | None = None,
    executor: Executor | None = None,
) -> Path:
    """Make the corpus of ``subjects`` in ``out`` and return its manifest; clips that are there are kept.
    Raises UserError for a request that cannot be met."""
    recipe.others.check()
    files = {s.name: reference_files(s.reference) for s in subjects}
    request = _request(subjects, files, config, seed, allow, places)
    with corpus_folder(out, request, config), writing(out):
        if (out / MANIFEST).is_file() and (out / STATISTICS).is_file():
            numbers = json.loads((out / STATISTICS).read_text(encoding="utf-8"))
            print(f"{out} is complete: {numbers['clips']} clips, {numbers['questions']} questions.")
            return out / MANIFEST
        corpus = Corpus(tuple(s.name for s in subjects))
        faces = FaceAnalyzer()
        _stage(0, "finding and judging faces of the reference")
        known = [_known(s, files[s.name], faces, recipe.faces, out, corpus) for s in subjects]
        _stage(1, "who the subjects must not be mistaken for")
        own = [actor for k in known for actor in _actors(k)]
        others = recipe.others.find(own, [v for k in known for v in k.looks], seed=seed)
        corpus.notes += others.notes
        _stage(2, "each scene with the subjects and with others")
        _film_parts(recipe, known, others, corpus, out, seed, executor or LocalExecutor(), faces, allow)
        if recipe.reference_clips:
            corpus.records += _reference_records(known, out, allow)
        _stage(3, "questions, answers, leak check, contact sheet")
        manifest = finish(corpus, out, plan=recipe.questions, seed=seed, allow=allow)
        numbers = json.loads((out / STATISTICS).read_text(encoding="utf-8"))
        print(f"\n{summary(corpus, read_manifest(manifest), numbers)}")
        print(f"\nCorpus: {manifest}\nLook at it: {out / 'contact_sheet.html'}")
        return manifest


def _known(
    subject: SubjectRequest,
    files: list[Path],
    faces: FaceAnalyzer,
    count: int,
    out: Path,
    corpus: Corpus,
) -> _Known:
    """The best faces of a subject, also written down."""
    found = find_faces(
        files, name=subject.name, faces=faces, face=subject.face, like=subject.like, count=count
    )
    folder = out / FACES / subject.name
    for number, kept in enumerate(found.kept):
        write_photo(folder / f"{number:02d}.png", kept.frame)
    corpus.rejects += [
        Reject(f"{subject.name}: {r.source_id}", "; ".join(r.reasons), r.frame[None]) for r in found.rejected
    ]
    corpus.notes += found.notes
    print(f"{subject.name}: {len(found.kept)} faces kept, {len(found.rejected)} not", flush=True)
    return _Known(subject, files, found)


def _actors(known: _Known) -> list[Actor]:
    request = known.request
    return [
        Actor(request.name, kept.source_id, kept.frame, request.licence, request.consent)
        for kept in known.faces.kept
    ]


def _casts(
    known: Sequence[_Known], others: Others, allow: Collection[Shared], corpus: Corpus
) -> dict[Split, Cast[Actor]]:
    subjects: dict[str, Mapping[Split, Sequence[Actor]]] = {}
    for k in known:
        at = {kept.source_id: _at(kept.file, kept.time_s, k.files) for kept in k.faces.kept}
        own = split_own(_actors(k), lambda actor: at[actor.source_id])
        if "test" not in own and "source" in allow:
            own["test"] = own["train"]
        elif "test" not in own:
            corpus.notes.append(
                f"{k.request.name} is known from one moment only, so there are no test clips: a test needs "
                "pictures that training has not seen. Give more photos, or --allow source."
            )
        subjects[k.request.name] = own
    return casts_of(subjects, _flat(others.strangers), _flat(others.lookalikes))


def _flat(people: Sequence[Sequence[Actor]]) -> dict[Split, list[Actor]]:
    dealt = split_people(people)
    return {split: [actor for person in group for actor in person] for split, group in dealt.items()}


def _at(file: Path, time_s: float, files: Sequence[Path]) -> float:
    """Where a picture lies in the reference, 0..1: in time for one recording, else by its file."""
    if len(files) > 1:
        return (files.index(file) + 0.5) / len(files)
    return 0.0 if is_photo(file) else time_s / max(float(clip_times(file)[-1]), 1e-6)


def _film_parts(
    recipe: Recipe,
    known: Sequence[_Known],
    others: Others,
    corpus: Corpus,
    out: Path,
    seed: int,
    executor: Executor,
    faces: FaceAnalyzer,
    allow: Collection[Shared],
) -> None:
    casts = _casts(known, others, allow, corpus)
    gates = {
        k.request.name: IdentityGate(
            references=k.looks,
            calibration=calibrate(k.looks, others.impostors, far=recipe.gate.far),
            faces=faces,
            num_frames=recipe.gate.num_frames,
        )
        for k in known
    }
    parts = [_directed(part, known, recipe) for part in recipe.parts]
    sizes = [part.sizes(casts) for part in parts]
    total = sum(
        s.scenes * (len(known) + s.strangers + s.lookalikes) for size in sizes for s in size.values()
    )
    with tqdm(total=total, desc="clips", unit="clip") as bar:
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            camera = Camera(studio=part.studio, folder=out, gates=gates)
            splits = [split for split in casts if size[split].scenes]
            plan = plan_takes(part.studio, casts, size, seed=seed + 1000 * number, prefix=part.name)
            filmed = film(plan, splits, camera=camera, executor=executor, done=bar.update)
            corpus.clips += filmed.kept
            corpus.rejected += filmed.rejected
            corpus.lost += filmed.lost
            for clip in filmed.kept:
                record = record_of(clip, part.studio, corpus.subjects)
                corpus.records.append(record)
                if part.open_questions:
                    witness = _witness(part, recipe, record, clip.take.scene)
                    corpus.witnesses[record.id] = {clip.take.subject: witness} if witness else {}


def _witness(part: Part, recipe: Recipe, record: Record, scene: Any) -> Witness | None:
    """Who answers questions about a clip: what was commanded, or for generated ones what a captioner sees."""
    if part.studio.origin == "generated" and recipe.captioner is not None:
        frames = decode(record.path, num_frames=8).frames
        return CaptionedClip(frames, recipe.captioner, recipe.rewriter or RuleRewriter())
    return part.studio.tell(scene).facts


def _directed(part: Part, known: Sequence[_Known], recipe: Recipe) -> Part:
    """``part`` for the gender and age of the subjects, where its scenes depend on them."""
    direct = getattr(part.studio, "directed", None)
    if direct is None:
        return part
    found: dict[str, Attributes] = {
        k.request.name: read_attributes(
            recipe.captioner,
            k.faces.kept[0].frame[None],
            gender=k.request.gender,  # type: ignore[arg-type]
            age_group=k.request.age,  # type: ignore[arg-type]
        )
        for k in known
    }
    if len(set(found.values())) > 1:
        raise UserError(
            "subjects who share prompts must be of one gender and age group: got "
            f"{', '.join(f'{name} {a.gender} {a.age_group}' for name, a in found.items())}. "
            "Make a corpus for each."
        )
    return replace(part, studio=direct(next(iter(found.values()))))


def _reference_records(known: Sequence[_Known], out: Path, allow: Collection[Shared]) -> list[Record]:
    """The references themselves: to train on, and to test on the part that training does not show."""
    shown: dict[str, set[str]] = {}
    for k in known:
        for file in k.files:
            shown.setdefault(content_hash(file), set()).add(k.request.name)
    records = []
    done: set[str] = set()
    for k in known:
        for number, file in enumerate(k.files):
            if (content := content_hash(file)) in done:
                continue
            done.add(content)
            path = _kept_copy(file, out / RAW / f"{content[:12]}{file.suffix.lower()}")
            for split, start, end in _ranges(file, number, k.files):
                records.append(
                    Record(
                        id=f"{split}-{k.request.name}-{number:02d}",
                        path=path,
                        start_s=start,
                        end_s=end,
                        presence={other.request.name: other.request.name in shown[content] for other in known},
                        source_id=f"{file.stem}@{0 if start is None else start:.1f}s",
                        origin="real",
                        split=split,
                        licence=k.request.licence,
                        consent=k.request.consent,
                    )
                )
    return records


def _ranges(file: Path, number: int, files: Sequence[Path]) -> list[tuple[Split, float | None, float | None]]:
    if len(files) > 1:
        at = (number + 0.5) / len(files)
        split = next(split for split, end in SHARES if at < end)
        return [] if split == "validation" else [("reference" if split == "train" else "test", None, None)]
    if is_photo(file):
        return [("reference", None, None)]
    seconds = float(clip_times(file)[-1])
    return [("reference", 0.0, SHARES[0][1] * seconds), ("test", SHARES[1][1] * seconds, None)]


def _kept_copy(file: Path, path: Path) -> Path:
    """A link to ``file`` where the disk can, else a copy."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        shutil.copyfile(file, partial)
        os.replace(partial, path)
    return path


def _request(
    subjects: Sequence[SubjectRequest],
    files: Mapping[str, Sequence[Path]],
    config: str,
    seed: int,
    allow: Collection[Shared],
    places: str | None,
) -> dict[str, Any]:
    """All that another corpus would come out of."""
    return {
        "version": __version__,
        "subjects": [
            {
                **{k: v for k, v in vars(s).items() if k not in ("reference", "like")},
                "files": [content_hash(f) for f in files[s.name]],
                "like": [content_hash(f) for f in reference_files(s.like)] if s.like else [],
            }
            for s in subjects
        ],
        "config": config,
        "seed": seed,
        "allow": sorted(allow),
        "places": places,
    }


def _overrides(options: argparse.Namespace) -> list[str]:
    more = list(options.more)
    if options.gallery:
        more += [
            "--others=pvchat.synthesis.pipeline.gallery_people.GalleryPeople",
            f"--others.init_args.folder={Path(options.gallery).absolute()}",
        ]
    return more


def _in_places(recipe: Recipe, folder: str) -> Recipe:
    """``recipe`` with the user's own places where its studios show any."""
    parts = [
        replace(part, studio=move(folder)) if (move := getattr(part.studio, "in_places", None)) else part
        for part in recipe.parts
    ]
    return replace(recipe, parts=parts)


def _stage(number: int, text: str) -> None:
    print(f"\n[{number + 1}/{len(STAGES)}] {STAGES[number].capitalize()}: {text}", flush=True)
