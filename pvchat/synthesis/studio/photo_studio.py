"""The default generator of positives and negatives: moves the person of a photo and films them in a scene."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from pvchat.datamodules.manifest import Origin, Split
from pvchat.errors import UserError
from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.animation.recent import Recent
from pvchat.synthesis.composer import opening_of
from pvchat.synthesis.light import Light
from pvchat.synthesis.photos import photo_hash
from pvchat.synthesis.pipeline.takes import Studio, Told
from pvchat.synthesis.questions.witnesses import Facts, with_article
from pvchat.synthesis.roles import Adapter, Made
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.camera import SLACK, camera_path, seen
from pvchat.synthesis.studio.dressing import dressed
from pvchat.synthesis.studio.places import DrawnPlaces, FolderPlaces, Places
from pvchat.synthesis.studio.preparation import Prepared, prepare
from pvchat.synthesis.studio.scenes import HEAD, HEIGHTS, Scene, Treatment, framings, plan_scenes
from pvchat.synthesis.studio.stage import Stage
from pvchat.synthesis.wardrobe import COLOURS, Clothes, Opening

VERSION = "2"
_KEPT = 32  # prepared photos: scenes are matched and shot with each of their cast in turn
_ENLARGED = 1.3  # most that the least sharp of a cast is enlarged, where a smaller head is in the deck
_SHADOW = 0.28  # of the person on the place behind


class PhotoStudio(Studio[Actor, Scene]):
    """Films ``Actor``s in ``Scene``s at ``fps``, ``size_px`` square: the cast first gets one treatment
    (``match``), then each is shot. Same scene, same bytes."""

    origin: Origin = "warp"

    def __init__(
        self,
        *,
        animator: WarpAnimator | None = None,
        places: Places | None = None,
        size_px: int = 256,
        num_frames: int = 16,
        fps: float = 8.0,
    ) -> None:
        if size_px < 64 or size_px % 2 or num_frames < 1 or not 0 < fps <= 120:
            raise UserError(
                "a studio needs an even size_px >= 64, num_frames >= 1 and fps in (0, 120]: got "
                f"{size_px}, {num_frames} and {fps}."
            )
        self._animator = animator or WarpAnimator()
        self._places = places or DrawnPlaces()
        self._size_px, self._num_frames, self._fps = size_px, num_frames, fps
        inner = (self._animator.adapter.fingerprint, self._places.fingerprint)
        settings = repr((VERSION, *inner, size_px, num_frames, fps))
        fingerprint = hashlib.sha256(settings.encode()).hexdigest()[:16]
        self.adapter = Adapter("photo-studio", VERSION, "Apache-2.0", True, fingerprint)
        self.motions = tuple(self._animator.library.motions)
        self.places = self._places.names
        self.colours = tuple(COLOURS)
        self._prepared: Recent[Prepared] = Recent(_KEPT)

    def in_places(self, folder: str) -> "PhotoStudio":
        """The same studio in front of the pictures and clips of ``folder``. Raises UserError."""
        return PhotoStudio(
            animator=self._animator,
            places=FolderPlaces(folder),
            size_px=self._size_px,
            num_frames=self._num_frames,
            fps=self._fps,
        )

    def plan(self, rng: np.random.Generator, split: Split) -> Iterator[Scene]:
        """Endless scenes. A picture that lies behind the test lies behind no other split: drawn places are
        drawn anew, of a user's every third is kept for the test."""
        places = self.places
        if not self._places.drawn:
            places = tuple(p for n, p in enumerate(places) if (n % 3 == 1) == (split == "test"))
        if not places:
            raise UserError(
                f"a test needs places of its own: there is only {self.places[0]!r}. Add pictures."
            )
        return plan_scenes(rng, places, self.colours, self.motions)

    def tell(self, scene: Scene) -> Told:
        """What is seen in a matched ``scene``, as the manifest spells it."""
        behind = f"{scene.place}/{scene.seed:08x}" if self._places.drawn else scene.place
        return Told(behind, str(scene.clothes), scene.motion, self.facts(scene))

    def match(self, scene: Scene, cast: Sequence[Actor]) -> Scene:
        """``scene`` with one treatment for all of ``cast``: their own clothes if all photos show enough of
        them, otherwise drawn ones, with a hood if a head is cut off by the edge of its photo; as unsharp as
        the least sharp; grey if one is grey. Otherwise that would tell who is who. Raises UserError for a
        photo that cannot be animated."""
        if scene.clothes.colour not in COLOURS:
            raise UserError(f"clothes must be {', '.join(COLOURS)}: got {scene.clothes.colour!r}.")
        everybody = [self._prepare(actor) for actor in cast]
        opening = None
        for portrait in (p.portrait for p in everybody):
            if portrait.tight:
                opening = (opening or Opening()).within(opening_of(portrait))
        detail = min(p.head.unit for p in everybody)
        wanted = framings(scene.seed)
        sharp = [f for f in wanted if f.unit * self._size_px <= _ENLARGED * detail]
        wanted = sharp or [min(wanted, key=lambda f: f.unit)]
        fitting = (f for f in wanted if opening is None and all(p.fills(f, SLACK) for p in everybody))
        framing = next(fitting, None)
        treatment = Treatment(
            framing=framing or wanted[0],
            own_clothes=framing is not None,
            detail=detail,
            grey=any(p.portrait.grey for p in everybody),
            opening=opening,
        )
        hooded = scene.clothes if opening is None else Clothes(scene.clothes.colour, "hoodie")
        return replace(scene, clothes=hooded, treatment=treatment)

    def shoot(self, actor: Actor, scene: Scene) -> Made:
        """A clip of ``actor`` in a ``scene`` that was matched to its cast. Raises UserError for a photo that
        cannot be animated, and for an unknown place or motion."""
        treatment = _treatment(scene)
        prepared = self._prepare(actor)
        rng = np.random.default_rng([scene.seed, 1])
        stage = Stage(self._size_px, treatment.framing)
        plates = self._places.plates(
            scene.place, seed=scene.seed, num_frames=self._num_frames, fps=self._fps, size_px=stage.width_px
        )
        light = Light(rng, plates[0])
        path = camera_path(scene.camera, rng, num_frames=self._num_frames, fps=self._fps)
        noise = rng.normal(0, 1.6, (self._size_px, self._size_px, 3)).astype(np.float32)
        subject, skin = dressed(prepared, treatment, scene.clothes.colour, light)
        curves = self._animator.library.curves(
            scene.motion, seed=scene.seed, num_frames=self._num_frames, fps=self._fps
        )
        moved = self._animator.move(subject, curves, seed=scene.seed, command=scene.motion)
        if not treatment.own_clothes:
            stage.dress(scene.clothes, skin, treatment.opening, light)
        frames = []
        for i, at in enumerate(path):
            head = np.dstack([moved.foreground[i], moved.alpha[i]])
            person = stage.person(head, prepared.head, float(moved.curves["roll"][i]))
            person = seen(person, at, size_px=self._size_px)
            plate = Image.fromarray(plates[i % len(plates)])
            plate = _shaded(seen(plate, at, size_px=self._size_px, far=True), person)
            plate.paste(person, mask=person.getchannel("A"))
            frames.append(light.finish(np.asarray(plate), np.roll(noise, 37 * i, (0, 1))))
        source = photo_hash(actor.photo)
        return Made(np.stack(frames), self._fps, self.adapter, scene.seed, self._command(scene), (source,))

    def facts(self, scene: Scene) -> Facts:
        """What is seen in a matched ``scene``."""
        worn = f"{scene.clothes.colour} top" if _treatment(scene).own_clothes else str(scene.clothes)
        doing = self._animator.library.motions[scene.motion].doing
        return Facts(with_article(worn), doing, self._places.phrase(scene.place))

    def _command(self, scene: Scene) -> str:
        facts = self.facts(scene)
        return f"{facts.doing}, {facts.clothes}, {facts.place}; camera: {scene.camera}"

    def _prepare(self, actor: Actor) -> Prepared:
        unit_px = 1.1 * HEIGHTS[1] / HEAD * self._size_px
        return self._prepared.get(
            photo_hash(actor.photo), lambda: prepare(actor, self._animator, unit_px=unit_px)
        )


def _treatment(scene: Scene) -> Treatment:
    if scene.treatment is None:
        raise UserError("a scene must be matched to its cast before it is shot: see PhotoStudio.match.")
    return scene.treatment


def _shaded(plate: Image.Image, person: Image.Image) -> Image.Image:
    """``plate`` a little darker around ``person``."""
    alpha = person.getchannel("A").resize((64, 64), Image.Resampling.BOX)
    shadow = alpha.filter(ImageFilter.GaussianBlur(3)).resize(plate.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", plate.size), plate, shadow.point(lambda a: round(_SHADOW * a)))
