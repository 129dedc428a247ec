"""Head, hands and feet: turned as the 2D joints show them, within what a body can do, and as before where nothing shows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_body import CAMERA, body, h36m, seen
from scipy.spatial.transform import Rotation

from stpose_core.animate import animate
from stpose_core.animate.extremities import HAND, limited
from stpose_core.animate.kinematics import world_frames
from stpose_core.animate.motion import world_from_camera
from stpose_core.animate.setup import fitted_to_setup
from stpose_core.data import Keypoints, Motion, Pose3D
from stpose_core.formats.figure import rest_positions
from stpose_core.lift.parts import with_parts
from stpose_core.lift.rigid import Expected, Shape, fit
from stpose_core.lift.shapes import FACE, FACE_OUT, FOOT, MIRROR, PALM, STATURE
from stpose_core.options import CaptureOptions
from stpose_core.skeletons import BLAZEPOSE33, FACE5, FOOT3, PALM4

FRAMES, FPS = 40, 30.0
_SAME = (("shoulder", "Arm"), ("elbow", "ForeArm"), ("wrist", "Hand"), ("hip", "UpLeg"), ("knee", "Leg"), ("ankle", "Foot"))
SIZE = 1.69 / STATURE


def standing(**turns: list[float]) -> Motion:
    """A person whose arms hang, with joints turned by rotation vectors in degrees."""
    hang = {"LeftArm": [0, 0, -75], "RightArm": [0, 0, 75], "LeftForeArm": [0, -20, 0], "RightForeArm": [0, 20, 0]}
    vectors = {name: np.tile(np.radians(value), (FRAMES, 1)) for name, value in {**hang, **turns}.items()}
    return body(vectors, np.tile([0.0, 0.91, 0.0], (FRAMES, 1)), FPS)


def filmed(motion: Motion, distance: float = 3.0) -> tuple[Pose3D, Keypoints]:
    """What a lifter says of the body, and the joints that a detector sees, with face, palms and feet where the motion has them."""
    pose = seen(h36m(motion), FPS, distance)
    frames, places = world_frames(motion)
    xyz = np.zeros((FRAMES, 33, 3))
    joint = lambda name: places[:, motion.names.index(name)]  # noqa: E731
    for side, title in (("l", "Left"), ("r", "Right")):
        for name, of in (
            ("shoulder", "Arm"),
            ("elbow", "ForeArm"),
            ("wrist", "Hand"),
            ("hip", "UpLeg"),
            ("knee", "Leg"),
            ("ankle", "Foot"),
        ):
            xyz[:, BLAZEPOSE33.joints.index(f"{side}_{name}")] = joint(title + of)
        for part, shape, bone in ((PALM4, PALM - PALM[0], "Hand"), (FOOT3, FOOT - FOOT[0], "Foot")):
            points = SIZE * (shape * MIRROR if side == "r" else shape)
            turned = points @ frames[:, motion.names.index(title + bone)].transpose(0, 2, 1) + joint(title + bone)[:, None]
            xyz[:, BLAZEPOSE33.index(*(f"{side}_{name}" for name in part.joints))] = turned
    head = frames[:, motion.names.index("Head")]
    middle = joint("Head") + 0.06 * head[..., 1] + 0.04 * head[..., 2]
    xyz[:, BLAZEPOSE33.index(*FACE5.joints)] = SIZE * FACE @ head.transpose(0, 2, 1) + middle[:, None]
    camera = (xyz - np.array([0.0, 1.2, distance])) * np.array([1.0, -1.0, -1.0])
    xy = camera[..., :2] / camera[..., 2:] * CAMERA.focal + CAMERA.centre
    score = np.where((xyz == 0).all(-1), 0.0, 0.83)
    return pose, Keypoints(xy, score, FPS, (1280, 720), "blazepose33")


def off(motion: Motion, captured: Motion, name: str, axis: int) -> float:
    """Degrees between the axes of a joint in two motions, the mean over the frames."""
    one, other = (world_frames(m)[0][:, m.names.index(name), :, axis] for m in (motion, captured))
    return float(np.degrees(np.arccos(np.clip((one * other).sum(-1), -1, 1))).mean())


def test_a_shape_is_turned_as_its_points_in_the_picture_say() -> None:
    random = np.random.default_rng(0)
    turns = Rotation.from_rotvec(np.cumsum(random.normal(0, 0.05, (60, 3)), axis=0) + [0.3, 0.5, 0.1]).as_matrix()
    facing = turns @ np.diag([1.0, -1.0, -1.0])  # the face looks at the camera at first
    place = np.tile([0.3, -0.2, 3.0], (60, 1))
    points = FACE @ facing.transpose(0, 2, 1) + place[:, None]
    rays = points[..., :2] / points[..., 2:] + random.normal(0, 0.0003, (60, 5, 2))
    expected = Expected(np.tile(np.diag([1.0, -1.0, -1.0]), (60, 1, 1)), np.radians([30, 50, 20]), place, (0.05, 0.1))
    found = fit(Shape(FACE, FACE_OUT), rays, np.full((60, 5), 0.003), expected, np.eye(3)[None], FPS)
    error = (Rotation.from_matrix(facing).inv() * Rotation.from_matrix(found.turns)).magnitude()
    assert np.degrees(error).mean() < 4
    unseen = fit(Shape(FACE, FACE_OUT), rays, np.full((60, 5), np.inf), expected, np.eye(3)[None], FPS)
    assert np.allclose(unseen.turns, expected.turns, atol=1e-6), "without a point the body's own guess remains"
    assert unseen.sigma.min() > 3 * found.sigma.max()


def test_of_two_turns_that_look_alike_the_one_that_goes_on_is_taken() -> None:
    # A flat shape looks nearly the same from both sides of the picture's plane, and the body suggests neither of them.
    random = np.random.default_rng(1)
    turns = Rotation.from_euler("y", 35 + 5 * np.sin(np.arange(60)[:, None] / 8), degrees=True).as_matrix()
    shape = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.04, 0], [0.0, 0.05, 0]])
    place = np.tile([0.0, 0.0, 6.0], (60, 1))
    points = shape @ turns.transpose(0, 2, 1) + place[:, None]
    rays = points[..., :2] / points[..., 2:] + random.normal(0, 0.0003, (60, 4, 2))
    expected = Expected(np.tile(np.eye(3), (60, 1, 1)), np.radians([20, 90, 20]), place, (0.02, 0.05))
    starts = Rotation.from_euler("y", [[-40], [40]], degrees=True).as_matrix()
    found = fit(Shape(shape), rays, np.full((60, 4), 0.003), expected, starts, FPS)
    steps = (Rotation.from_matrix(found.turns[:-1]).inv() * Rotation.from_matrix(found.turns[1:])).magnitude()
    assert np.degrees(steps).max() < 30


@pytest.mark.parametrize("turn", [[0, 40, 0], [0, -40, 0], [30, 0, 0], [-25, 0, 0]])
def test_the_head_looks_where_the_face_looks(turn: list[float]) -> None:
    motion = standing(Head=turn)
    pose, points = filmed(motion)
    captured = animate(with_parts(pose, points))
    assert off(motion, captured, "Head", 2) < 9
    assert off(motion, animate(pose), "Head", 2) > 15, "the body's 17 joints do not show it"


def test_hands_and_feet_are_turned_as_they_are_seen() -> None:
    motion = standing(LeftHand=[60, 0, 30], RightHand=[-50, 0, 20], LeftFoot=[15, 25, 0])
    pose, points = filmed(motion)
    captured, without = animate(with_parts(pose, points)), animate(pose)
    for name in ("LeftHand", "RightHand"):
        assert off(motion, captured, name, 1) < 25
        assert off(motion, without, name, 1) > 50
    assert off(motion, captured, "LeftFoot", 2) < 17
    assert off(motion, without, "LeftFoot", 2) > 25


def test_a_neck_has_no_kink() -> None:
    pose, points = filmed(standing(Neck=[25, 0, 0], Head=[75, 0, 0]))
    motion = animate(with_parts(pose, points))
    places = world_frames(motion)[1]
    neck, head, crown = (places[:, motion.names.index(name)] for name in ("Neck", "Head", "HeadEnd"))
    one, other = head - neck, crown - head
    cosine = (one * other).sum(-1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert np.degrees(np.arccos(cosine)).max() < 60


@pytest.mark.parametrize("parts", [True, False])
def test_the_height_of_the_person_counts_the_head_as_the_face_tilts_it(parts: bool) -> None:
    pose, points = filmed(standing(Head=[35, 0, 0]))
    pose = with_parts(pose, points) if parts else pose
    motion = animate(fitted_to_setup(pose, CaptureOptions(actor_height=1.8)))
    assert np.ptp(rest_positions(motion)[:, 1]) == pytest.approx(1.8, abs=1e-4)


def test_limits_are_soft_and_kept() -> None:
    angles = np.radians(np.linspace(0, 170, 50))
    turns = Rotation.from_rotvec(angles[:, None] * [0.0, 0.0, 1.0]).as_matrix()
    bent = np.degrees(Rotation.from_matrix(limited(turns, HAND)).magnitude())
    assert np.allclose(bent[:15], np.degrees(angles[:15]), atol=1e-6)
    assert bent.max() <= HAND[2] + 1e-6
    assert (np.diff(bent) > -1e-9).all()


def test_nothing_changes_where_the_detector_shows_no_parts() -> None:
    motion = standing(Head=[0, 40, 0])
    pose, points = filmed(motion)
    bare = Keypoints(np.zeros((FRAMES, 17, 2)), np.ones((FRAMES, 17)), FPS, (1280, 720), "h36m17")
    same = with_parts(pose, bare)
    assert not same.parts
    assert (animate(same).rotations == animate(pose).rotations).all()
    hidden = replace(points, score=np.where(np.arange(33) < 11, 0.0, points.score))
    face = with_parts(pose, hidden).parts["face"]
    assert face.hidden.all()
    assert off(animate(with_parts(pose, hidden)), animate(pose), "Head", 2) < 1


def test_parts_belong_to_all_frames_and_have_none_themselves() -> None:
    pose, points = filmed(standing())
    whole = with_parts(pose, points)
    assert set(whole.parts) == {"face", "l_hand", "r_hand", "l_foot", "r_foot"}
    with pytest.raises(ValueError, match="part 'face'"):
        replace(pose, parts={"face": whole})
    short = with_parts(*(replace(thing, **_first_half(thing)) for thing in (pose, points)))
    with pytest.raises(ValueError, match="frames"):
        replace(pose, parts=short.parts)
    assert whole.parts["face"].xyz is not replace(whole).parts["face"].xyz
    assert world_from_camera(whole).shape == (FRAMES, 3, 3)


def _first_half(thing: Pose3D | Keypoints) -> dict[str, object]:
    half = slice(0, FRAMES // 2)
    names = ("xyz", "root", "hidden", "sigma") if isinstance(thing, Pose3D) else ("xy", "score")
    return {name: getattr(thing, name)[half] for name in names}
