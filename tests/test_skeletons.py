"""Joint sets and the conversion to Human3.6M-17, on posed bodies whose joints are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpose_core.conversions import RECIPES
from stpose_core.data import Keypoints
from stpose_core.errors import FormatError
from stpose_core.skeletons import H36M17, convert, convert_points, get_skeleton

SOURCES = ("coco17", "blazepose33", "halpe26", "openpose25")
SIZES = {"h36m17": 17, "coco17": 17, "blazepose33": 33, "halpe26": 26, "openpose25": 25}
BODIES = Path(__file__).parent / "fixtures" / "conversion_bodies.npz"


@pytest.fixture(scope="module")
def bodies() -> dict[str, np.ndarray]:
    """Joints (N, J, 3) in metres of posed bodies that the weights were not fitted to, per skeleton."""
    with np.load(BODIES, allow_pickle=False) as data:
        return {name: data[name].astype(np.float64) for name in data.files}


def errors(guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance (17,) in millimetres."""
    return 1000 * np.linalg.norm(guess - truth, axis=-1).mean(axis=0)


def midpoints(points: np.ndarray, name: str) -> np.ndarray:
    """What one would write without fitting: middles of hips, shoulders and ears."""
    skeleton = get_skeleton(name)

    def joint(part: str) -> np.ndarray:
        return points[..., skeleton.joints.index(part), :]

    def middle(part: str) -> np.ndarray:
        return 0.5 * (joint(f"l_{part}") + joint(f"r_{part}"))

    made = {"pelvis": middle("hip"), "neck": middle("shoulder"), "head": middle("ear")}
    made["spine"] = 0.5 * (made["pelvis"] + made["neck"])
    made["head_top"] = 1.5 * made["head"] - 0.5 * made["neck"]
    return np.stack([made[part] if part in made else joint(part) for part in H36M17.joints], axis=-2)


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_a_skeleton_is_a_symmetric_tree(name: str, size: int) -> None:
    skeleton = get_skeleton(name)
    assert len(skeleton.joints) == len(skeleton.parents) == len(set(skeleton.joints)) == size
    assert sum(parent < 0 for parent in skeleton.parents) == 1
    for start in range(size):
        joint, steps = start, 0
        while joint >= 0:
            joint, steps = skeleton.parents[joint], steps + 1
            assert steps <= size, "a loop"
    mirror = skeleton.mirror
    for joint, parent in enumerate(skeleton.parents):
        assert skeleton.parents[mirror[joint]] == (mirror[parent] if parent >= 0 else -1)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("coco17", {"nose": 0, "l_eye": 1, "r_ear": 4, "l_shoulder": 5, "r_wrist": 10, "l_hip": 11, "r_ankle": 16}),
        (
            "blazepose33",
            {"nose": 0, "l_eye_inner": 1, "r_ear": 8, "l_shoulder": 11, "r_hip": 24, "l_heel": 29, "r_toe": 32},
        ),
        ("halpe26", {"head_top": 17, "neck": 18, "pelvis": 19, "l_big_toe": 20, "r_heel": 25}),
        ("openpose25", {"neck": 1, "r_shoulder": 2, "l_wrist": 7, "pelvis": 8, "r_eye": 15, "l_ear": 18, "r_heel": 24}),
    ],
)
def test_the_order_is_the_official_one(name: str, places: dict[str, int]) -> None:
    assert {joint: get_skeleton(name).joints.index(joint) for joint in places} == places


def test_an_unknown_skeleton_or_conversion_is_an_error() -> None:
    with pytest.raises(FormatError, match="unknown skeleton 'smpl24'"):
        get_skeleton("smpl24")
    with pytest.raises(FormatError, match="cannot convert"):
        convert_points(np.zeros((17, 2)), "h36m17", "coco17")
    with pytest.raises(ValueError, match="expected"):
        convert_points(np.zeros((18, 2)), "coco17")


@pytest.mark.parametrize("name", SOURCES)
def test_weights_sum_to_one_and_treat_both_sides_alike(name: str) -> None:
    for target, recipes in RECIPES[name].items():
        for trust, weights in recipes:
            assert sum(weights.values()) == pytest.approx(1.0, abs=1e-9)
            assert 0 < trust <= 1
            if not target.startswith("l_"):
                for joint, weight in weights.items():
                    assert weights.get({"l_": "r_", "r_": "l_"}.get(joint[:2], joint[:2]) + joint[2:]) == weight


@pytest.mark.parametrize("name", SOURCES)
def test_conversion_error_on_known_bodies(name: str, bodies: dict[str, np.ndarray]) -> None:
    truth, points = bodies["h36m17"], bodies[name]
    fitted, plain = errors(convert_points(points, name), truth), errors(midpoints(points, name), truth)
    print("\n" + name, *(f"{j} {f:.0f} ({p:.0f})" for j, f, p in zip(H36M17.joints, fitted, plain)), sep="  ")
    assert fitted.mean() <= 12
    assert fitted.max() <= 50
    assert fitted.mean() <= 0.65 * plain.mean()
    assert (fitted <= plain + 0.5).all()


@pytest.mark.parametrize("name", SOURCES)
def test_swapped_sides_are_noticed(name: str, bodies: dict[str, np.ndarray]) -> None:
    swapped = bodies[name][:, list(get_skeleton(name).mirror)]
    assert errors(convert_points(swapped, name), bodies["h36m17"]).mean() > 150


@pytest.mark.parametrize("name", SOURCES)
def test_conversion_commutes_with_weak_perspective(name: str, bodies: dict[str, np.ndarray]) -> None:
    points = bodies[name][:20]
    camera = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0][:, :2] * 250
    seen = points @ camera + [320, 240]
    np.testing.assert_allclose(convert_points(seen, name), convert_points(points, name) @ camera + [320, 240], atol=1e-6)


@pytest.mark.parametrize("name", SOURCES)
def test_a_mirrored_person_converts_to_the_mirror_image(name: str, bodies: dict[str, np.ndarray]) -> None:
    points = bodies[name][:20]
    flip = np.array([-1.0, 1.0, 1.0])
    mirrored = convert_points(points[:, list(get_skeleton(name).mirror)] * flip, name)
    np.testing.assert_allclose(mirrored[:, list(H36M17.mirror)] * flip, convert_points(points, name), atol=1e-9)


def keypoints(points: np.ndarray, score: np.ndarray, name: str) -> Keypoints:
    return Keypoints(points[..., :2] * 100 + 300, score, 30.0, (640, 480), name)


@pytest.mark.parametrize("name", SOURCES)
def test_without_a_face_the_head_is_guessed_with_less_trust(name: str, bodies: dict[str, np.ndarray]) -> None:
    skeleton = get_skeleton(name)
    score = np.full(bodies[name].shape[:2], 0.8)
    full = convert(keypoints(bodies[name], score, name))
    np.testing.assert_allclose(full.score, 0.8, atol=1e-9)
    assert np.isfinite(full.xy).all()
    face = [i for i, joint in enumerate(skeleton.joints) if joint[-3:] in ("eye", "ear") or joint in ("nose", "head_top")]
    score[:, face] = 0
    blind = convert(keypoints(bodies[name], score, name))
    head = H36M17.index("head", "head_top")
    assert np.isfinite(blind.xy).all()
    assert (blind.score[:, head] > 0.1).all()
    assert (blind.score[:, head] < 0.5).all()
    assert np.linalg.norm(blind.xy - full.xy, axis=-1)[:, head].mean() < 15  # cm, as 100 px are a metre


def test_joints_that_cannot_be_told_are_nan(bodies: dict[str, np.ndarray]) -> None:
    points = bodies["coco17"][:1].copy()
    hips = get_skeleton("coco17").index("l_hip", "r_hip")
    points[:, hips] = np.nan
    out = convert_points(points, "coco17")[0]
    missing = {joint for joint, place in zip(H36M17.joints, out) if np.isnan(place).any()}
    assert missing == {"pelvis", "l_hip", "r_hip", "spine"}
    one_hip = bodies["coco17"][:1].copy()
    one_hip[:, hips[1]] = np.nan
    left, right = convert_points(one_hip, "coco17")[0][H36M17.index("l_hip", "r_hip")]
    assert np.isfinite(left).all()
    assert np.isnan(right).all()
    assert np.isnan(convert_points(np.full((3, 17, 2), np.nan), "coco17")).all()


def test_the_score_is_the_mean_of_the_sources_by_weight() -> None:
    score = np.zeros((1, 17))
    score[0, get_skeleton("coco17").index("l_hip", "r_hip")] = 0.9, 0.5
    out = convert(Keypoints(np.zeros((1, 17, 2)), score, 30.0, (64, 64), "coco17"))
    assert out.skeleton == "h36m17"
    assert out.score[0, 0] == pytest.approx(0.7)
    assert not out.score[0, H36M17.index("neck", "l_knee")].any()


def test_converting_to_the_same_skeleton_changes_nothing(bodies: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(convert_points(bodies["h36m17"], "h36m17"), bodies["h36m17"])
