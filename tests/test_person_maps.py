"""The built-in detector's heat maps on their way to a lifter that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_builtin import STANDING, Scripted, around, picture_of, turned, write_detector
from test_heatmaps import map_reader

from stpose_core.data import Keypoints, Pose3D
from stpose_core.detect.maps import CELLS, person_maps
from stpose_core.lift import Lifter
from stpose_core.lift.heatmaps import HeatMaps
from stpose_core.pipeline import capture
from stpose_core.skeletons import H36M17
from stpose_core.track.resample import track_to_keypoints
from stpose_core.track.track import Track
from stpose_core.video import Frame

MIRROR = list(H36M17.mirror)


@pytest.fixture
def detector(tmp_path: Path) -> Scripted:
    return Scripted(write_detector(tmp_path / "weights", calibration={"joint": [0, 1, -0.5], "presence": [-1, 1, -1]}))


def followed(detector: Scripted, pictures: list[np.ndarray], box: object) -> Track:
    track = Track(1, H36M17.name)
    for number, picture in enumerate(pictures):
        if picture.any():
            track.add(number / 10, number, detector.pose(picture, box))  # type: ignore[arg-type]
    return track


def peaks(values: np.ndarray, corner: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """(T, J, 2) pixels: the middle of each map's highest cell."""
    at = values.reshape(*values.shape[:2], -1).argmax(-1)
    cells = np.stack([at % CELLS, at // CELLS], -1) + 0.5
    return corner[:, None] + cells * cell[:, None, None]


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, -2.5])
def test_maps_have_their_summits_at_the_joints_however_somebody_lies(detector: Scripted, angle: float) -> None:
    bodies = [turned(STANDING, angle) + (4 * number, 0) for number in range(5)]
    pictures = [picture_of(joints) for joints in bodies]
    track = followed(detector, pictures, around(bodies[2], angle))
    points = track_to_keypoints(track, np.arange(5) / 10, 10, (400, 300))
    values, corner, cell = person_maps(detector.look, track, points, np.arange(5) / 10, pictures)
    assert values.shape == (5, 17, CELLS, CELLS)
    assert np.abs(peaks(values, corner, cell) - bodies).max() < 1.2 * cell.max()
    np.testing.assert_allclose(values.max((2, 3)), points.score, atol=2e-3)
    # The control: those of the frame before lie where the joints were.
    assert np.abs(peaks(values, corner, cell)[1:] - np.array(bodies[:-1])).mean() > 1.5


def test_summits_are_widened_to_what_lifters_are_trained_with(detector: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = picture_of(STANDING)
    track = followed(detector, [picture], around(STANDING))
    points = track_to_keypoints(track, np.zeros(1), 10, (400, 300))

    def width(spread: float) -> float:
        """Cells: the spread of a map's values along each axis, of all joints."""
        monkeypatch.setattr("stpose_core.detect.maps._SPREAD", spread)
        values = person_maps(detector.look, track, points, np.zeros(1), [picture])[0][0].astype(float)
        shares = values.sum(1) / values.sum((1, 2))[:, None]
        middle = (shares * np.arange(CELLS)).sum(1, keepdims=True)
        return float(np.sqrt((shares * (np.arange(CELLS) - middle) ** 2).sum(1)).mean())

    narrow, wide = width(0.01), width(2.0)
    assert wide**2 - narrow**2 == pytest.approx(4.0, rel=0.3)  # a cell is one of the network's maps in these small views


def test_sides_that_were_put_right_are_exchanged_in_the_maps(detector: Scripted) -> None:
    pictures = [picture_of(STANDING[MIRROR] if number == 2 else STANDING) for number in range(5)]
    track = followed(detector, pictures, around(STANDING))
    track.swap_sides(slice(2, 3))
    points = track_to_keypoints(track, np.arange(5) / 10, 10, (400, 300))
    made = person_maps(detector.look, track, points, np.arange(5) / 10, pictures)
    assert np.abs(peaks(*made) - STANDING).max() < 1.2 * made[2].max()
    track.swap_sides(slice(2, 3))  # the control: as the detector saw it
    points = track_to_keypoints(track, np.arange(5) / 10, 10, (400, 300))
    seen = peaks(*person_maps(detector.look, track, points, np.arange(5) / 10, pictures))
    assert np.abs(seen[2] - STANDING).max() > 20


def test_maps_stand_on_the_grid_of_the_keypoints(detector: Scripted) -> None:
    nobody = np.zeros((300, 400, 3), np.uint8)
    pictures = [nobody if 3 <= number < 8 else picture_of(STANDING + (5 * number, 0)) for number in range(12)]
    track, times = followed(detector, pictures, around(STANDING + (25, 0))), np.arange(12) / 10
    points = track_to_keypoints(track, times, 20, (400, 300))
    values, corner, cell = person_maps(detector.look, track, points, times, pictures)
    assert len(values) == len(points) == 23
    assert (values.max((1, 2, 3)) > 0).tolist() == points.seen.tolist()
    assert not points.seen[6:15].any()
    there = points.seen
    assert np.abs(peaks(values, corner, cell)[there] - points.xy[there]).max() < 1.2 * cell.max() + 2.6  # half a frame's way
    other = Keypoints(np.zeros((1, 17, 2)), np.zeros((1, 17)), 10, (400, 300), "coco17")
    with pytest.raises(ValueError, match="h36m17"):
        person_maps(detector.look, track, other, times, pictures)


def test_a_lifter_that_reads_maps_is_given_the_detectors(
    detector: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 25, (400, 300))
    for _ in range(30):
        writer.write(np.zeros((300, 400, 3), np.uint8))
    writer.release()

    def frames(*_: object) -> Iterator[Frame]:
        """What is filmed, without the faults of a codec."""
        for number in range(30):
            yield Frame(number, number / 25, picture_of(STANDING + (number, 0)))

    monkeypatch.setattr("stpose_core.video.VideoFile.frames", frames)
    given: list[HeatMaps | None] = []
    lift = Lifter.__call__

    def told(self: Lifter, keypoints: Keypoints, maps: HeatMaps | None = None) -> Pose3D:
        given.append(maps)
        return lift(self, keypoints, maps=maps)

    monkeypatch.setattr(Lifter, "__call__", told)
    capture(video, detector=detector, lifter=map_reader(), device="cpu")
    capture(video, detector=detector, device="cpu")  # the control: the one that ships reads keypoints
    assert given[0] is not None
    assert len(given[0]) == 30
    assert given[1] is None
