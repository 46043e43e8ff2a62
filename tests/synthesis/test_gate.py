"""Clips of drawn faces: a square is a face, its colour the person. A shade is a look; red is the subject."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from tiny import DrawnFaces

from pvchat.errors import UserError
from pvchat.faces import Vector
from pvchat.synthesis.gate import Calibration, IdentityGate, Tally, calibrate
from pvchat.synthesis.roles import Frames

RED, GREEN, BLUE = (250, 60, 60), (60, 250, 60), (70, 70, 250)
Square = tuple[int, int, int, tuple[int, int, int]]  # left, top, size, colour


def film(*frames: list[Square]) -> Frames:
    out = np.zeros((len(frames), 64, 96, 3), np.uint8)
    for t, squares in enumerate(frames):
        for left, top, size, colour in squares:
            out[t, top : top + size, left : left + size] = colour
    return out


def at(left: int, colour: tuple[int, int, int] = RED, size: int = 20) -> Square:
    return left, 10, size, colour


@pytest.fixture
def gate() -> IdentityGate:
    faces = DrawnFaces()
    frame = film([at(10)])
    reference = faces.embed(frame[0], faces.detect(frame)[0][0])
    return IdentityGate(
        references=[reference], calibration=Calibration(0.3, 0.01, "default", 0, 0), faces=faces
    )


class TestJudge:
    def test_the_subject(self, gate: IdentityGate) -> None:
        verdict = gate.judge(film(*([at(x)] for x in range(0, 40, 5))))
        assert (verdict.passed, verdict.distance, verdict.seen, verdict.people) == (True, 0, 1, 1)
        assert verdict.reason == "distance 0.00 is below 0.30."

    def test_somebody_else(self, gate: IdentityGate) -> None:
        verdict = gate.judge(film([at(0, GREEN)], [at(5, GREEN)]))
        assert not verdict.passed
        assert verdict.reason == "distance 1.15 is not below 0.30."

    def test_no_face(self, gate: IdentityGate) -> None:
        verdict = gate.judge(film([], [], []))
        assert (verdict.passed, verdict.distance, verdict.people) == (False, math.inf, 0)
        assert verdict.reason == "no face in any of 3 frames."
        assert not gate.judge_negative(film([], [])).passed

    def test_the_tracked_face_not_the_largest(self, gate: IdentityGate) -> None:
        """A larger face beside the subject neither hides nor replaces him."""
        verdict = gate.judge(film(*([at(x, size=14), at(60, GREEN, size=30)] for x in range(0, 20, 5))))
        assert verdict.passed
        assert (verdict.distance, verdict.people) == (0, 2)
        assert "the nearest of 2 people" in verdict.reason

    def test_two_people_are_not_mixed(self, gate: IdentityGate) -> None:
        """In each frame somebody looks like the subject, but nobody does so for long."""
        swapped = [[at(0), at(60, GREEN)], [at(0, GREEN), at(60)]] * 4
        blended = film(*swapped[:1], *[[at(0, GREEN), at(60, BLUE)]] * 7)
        assert not gate.judge(blended).passed
        assert gate.judge(blended).people == 2

    def test_people_who_look_alike_keep_their_places(self, gate: IdentityGate) -> None:
        """Either face could be either person by likeness: the nearer place decides, and nobody is two."""
        verdict = gate.judge(film(*[[at(0), at(60, (250, 160, 60))]] * 4))
        assert (verdict.passed, verdict.distance, verdict.people, verdict.seen) == (True, 0, 2, 1)

    def test_lost_for_half_of_the_clip(self, gate: IdentityGate) -> None:
        verdict = gate.judge(film(*[[at(0)]] * 4, *[[]] * 4))
        assert not verdict.passed
        assert (verdict.distance, verdict.seen) == (0, 0.5)
        assert verdict.reason == "the face is lost: seen in 4 of 8 frames, at least 5 must show it."
        assert gate.judge(film(*[[at(0)]] * 5, *[[]] * 3)).passed

    def test_who_turns_into_somebody_else(self, gate: IdentityGate) -> None:
        """One face that stays in its place is one person, whoever it looks like in the end."""
        green, red = [60, 110, 160, 210, 250, 250, 250, 250], [250] * 5 + [200, 150, 100]
        verdict = gate.judge(film(*([at(10, (r, g, 60))] for r, g in zip(red, green, strict=True))))
        assert (verdict.passed, verdict.people, verdict.seen) == (False, 1, 1)

    def test_a_jump_is_followed_by_likeness(self, gate: IdentityGate) -> None:
        verdict = gate.judge(film([at(0)], [at(60)], [at(0)], [at(70)]))
        assert (verdict.passed, verdict.people) == (True, 1)

    def test_long_clips_are_sampled_to_the_end(self, gate: IdentityGate) -> None:
        verdict = gate.judge(film(*[[at(0)]] * 40, *[[at(0, GREEN)]] * 60))
        assert not verdict.passed
        assert gate.judge(film(*[[at(0)]] * 60, *[[at(0, GREEN)]] * 40)).passed

    def test_a_photo(self, gate: IdentityGate) -> None:
        assert gate.judge(film([at(0)])).passed


def test_a_negative_must_not_pass_as_the_subject(gate: IdentityGate) -> None:
    assert gate.judge_negative(film(*[[at(0, GREEN)]] * 8)).passed
    verdict = gate.judge_negative(film(*[[at(0)]] * 8))
    assert not verdict.passed
    assert verdict.reason == "distance 0.00 is below 0.30."
    glimpse = film(*[[at(0, GREEN)]] * 7, [at(0, GREEN), at(60)])
    assert not gate.judge_negative(glimpse).passed
    assert not gate.judge(glimpse).passed  # nor is it a clip of the subject


class TestCalibrate:
    """References at 0, impostors on a line."""

    REFERENCES = (np.zeros(1, np.float32),)

    @staticmethod
    def looks(*places: float) -> list[list[Vector]]:
        return [[np.array([p], np.float32)] for p in places]

    def test_a_quantile_where_there_are_enough(self) -> None:
        impostors = self.looks(*np.linspace(0.4, 1.0, 199))
        found = calibrate(self.REFERENCES, impostors, far=0.05)
        assert (found.rule, found.impostors, found.left_out) == ("quantile", 199, 0)
        passing = np.mean([float(i[0][0]) < found.threshold for i in impostors])
        assert 0.04 < passing <= 0.05

    def test_a_new_impostor_passes_as_rarely_as_asked(self) -> None:
        rng, passed = np.random.default_rng(0), []
        for _ in range(2000):
            *known, new = rng.normal(0.5, 0.02, 100).tolist()
            passed.append(new < calibrate(self.REFERENCES, self.looks(*known), far=0.05).threshold)
        assert np.mean(passed) == pytest.approx(0.05, abs=0.012)

    def test_a_normal_distribution_where_there_are_few(self) -> None:
        places = [0.5, 0.52, 0.54, 0.56, 0.58, 0.6, 0.62, 0.64, 0.66, 0.68]
        found = calibrate(self.REFERENCES, self.looks(*places))
        assert found.rule == "normal"
        expected = NormalDist.from_samples(places).inv_cdf(0.01)
        assert found.threshold == pytest.approx(expected, abs=1e-6)

    def test_the_default_where_there_are_none(self) -> None:
        assert calibrate(self.REFERENCES, self.looks(0.9, 0.95)).rule == "default"
        assert calibrate(self.REFERENCES, []).threshold == 0.55

    def test_easy_impostors_do_not_open_the_gate(self) -> None:
        assert calibrate(self.REFERENCES, self.looks(*np.linspace(0.9, 1.2, 500))).threshold == 0.6

    def test_the_subject_among_the_impostors_is_left_out(self) -> None:
        others = self.looks(*np.linspace(0.5, 1.0, 200))
        found = calibrate(self.REFERENCES, [*others, *self.looks(0.0, 0.1, 0.3)])
        assert found.left_out == 3
        assert found.threshold == calibrate(self.REFERENCES, others).threshold

    def test_the_nearest_photo_of_a_person_counts_and_faceless_ones_do_not(self) -> None:
        person = [np.array([p], np.float32) for p in (0.9, 0.5, 0.7)]
        found = calibrate(self.REFERENCES, [person] * 99 + [[]])
        assert found.impostors == 99
        assert found.threshold == pytest.approx(0.5)

    @pytest.mark.parametrize("far", [0, 1, 5])
    def test_a_share_that_is_none(self, far: float) -> None:
        with pytest.raises(UserError, match=rf"must be in \(0, 1\): got {far}"):
            calibrate(self.REFERENCES, [], far=far)

    def test_no_reference(self) -> None:
        with pytest.raises(UserError, match="needs at least one reference with a face: got none"):
            IdentityGate.calibrated([], [], faces=DrawnFaces())


def test_tally(gate: IdentityGate) -> None:
    tally = Tally()
    for squares in ([at(0)], [at(0, GREEN)], []):
        tally.count("warp", gate.judge(film(squares)))
    tally.count("consisid", gate.judge(film([at(0)])))
    assert tally.rejected("warp") == pytest.approx(2 / 3)
    assert str(tally) == "warp: 2 of 3 clips rejected\nconsisid: 0 of 1 clips rejected"
