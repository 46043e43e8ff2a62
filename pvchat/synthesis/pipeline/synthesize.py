"""The stages of ``pvchat synthesize``: faces, other people, clips, questions, report."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pvchat import __version__
from pvchat.datamodules.manifest import Record, Split
from pvchat.datamodules.video import clip_times, content_hash, decode, is_photo
from pvchat.errors import UserError, writing
from pvchat.faces import SAME_PERSON, FaceAnalyzer
from pvchat.synthesis.animation.face_mesh import FaceMesh
from pvchat.synthesis.attributes import Attributes, read_attributes
from pvchat.synthesis.executors import LocalExecutor
from pvchat.synthesis.gate import IdentityGate, calibrate
from pvchat.synthesis.likeness import Look, distance
from pvchat.synthesis.pipeline.casts import SHARES, casts_of, split_own, split_people
from pvchat.synthesis.pipeline.filming import Camera, film
from pvchat.synthesis.pipeline.finishing import MANIFEST, Corpus, finish, record_of
from pvchat.synthesis.pipeline.folder import FACES, RAW, corpus_folder
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.pipeline.overview import STATISTICS
from pvchat.synthesis.pipeline.recipe import Part, Recipe
from pvchat.synthesis.pipeline.subject_request import SubjectRequest
from pvchat.synthesis.pipeline.takes import SPLITS, Cast, plan_takes
from pvchat.synthesis.questions.witnesses import CaptionedClip, Facts, FirstOf, Witness
from pvchat.synthesis.reference_faces import FoundFaces, find_faces, reference_files
from pvchat.synthesis.rewriting import RuleRewriter
from pvchat.synthesis.roles import Executor
from pvchat.synthesis.splits import Shared
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.writing import whole, write_photo

STAGES = ("faces", "other people", "clips", "questions and report")


@dataclass(frozen=True)
class _Known:
    """What the first stage found of a subject."""

    request: SubjectRequest
    files: list[Path]
    faces: FoundFaces

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
    files = {s.name: _each_once(reference_files(s.reference)) for s in subjects}
    request = _request(subjects, files, config, seed, allow, places)
    with corpus_folder(out, request, config), writing(out):
        if (out / MANIFEST).is_file() and (out / STATISTICS).is_file():
            numbers = json.loads((out / STATISTICS).read_text(encoding="utf-8"))
            print(f"{out} is complete: {numbers['clips']} clips, {numbers['questions']} questions.")
            return out / MANIFEST
        recipe.check()
        corpus = Corpus(tuple(s.name for s in subjects))
        faces, mesh = FaceAnalyzer(), FaceMesh()
        _stage(0, "finding and judging faces of the reference")
        known = [_known(s, files[s.name], faces, mesh, recipe, out, corpus) for s in subjects]
        _check_apart(known)
        _stage(1, "who the subjects must not be mistaken for")
        own = [actor for k in known for actor in _actors(k)]
        others = recipe.others.find(own, [v for k in known for v in k.looks], seed=seed)
        corpus.notes += others.notes
        _stage(2, "each scene with the subjects and with others")
        casts = _casts(known, others, recipe, allow, corpus)
        _film_parts(recipe, known, others, casts, corpus, out, seed, executor or LocalExecutor(), faces)
        _add_references(recipe, known, corpus, out)
        if recipe.real_negatives:
            _add_real_negatives(others, casts, corpus, out)
        _stage(3, "questions, answers, leak check, contact sheet")
        manifest = finish(corpus, out, plan=recipe.questions, seed=seed, allow=allow)
        return manifest


def _known(
    subject: SubjectRequest,
    files: list[Path],
    faces: FaceAnalyzer,
    mesh: FaceMesh,
    recipe: Recipe,
    out: Path,
    corpus: Corpus,
) -> _Known:
    """The best faces of a subject, also written down."""
    with tqdm(desc=subject.name, unit="frame") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = find_faces(
            files,
            faces=faces,
            mesh=mesh,
            face=subject.face,
            like=subject.like,
            count=recipe.faces,
            max_frames=recipe.frames,
            progress=progress,
        )
    folder = out / FACES / subject.name
    for number, kept in enumerate(found.kept):
        write_photo(folder / f"{number:02d}.png", kept.frame)
    written = [
        {
            "file": f"{number:02d}.png",
            "source": kept.source_id,
            "score": round(kept.quality.score, 3),
            "embedding": [round(float(v), 6) for v in kept.embedding],
        }
        for number, kept in enumerate(found.kept)
    ]
    with whole(folder / "faces.json") as temporary:
        temporary.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    corpus.rejects += [replace(r, name=f"{subject.name}: {r.name}") for r in found.rejected]
    corpus.notes += found.notes
    print(f"{subject.name}: {len(found.kept)} faces kept, {len(found.rejected)} not", flush=True)
    return _Known(subject, files, found)


def _each_once(files: Sequence[Path]) -> list[Path]:
    """``files`` without copies: one would be trained on and the other tested."""
    return list({content_hash(file): file for file in reversed(files)}.values())[::-1]


def _check_apart(known: Sequence[_Known]) -> None:
    """Raises UserError where two subjects are one person."""
    for one, two in combinations(known, 2):
        if (away := distance(one.looks, two.looks)) < SAME_PERSON:
            raise UserError(
                f"subjects are different people: {one.request.name!r} and {two.request.name!r} look the same "
                f"(distance {away:.2f}, two people are above {SAME_PERSON:g}). Say who is meant with --face "
                "or --like, or give one subject all files."
            )


def _actors(known: _Known) -> list[Actor]:
    request = known.request
    return [
        Actor(request.name, kept.source_id, kept.frame, request.licence, request.consent)
        for kept in known.faces.kept
    ]


def _casts(
    known: Sequence[_Known], others: Others, recipe: Recipe, allow: Collection[Shared], corpus: Corpus
) -> dict[Split, Cast[Actor]]:
    used = [split for split in SPLITS if any(getattr(part.scenes, split) for part in recipe.parts)]
    subjects: dict[str, Mapping[Split, Sequence[Actor]]] = {}
    for k in known:
        at = {kept.source_id: _at(kept.source, kept.time_s, k.files) for kept in k.faces.kept}
        own = split_own([(actor, at[actor.source_id] if "test" in used else 0.0) for actor in _actors(k)])
        if "test" not in own and "source" in allow:
            own["test"] = own["train"]
        elif "test" not in own and "test" in used:
            corpus.notes.append(
                f"{k.request.name} has good faces in one part of the reference only, so there are no test "
                "clips: a test needs pictures that training has not seen. Give more photos, or --allow "
                "source."
            )
        subjects[k.request.name] = own
    return casts_of(subjects, _flat(others.strangers, used), _flat(others.lookalikes, used))


def _flat(people: Sequence[Sequence[Actor]], splits: Collection[Split]) -> dict[Split, list[Actor]]:
    dealt = split_people(people, splits)
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
    casts: dict[Split, Cast[Actor]],
    corpus: Corpus,
    out: Path,
    seed: int,
    executor: Executor,
    faces: FaceAnalyzer,
) -> None:
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
    total = sum(s.scenes * (len(known) + s.strangers + s.lookalikes) for size in sizes for s in size.values())
    with tqdm(total=total, desc="clips", unit="clip") as bar:
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            camera = Camera(studio=part.studio, folder=out, gates=gates)
            splits = [split for split in casts if size[split].scenes]
            plan = plan_takes(part.studio, casts, size, seed=seed + 1000 * number, prefix=part.name)
            filmed = film(plan, splits, camera=camera, executor=executor, done=bar.update)
            corpus.lost += filmed.lost
            for clip in filmed.kept:
                record = record_of(clip, part.studio, corpus.subjects)
                corpus.records.append(record)
                if part.open_questions:
                    witness = _witness(part, recipe, record, clip.take.scene)
                    corpus.witnesses[record.id] = {clip.take.subject: witness} if witness else {}


def _witness(part: Part, recipe: Recipe, record: Record, scene: Any) -> Witness | None:
    """Who answers questions about a clip: what was commanded, and of the rest what a captioner sees; of a
    generated clip it sees all, since generators may not obey."""
    facts: Facts | None = part.studio.tell(scene).facts
    captioned = _captioned(recipe, record)
    if facts is None or captioned is None:
        return captioned or facts
    return captioned if part.studio.origin == "generated" else FirstOf((facts, captioned))


def _captioned(recipe: Recipe, record: Record) -> Witness | None:
    if recipe.captioner is None:
        return None
    frames = decode(record.path, num_frames=8, start_s=record.start_s, end_s=record.end_s).frames
    return CaptionedClip(frames, recipe.captioner, recipe.rewriter or RuleRewriter())


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


def _add_references(recipe: Recipe, known: Sequence[_Known], corpus: Corpus, out: Path) -> None:
    """The references themselves: to train on, and to test on the part that training does not show."""
    shown: dict[str, set[str]] = {}
    for k in known:
        for file in k.files:
            shown.setdefault(content_hash(file), set()).add(k.request.name)
    done: set[str] = set()
    for k in known:
        for number, file in enumerate(k.files):
            content = content_hash(file)
            ranges = [] if content in done else list(_ranges(recipe, file, number, k.files))
            done.add(content)
            for split, start, end in ranges:
                record = Record(
                    id=f"{split}-{k.request.name}-{number:02d}",
                    path=_kept_copy(file, out / RAW / f"{content[:12]}{file.suffix.lower()}"),
                    start_s=start,
                    end_s=end,
                    presence={o.request.name: o.request.name in shown[content] for o in known},
                    source_id=f"{file.name}@{0 if start is None else start:.1f}s",
                    origin="real",
                    split=split,
                    licence=k.request.licence,
                    consent=k.request.consent,
                )
                corpus.records.append(record)
                witness = _captioned(recipe, record)
                if witness is not None and len(shown[content]) == 1:
                    corpus.witnesses[record.id] = {k.request.name: witness}


def _add_real_negatives(
    others: Others, casts: Mapping[Split, Cast[Actor]], corpus: Corpus, out: Path
) -> None:
    """For each reference somebody else as they were filmed or photographed, as long as there are any."""
    real = Counter(record.split for record in corpus.records if record.origin == "real")
    pairs: tuple[tuple[Split, Split], ...] = (("train", "reference"), ("test", "test"))
    for split, shown in pairs:
        there = casts[split].strangers if split in casts else ()
        people = {a.person: a for a in there if a.person in others.originals}
        for n, actor in enumerate(list(people.values())[: real[shown]]):
            file = others.originals[actor.person]
            corpus.records.append(
                Record(
                    id=f"{split}-other-{n:02d}",
                    path=_kept_copy(file, out / RAW / f"{content_hash(file)[:12]}{file.suffix.lower()}"),
                    presence=dict.fromkeys(corpus.subjects, False),
                    source_id=actor.source_id,
                    origin="negative",
                    split=split,
                    licence=actor.licence,
                    consent=actor.consent,
                )
            )


def _ranges(
    recipe: Recipe, file: Path, number: int, files: Sequence[Path]
) -> Iterator[tuple[Split, float | None, float | None]]:
    """Split and seconds of each part of a reference that is in the corpus."""
    if recipe.references == "whole" or (recipe.references == "split" and is_photo(file) and len(files) == 1):
        yield "reference", None, None
    elif recipe.references == "split" and len(files) > 1:
        at = (number + 0.5) / len(files)
        split = next(split for split, end in SHARES if at < end)
        if split != "validation":
            yield ("reference" if split == "train" else split), None, None
    elif recipe.references == "split":
        seconds = float(clip_times(file)[-1])
        yield "reference", 0.0, SHARES[0][1] * seconds
        yield "test", SHARES[1][1] * seconds, None


def _kept_copy(file: Path, path: Path) -> Path:
    """A copy of ``file`` as ``path``, made once."""
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


def _stage(number: int, text: str) -> None:
    print(f"\n[{number + 1}/{len(STAGES)}] {STAGES[number].capitalize()}: {text}", flush=True)
