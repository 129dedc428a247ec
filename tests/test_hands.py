"""Where hands are looked for in the frames, and hands that come with files of keypoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import BarDetector, film, lift_standing
from moving_body import CAMERA, h36m, seen, walk
from test_detect_files import person

import stpose_core as sp
from stpose_core.data import Keypoints, Pose3D
from stpose_core.detect import KeypointFile
from stpose_core.detect.hands import HandView, box_around, find_hands
from stpose_core.detect.types import Box
from stpose_core.errors import FormatError
from stpose_core.lift.shapes import HAND, MIRROR
from stpose_core.skeletons import H36M17

FPS = 30.0
WRISTS = H36M17.index("l_wrist", "r_wrist")


def walker() -> tuple[Pose3D, Keypoints]:
    pose = seen(h36m(walk(1.0)), FPS)
    camera = pose.xyz + pose.root[:, None]
    xy = camera[..., :2] / camera[..., 2:] * CAMERA.focal + CAMERA.centre
    return pose, Keypoints(xy, np.full(xy.shape[:2], 0.8), FPS, (1280, 720), "h36m17")


class Network:
    """Finds the hand whose wrist is in the box, if the box is neither far too large nor far too small."""

    def __init__(self, points: Keypoints, presence: float = 0.9, right: tuple[float, float] = (0.1, 0.9)) -> None:
        self.points, self.presence, self.right, self.boxes = points, presence, right, []

    def __call__(self, image: np.ndarray, box: Box) -> HandView:
        frame = int(image[0, 0, 0])
        self.boxes.append((frame, box))
        wrists = self.points.xy[frame, WRISTS]
        side = int(np.linalg.norm(wrists - box.centre, axis=1).argmin())
        near = np.linalg.norm(wrists[side] - box.centre) < box.size
        shape = (HAND if side == 0 else HAND * MIRROR) * np.array([1.0, -1.0, -1.0])
        return HandView(wrists[side] + 160 * shape[:, :2], shape, self.presence if near else 0.0, self.right[side])


def found(network: Network, pose: Pose3D, points: Keypoints) -> Keypoints:
    pictures = [np.full((4, 4, 3), frame, np.uint8) for frame in range(len(points))]
    return find_hands(network, points, pose, np.arange(len(points)) / FPS, pictures)


def test_each_hand_is_found_beyond_its_forearm_and_then_followed() -> None:
    pose, points = walker()
    network = Network(points)
    whole = found(network, pose, points)
    for side, name in enumerate(("l_hand", "r_hand")):
        part = whole.parts[name]
        assert np.allclose(part.xy[:, 0], points.xy[:, WRISTS[side]])
        assert (part.score > 0.8).all()
        assert part.lifted is not None
        assert np.allclose(part.lifted, (HAND if side == 0 else HAND * MIRROR) * [1.0, -1.0, -1.0])
    assert len(network.boxes) == 2 * (len(points) + 1), "two looks in the first frame, one in each that follows"
    first = network.boxes[0][1]
    forearm = points.xy[0, WRISTS[0]] - points.xy[0, H36M17.joints.index("l_elbow")]
    assert (first.centre - points.xy[0, WRISTS[0]]) @ forearm > 0
    assert whole.xy is not points.xy
    assert not points.parts


def test_what_the_network_doubts_and_hidden_wrists_give_no_hand() -> None:
    pose, points = walker()
    assert (found(Network(points, presence=0.4), pose, points).parts["l_hand"].score == 0).all()
    hidden = Keypoints(points.xy, np.where(np.arange(17) == WRISTS[0], 0.0, points.score), FPS, (1280, 720), "h36m17")
    part = found(Network(points), pose, hidden).parts
    assert (part["l_hand"].score == 0).all()
    assert np.isnan(part["l_hand"].xy).all()
    assert (part["r_hand"].score > 0).all()


def test_a_hand_taken_for_the_other_one_is_lifted_the_other_way_round() -> None:
    pose, points = walker()
    right = found(Network(points), pose, points).parts["l_hand"].lifted
    wrong = found(Network(points, right=(0.9, 0.9)), pose, points).parts["l_hand"].lifted
    assert right is not None
    assert wrong is not None
    assert np.allclose(wrong, right * [1.0, 1.0, -1.0])


def test_the_box_around_a_hand_holds_its_joints_with_the_fingers_up() -> None:
    xy = HAND[:, [0, 2]] * 500 + [300.0, 200.0]
    box = box_around(xy)
    turn = np.array([[np.cos(box.angle), np.sin(box.angle)], [-np.sin(box.angle), np.cos(box.angle)]])
    upright = (xy - box.centre) @ turn.T / box.size
    assert np.abs(upright).max() < 0.45
    assert upright[9, 1] < upright[0, 1]


def folder(path: Path, hands: bool = True, broken: bool = False) -> Path:
    """An OpenPose folder of one person whose hands are at the wrists, the sides exchanged in the file."""
    path.mkdir()
    for frame in range(6):
        body = np.array(person(300.0, 25)).reshape(-1, 3)
        content = {"pose_keypoints_2d": body.ravel().tolist()}
        # Wrists of BODY_25: 7 is the left one, 4 the right one.
        for side, wrist in (("left", 4), ("right", 7)):
            rows = np.column_stack([np.tile(body[wrist, :2], (21, 1)) + np.arange(21)[:, None], np.full(21, 0.7)])
            if hands:
                content[f"hand_{side}_keypoints_2d"] = rows.ravel().tolist()[: 60 if broken else None]
        (path / f"a_{frame:04d}_keypoints.json").write_text(json.dumps({"people": [content]}))
    return path


def test_hands_of_an_openpose_folder_come_to_the_wrists_that_they_are_at(tmp_path: Path) -> None:
    file = KeypointFile(folder(tmp_path / "a"), fps=FPS)
    (track,) = file.people()
    points = Keypoints(track.xy, track.score, FPS, (640, 480), "openpose25")
    parts = file.with_hands(track, points, track.times).parts
    for name, wrist in (("l_hand", 7), ("r_hand", 4)):
        assert np.allclose(parts[name].xy[:, 5], track.xy[:, wrist] + 5, atol=1e-3)
        assert (parts[name].score == 0.7).all()
        assert parts[name].lifted is None


def test_files_without_hands_say_so_and_damaged_hands_are_refused(tmp_path: Path) -> None:
    file = KeypointFile(folder(tmp_path / "a", hands=False), fps=FPS)
    (track,) = file.people()
    points = Keypoints(track.xy, track.score, FPS, (640, 480), "openpose25")
    with pytest.raises(FormatError, match="no joints of hands"):
        file.with_hands(track, points, track.times)
    with pytest.raises(FormatError, match="expected 63 numbers"):
        KeypointFile(folder(tmp_path / "b", broken=True), fps=FPS)


def test_whole_body_results_hold_hands(tmp_path: Path) -> None:
    rows = np.array(person(300.0, 133)).reshape(-1, 3)
    rows[91:112, :2], rows[112:133, :2] = rows[9, :2], rows[10, :2]
    entries = [{"image_id": frame, "category_id": 1, "keypoints": rows.ravel().tolist(), "score": 0.9} for frame in range(4)]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    file = KeypointFile(tmp_path / "a.json", fps=FPS)
    assert file.skeleton == "coco17"
    (track,) = file.people()
    points = Keypoints(track.xy, track.score, FPS, (640, 480), "coco17")
    parts = file.with_hands(track, points, track.times).parts
    assert np.allclose(parts["l_hand"].xy[:, 3], track.xy[:, 9], atol=1e-3)
    assert np.allclose(parts["r_hand"].xy[:, 3], track.xy[:, 10], atol=1e-3)


def test_the_npz_of_keypoints_keeps_its_hands(tmp_path: Path) -> None:
    pose, points = walker()
    whole = found(Network(points), pose, points)
    values = {"xy": whole.xy, "score": whole.score, "fps": FPS, "image_size": (1280, 720), "skeleton": "h36m17"}
    for name, part in whole.parts.items():
        values |= {f"parts.{name}.xy": part.xy, f"parts.{name}.score": part.score, f"parts.{name}.lifted": part.lifted}
    np.savez(tmp_path / "a.npz", **{name: np.array(value) for name, value in values.items()})
    file = KeypointFile(tmp_path / "a.npz")
    again = file.with_hands(file.people()[0], points, np.arange(len(points)) / FPS)
    assert np.allclose(again.parts["r_hand"].xy, whole.parts["r_hand"].xy)
    assert np.allclose(again.parts["l_hand"].lifted, whole.parts["l_hand"].lifted)
    values["parts.l_hand.score"] = np.zeros((3, 21))
    np.savez(tmp_path / "b.npz", **{name: np.array(value) for name, value in values.items()})
    with pytest.raises(FormatError, match="score has shape"):
        KeypointFile(tmp_path / "b.npz")


def test_a_capture_has_fingers_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        def __call__(self, image: np.ndarray, box: Box) -> HandView:
            assert image.shape == (120, 160, 3)
            return HandView(box.centre + 20 * HAND[:, :2], HAND * [1.0, -1.0, -1.0], 0.9, 0.5)

    monkeypatch.setattr("stpose_core.detect.mediapipe_hands.MediaPipeHands", Found)
    video = film(tmp_path / "walk.mp4", 25, 20)
    plain = sp.capture(video, detector=BarDetector(), lifter=lift_standing)
    hands = sp.capture(video, detector=BarDetector(), lifter=lift_standing, hands=True)
    assert not plain.keypoints.parts
    assert "LeftHandIndex1" not in plain.motion.names
    assert {"LeftHandIndex1", "RightHandThumb3End"} < set(hands.motion.names)
    assert (hands.keypoints.parts["l_hand"].score > 0).any()
    sp.save(hands, tmp_path / "walk.npz")
    again = sp.load_capture(tmp_path / "walk.npz")
    for name, part in hands.pose3d.parts.items():
        assert np.array_equal(again.pose3d.parts[name].xyz, part.xyz, equal_nan=True)
    lifted = again.keypoints.parts["r_hand"].lifted
    assert lifted is not None
    assert np.array_equal(lifted, hands.keypoints.parts["r_hand"].lifted, equal_nan=True)
    with np.load(tmp_path / "walk.npz") as data:
        content = {name: data[name] for name in data.files}
    for more in (["keypoints.parts.l_hand.parts.thumb.xy"], [f"pose3d.parts.p{number}.xyz" for number in range(30)]):
        np.savez(tmp_path / "bad.npz", **content, **{name: np.zeros(3) for name in more})
        with pytest.raises(FormatError, match="part"):
            sp.load_capture(tmp_path / "bad.npz")
    # The .npz of a capture is a file of keypoints, with its hands.
    from_file = sp.capture(video, detector=str(tmp_path / "walk.npz"), lifter=lift_standing, hands=True)
    assert from_file.motion.names == hands.motion.names
    sp.save(plain, tmp_path / "plain.npz")
    with pytest.raises(FormatError, match="no joints of hands"):
        sp.capture(video, detector=str(tmp_path / "plain.npz"), lifter=lift_standing, hands=True)
