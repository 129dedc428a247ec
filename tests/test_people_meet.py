"""People who meet: told apart by their paths where their clothes are alike; the one behind gets no joints of the one in front."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import STANDING, film
from stpose_cli.main import run as stpose
from test_pipeline import lift_any, write_people
from test_tracker import FPS, RED, Actor, Stage, follow, share_on

import stpose_core as sp
from stpose_core.data import Camera, Keypoints, Pose3D
from stpose_core.detect import KeypointFile
from stpose_core.frames import open_source
from stpose_core.overview import find_people, frames_of_all
from stpose_core.skeletons import get_skeleton
from stpose_core.track.linker import AWAY_SECONDS, link_people
from stpose_core.track.others import without_others
from stpose_core.track.person import Person
from stpose_core.track.track import Track

JOINTS = get_skeleton("h36m17").joints


@pytest.mark.parametrize("paths", [True, False])
def test_two_in_the_same_clothes_are_told_by_their_paths(paths: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one behind comes out beside the other one while a pose still lies on both. Control: without paths they are mixed up."""
    if not paths:
        monkeypatch.setattr(Person, "expected", lambda person, time: None)
    front, behind = Actor(lambda i: 40 + 2.0 * i), Actor(lambda i: 280 - 2.0 * i, RED, depth=2)
    # The detector takes the one behind for the one in front for a while, as if the front person's pose went over.
    stage = _Confused(front, behind, between=(58, 66))
    tracks = follow(stage, 120)
    purest = [max(share_on(track, actor) for actor in (front, behind)) for track in tracks]
    assert (len(tracks) == 2 and min(purest) > 0.97) == paths


class _Confused(Stage):
    """In some frames it sees the second actor wherever it looks."""

    def __init__(self, *actors: Actor, between: tuple[int, int]) -> None:
        super().__init__(*actors)
        self._between = between

    def visible(self, index: int) -> list[Actor]:
        there = super().visible(index)
        return self.actors[1:] if self._between[0] <= index < self._between[1] else there  # type: ignore[return-value]


def standing(x: float, ground: float, frames: int = 10, height: float = 120.0) -> Track:
    """A person of some height who stands on a line of the picture."""
    body = STANDING[:, :2] * height / 1.6
    xy = np.tile(body + [x, ground - body[:, 1].max()], (frames, 1, 1))
    return Track.of(1, "h36m17", np.arange(frames) / FPS, np.arange(frames), xy, np.full((frames, len(JOINTS)), 0.9))


def test_the_one_behind_loses_the_joints_that_lie_on_the_one_in_front() -> None:
    front, behind = standing(100, 220), standing(130, 205)
    wrist, elbow = get_skeleton("h36m17").index("l_wrist", "l_elbow")
    behind.xy[4, wrist] = front.xy[4, wrist] + 3
    behind.xy[5, elbow] = front.xy[5, get_skeleton("h36m17").mirror[elbow]] + 3
    cleaned, same = without_others([behind, front])
    gone = np.argwhere(cleaned.score == 0).tolist()
    assert [4, wrist] in gone
    assert [5, elbow] in gone
    assert np.isnan(cleaned.xy[4, wrist]).all()
    before = {tuple(place) for place in np.argwhere(without_others([standing(130, 205), front])[0].score == 0).tolist()}
    assert {tuple(place) for place in gone} - before == {(4, wrist), (5, elbow)}
    assert np.array_equal(same.xy, front.xy), "the one in front keeps all"
    assert np.isfinite(behind.xy).all(), "the tracks themselves stay as they were"


def test_a_detection_that_is_the_other_persons_is_left_out() -> None:
    front, behind = standing(100, 220), standing(160, 205)
    behind.xy[3] = front.xy[3]
    cleaned, _ = without_others([behind, front])
    assert not (cleaned.score[3] > 0).any()
    assert (cleaned.score[2] > 0).all()
    # Control: people beside each other, who touch nowhere, lose nothing.
    assert all((track.score > 0).all() for track in without_others([standing(60, 220), standing(200, 205)]))


def test_in_keypoint_files_who_comes_back_at_the_same_place_and_size_is_the_same_person() -> None:
    def frames(again: float, x: float, size: float) -> list[tuple[int, list[tuple[np.ndarray, np.ndarray]]]]:
        def seen(x: float, size: float) -> tuple[np.ndarray, np.ndarray]:
            return STANDING[:, :2] * size + [x, 100], np.full(len(JOINTS), 0.9)

        back = 20 + round(again * FPS)
        return [(i, [seen(100, 70)]) for i in range(20)] + [(i, [seen(x, size)]) for i in range(back, back + 20)]

    def people(*where: float) -> int:
        return len(link_people(frames(*where), FPS, "h36m17"))

    assert people(3.0, 140, 72) == 1
    assert people(3.0, 300, 70) == 2, "elsewhere"
    assert people(3.0, 100, 110) == 2, "of another size"
    assert people(AWAY_SECONDS + 1, 100, 70) == 2, "after too long"


def test_all_people_of_a_clip_stand_where_they_stood(tmp_path: Path) -> None:
    """Each is lifted with an own idea of up; the motions agree on the floor, and on the distance between the people."""
    path = film(tmp_path / "a.mp4", 25, 30)
    joints = write_people(tmp_path / "a.json", (40.0, 0.9, range(30)), (140.0, 0.8, range(30)))
    places = {0: np.array([-1.0, 0.2, 4.0]), 1: np.array([1.5, 0.2, 6.0])}

    def lift(keypoints: Keypoints) -> Pose3D:
        which = int(np.nanmean(keypoints.xy[..., 0]) > 90)
        frames = len(keypoints)
        xyz, root = np.tile(STANDING, (frames, 1, 1)), np.tile(places[which], (frames, 1))
        up = np.array([0.0, -1.0, (0.05, -0.05)[which]])
        nothing = np.zeros((frames, len(JOINTS)), bool)
        camera = Camera.assumed(keypoints.image_size)
        return Pose3D(xyz, root, nothing, np.full(nothing.shape, 0.03), up / np.linalg.norm(up), keypoints.fps, "h36m17", camera)

    first, second = sp.capture_people(path, detector=joints, lifter=lift, refine=False, device="cpu")
    between = (second.motion.root - first.motion.root)[:, [0, 2]]
    sign = 1 if np.nanmean(first.keypoints.xy[..., 0]) < 90 else -1
    assert np.allclose(between * sign, [2.5, -2.0], atol=0.05)
    assert np.allclose(first.motion.root[0, [0, 2]], 0, atol=0.02), "the largest one begins at the origin"
    assert np.allclose(first.pose3d.up, second.pose3d.up)
    # Control: alone, each begins at the origin.
    alone = sp.capture(path, detector=joints, lifter=lift, refine=False, device="cpu", person="2")
    assert np.allclose(alone.motion.root[0, [0, 2]], 0, atol=0.02)


def test_people_are_listed_by_the_numbers_that_choose_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = film(tmp_path / "a.mp4", 25, 30)
    joints = write_people(tmp_path / "a.json", (140.0, 0.8, range(10, 30)), (40.0, 0.9, range(30)))
    out = tmp_path / "who.png"
    assert stpose(["people", str(path), "--detector", str(joints), "-o", str(out)]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("1: 0:00.0 to 0:01.2, seen in 100% of the frames")
    assert second.startswith("2: 0:00.4 to 0:01.2, seen in 67% of the frames")
    assert last == str(out)
    with open_source(path) as video:
        for person in find_people(video, KeypointFile(joints)):
            chosen = sp.capture(path, detector=joints, lifter=lift_any, device="cpu", person=str(person.number))
            assert np.nanmean(chosen.keypoints.xy[..., 0]) == pytest.approx(float(np.nanmean(person.track.xy[..., 0])), abs=1)
    picture = cv2.imread(str(out))
    yellow = (picture[..., 2] > 200) & (picture[..., 1] > 150) & (picture[..., 0] < 80)
    assert yellow.any(), "the first person's box"


def test_the_overview_needs_as_few_frames_as_show_everybody() -> None:
    early, late, always = standing(50, 200, 10), standing(100, 200, 30), standing(150, 200, 30)
    late.frames[:] += 15
    early.frames[:] += 0
    assert len(frames_of_all([early, late, always])) == 2
    assert len(frames_of_all([always, standing(90, 200, 20)])) == 1


def test_an_overview_is_a_picture_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = film(tmp_path / "a.mp4", 25, 10)
    assert stpose(["people", str(path), "-o", str(tmp_path / "who.txt")]) == 2
    assert "ends in .png" in capsys.readouterr().err
    (tmp_path / "who.png").write_bytes(b"mine")
    assert stpose(["people", str(path), "-o", str(tmp_path / "who.png")]) == 2
    assert (tmp_path / "who.png").read_bytes() == b"mine"
