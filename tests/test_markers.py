"""Markers: points of the feet and the head where they should be, and a motion from the markers of a file of any program."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import c3d
import numpy as np
import pytest
from moving_body import walk
from scipy.spatial.transform import Rotation
from stpose_cli.main import run
from test_formats_glb import body_motion

from stpose_core.animate.kinematics import world_frames
from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.formats import format_of, load_motion, save
from stpose_core.formats.marker_motion import motion_of_points
from stpose_core.formats.markers import Points, markers
from stpose_core.rigs import RIGS, renamed

MILLIMETRE = 0.001


def places_of(points: Points) -> dict[str, Array]:
    """(T, 3) metres of each marker."""
    return {label: points.places[:, index] for index, label in enumerate(points.labels)}


def turned(motion: Motion, other: Motion, *names: str) -> float:
    """Degrees by which joints of two motions are turned against each other in the world, at most."""
    index = [motion.names.index(name) for name in names]
    one, two = (world_frames(which)[0][:, index].reshape(-1, 3, 3) for which in (motion, other))
    return float(np.degrees(Rotation.from_matrix(np.swapaxes(one, 1, 2) @ two).magnitude()).max())


def test_heels_and_toes_of_a_person_who_stands_are_on_the_floor_around_the_ankle() -> None:
    body = body_motion(frames=1)
    still = replace(body, rotations=np.tile([1.0, 0, 0, 0], (1, len(body.names), 1)))
    found = {label: places[0] for label, places in places_of(markers(still, "a.trc")).items()}
    for side, out in (("L", 1), ("R", -1)):
        ankle, heel, big, small = (found[side + label] for label in ("Ankle", "Heel", "BigToe", "SmallToe"))
        assert heel[1] == pytest.approx(big[1], abs=MILLIMETRE)
        assert small[1] == pytest.approx(big[1], abs=MILLIMETRE)
        assert ankle[1] - heel[1] > 0.05
        assert -0.1 < heel[2] - ankle[2] < -0.03
        assert 0.2 < big[2] - heel[2] < 0.32
        assert 0.02 < out * (small[0] - big[0]) < 0.08
    assert found["Nose"][2] - found["HeadBase"][2] > 0.08
    assert found["LIndex"][2] > found["LPinky"][2]


def test_heels_follow_the_foot_and_not_the_shin() -> None:
    body = body_motion(frames=1)
    rotations = np.tile([1.0, 0, 0, 0], (1, len(body.names), 1))
    foot = Rotation.from_euler("x", 30, degrees=True).as_quat()[[3, 0, 1, 2]]  # toes down
    rotations[0, body.names.index("LeftFoot")] = foot
    found = {label: places[0] for label, places in places_of(markers(replace(body, rotations=rotations), "a.trc")).items()}
    assert found["LHeel"][1] > found["LBigToe"][1] + 0.1
    assert found["RHeel"][1] == pytest.approx(found["RBigToe"][1], abs=MILLIMETRE)


@pytest.mark.parametrize("suffix", [".trc", ".c3d", ".csv"])
@pytest.mark.parametrize("rig", RIGS)
def test_a_motion_comes_back_from_its_points(rig: str, suffix: str, tmp_path: Path) -> None:
    if rig != "stpose" and suffix != ".csv":
        pytest.skip("markers have one set of names")
    motion = walk(seconds=1)
    save(motion, tmp_path / f"a{suffix}", rig=rig)
    again = load_motion(tmp_path / f"a{suffix}")
    assert again.fps == motion.fps
    assert again.names == motion.names
    np.testing.assert_allclose(world_frames(again)[1], world_frames(motion)[1], atol=MILLIMETRE)
    assert turned(motion, again, "LeftArm", "RightForeArm", "Hips", "LeftUpLeg", "RightLeg") < 4
    if suffix != ".csv":
        assert turned(motion, again, "Head", "LeftHand", "RightHand", "LeftFoot", "RightFoot") < 1


def test_hands_head_and_feet_come_back_turned_about_their_own_axes() -> None:
    motion = walk(seconds=1)
    rotations = motion.rotations.copy()
    for name, axis in (("LeftHand", "x"), ("Head", "y"), ("RightFoot", "y")):
        rotations[:, motion.names.index(name)] = Rotation.from_euler(axis, 25, degrees=True).as_quat()[[3, 0, 1, 2]]
    motion = replace(motion, rotations=rotations)
    points = markers(motion, "a.trc")
    assert turned(motion, motion_of_points("a.trc", points), "LeftHand", "Head", "RightFoot") < 1
    # The control: without the points beside the joints, nothing shows these turns.
    bare = [index for index, label in enumerate(points.labels) if label not in ("LIndex", "LPinky", "Nose", "RSmallToe", "RHeel")]
    less = Points(tuple(points.labels[index] for index in bare), points.places[:, bare], points.fps)
    assert turned(motion, motion_of_points("a.trc", less), "LeftHand") > 20
    assert turned(motion, motion_of_points("a.trc", less), "Head") > 20


def as_keypoints(motion: Motion) -> Points:
    """The markers that a markerless workflow has: 21 of Halpe's keypoints."""
    wanted = ["Hip", "Neck", "Head", "Nose", *(side + part for side in "LR" for part in (
        "Hip", "Knee", "Ankle", "Heel", "BigToe", "SmallToe", "Shoulder", "Elbow", "Wrist"))]  # fmt: skip
    points = markers(motion, "a.trc")
    return Points(tuple(wanted), points.places[:, [points.labels.index(label) for label in wanted]], points.fps)


def write_trc(path: Path, points: Points, units: str = "m") -> None:
    """As programs for markerless capture write it: in metres, with empty fields for markers that were not seen."""
    scale, count = {"m": 1.0, "mm": 1000.0}[units], len(points.labels)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{points.fps:g}\t{points.fps:g}\t{len(points.places)}\t{count}\t{units}\t{points.fps:g}\t0\t{len(points.places)}",
        "Frame#\tTime\t" + "\t\t\t".join(points.labels) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{number + 1}" for number in range(count) for axis in "XYZ") + "\t",
    ]
    for frame, places in enumerate(points.places):
        values = ["" if np.isnan(value) else f"{scale * value:.6f}" for value in places.ravel()]
        lines.append("\t".join([str(frame), f"{frame / points.fps:.6f}", *values]))
    path.write_bytes("\r\n".join(lines).encode() + b"\r\n")


def test_keypoints_of_another_program_become_a_motion(tmp_path: Path) -> None:
    motion = walk(seconds=1)
    points = as_keypoints(motion)
    gaps = points.places.copy()
    gaps[10:13, points.labels.index("LWrist")] = np.nan
    write_trc(tmp_path / "a.trc", replace(points, places=gaps))
    assert run(["convert", str(tmp_path / "a.trc"), "-o", str(tmp_path / "b.bvh")]) == 0
    again = load_motion(tmp_path / "b.bvh")
    assert len(again) == len(motion)
    names = [side + name for side in ("Left", "Right") for name in ("Hand", "ForeArm", "Leg", "Foot")] + ["Head", "HeadEnd"]
    found, expected = (world_frames(one)[1][:, [one.names.index(name) for name in names]] for one in (again, motion))
    # Ankles of Halpe's keypoints lie 2 cm above the joints.
    assert np.linalg.norm(found - expected, axis=-1).max() < 0.04
    assert load_motion(tmp_path / "a.trc").filled.tolist() == [10 <= frame < 13 for frame in range(len(motion))]


@pytest.mark.parametrize("label", ["Nose", "LHeel", "LHandTip", "RIndex", "RSmallToe"])
def test_a_marker_that_is_never_seen_spoils_nothing_else(label: str) -> None:
    motion = walk(seconds=1)
    points = markers(motion, "a.trc")
    points.places[:, points.labels.index(label)] = np.nan
    again = motion_of_points("a.trc", points)
    places = world_frames(again)[1]
    assert np.isfinite(places).all()
    joint = motion.names.index("LeftForeArm")
    np.testing.assert_allclose(places[:, joint], world_frames(motion)[1][:, joint], atol=MILLIMETRE)


def write_c3d(path: Path, points: Points, analog: int = 0) -> None:
    """By another program, in integers and with z up, as laboratories have it."""
    writer = c3d.Writer(point_rate=points.fps, point_units="mm  ", point_scale=0.1)
    writer.set_point_labels(list(points.labels))
    for places in points.places:
        rows = np.zeros((len(points.labels), 5), np.float32)
        rows[:, 0], rows[:, 1], rows[:, 2] = 1000 * places[:, 0], -1000 * places[:, 2], 1000 * places[:, 1]
        rows[np.isnan(places[:, 0]), :4] = [0, 0, 0, -1]
        writer.add_frames([(rows, np.zeros((analog, 1)))])
    buffer = io.BytesIO()
    writer.write(buffer)
    path.write_bytes(buffer.getvalue())


def test_markers_of_another_programs_c3d_are_read(tmp_path: Path) -> None:
    points = as_keypoints(walk(seconds=1))
    gaps = points.places.copy()
    gaps[3, 2] = np.nan
    write_c3d(tmp_path / "a.c3d", replace(points, places=gaps))
    found = format_of(tmp_path / "a.c3d").read_points(tmp_path / "a.c3d")
    assert found.labels == points.labels
    assert found.fps == points.fps
    np.testing.assert_allclose(found.places, gaps, atol=MILLIMETRE)


NO_BODY: dict[str, Callable[[Path, Points], object]] = {
    "trc": lambda path, points: write_trc(path, points),
    "c3d": lambda path, points: write_c3d(path, points),
}


@pytest.mark.parametrize("suffix", NO_BODY)
def test_markers_of_the_skin_are_no_motion_but_can_be_described(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{suffix}"
    NO_BODY[suffix](path, Points(("LASI", "RASI", "LPSI", "RPSI"), np.random.default_rng(0).normal(size=(40, 4, 3)), 100.0))
    assert run(["convert", str(path), "-o", str(tmp_path / "b.bvh")]) == 2
    told = capsys.readouterr().err
    assert "its markers are not the joints of a body" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "b.bvh").exists()
    assert run(["info", str(path)]) == 0
    told = capsys.readouterr().out
    for words in ("frames:", "40", "100", "markers:", "4"):
        assert words in told


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    motion = walk(seconds=1)
    for suffix in (".trc", ".c3d", ".csv"):
        path = tmp_path / f"a{suffix}"
        save(motion, path)
        data = path.read_bytes()
        cuts = (
            data[:0],
            data[: len(data) // 2] + b"\n1,2\tx\n",
            b"\0" * 2000,
            b"PathFileType\n" * 20,
            b"time,a_x,a_y,a_z\n0,1,2,inf\n1,1,1,1",
        )
        for cut in cuts:
            path.write_bytes(cut)
            with pytest.raises(FormatError, match=rf"a\{suffix}") as caught:
                load_motion(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", ["1e999", "nan", "-5", "0", "fast"])
def test_a_rate_that_is_none_is_refused(rate: str, tmp_path: Path) -> None:
    path = tmp_path / "a.trc"
    save(walk(seconds=0.2), path)
    path.write_text(path.read_text().replace("30.000000\t30.000000", f"{rate}\t30.000000", 1))
    with pytest.raises(FormatError, match=r"a\.trc"):
        load_motion(path)


def test_one_set_of_markers_for_the_names_of_each_rig() -> None:
    motion = walk(seconds=0.2)
    assert {markers(renamed(motion, rig), "a").labels for rig in RIGS} == {markers(motion, "a").labels}
