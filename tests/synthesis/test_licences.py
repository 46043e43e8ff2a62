import pytest

from pvchat.errors import UserError
from pvchat.synthesis.licences import check_commercial
from pvchat.synthesis.roles import Adapter

WARP = Adapter("warp", "1", "Apache-2.0", True, "abc")
FACES = Adapter("insightface buffalo_l", "0.7", "for research only", False, "def")
POINTS = Adapter("dlib-68", "1", "data for non-commercial use", False, "ghi")
OTHER = Adapter("some generator", "1", "CC BY-NC 4.0", False, "jkl")


def test_what_allows_it_passes() -> None:
    check_commercial([WARP, WARP])
    check_commercial([])


def test_all_that_forbid_it_are_named_once_with_what_to_use_instead() -> None:
    with pytest.raises(UserError) as refused:
        check_commercial([WARP, FACES, POINTS, FACES, OTHER])
    assert str(refused.value) == (
        "a commercial corpus needs parts whose licence allows that: insightface buffalo_l "
        "(for research only): use MTCNN and the embedded face embedding instead; dlib-68 "
        "(data for non-commercial use): use MTCNN's five landmarks instead; some generator (CC BY-NC 4.0): "
        "use another adapter of its role instead."
    )
