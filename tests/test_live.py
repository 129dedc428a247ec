"""Live capture: frames in real time, one person followed, poses that are the lifter's, and senders that never wait."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.spatial.transform import Rotation
from stpose_cli.main import cli, run

from stpose_core.animate import forward_kinematics
from stpose_core.animate.body import NAMES, PARENTS
from stpose_core.data import Camera, Motion, Pose3D
from stpose_core.detect.types import Box, Detector, Image, Pose2D
from stpose_core.errors import StposeError, VideoError
from stpose_core.lift import Lifter
from stpose_core.lift.torch_network import TorchNetwork
from stpose_core.live import LiveBody, LivePose, LiveReport, NewestFrame, run_live
from stpose_core.live import source as live_source
from stpose_core.live.one_euro import OneEuro
from stpose_core.live.person import LivePerson
from stpose_core.live.source import LiveFrame
from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.networks.temporal import TemporalNetwork

EXAMPLE = Path(__file__).parents[1] / "examples"
CAMERA = Camera(150.0, (80.0, 60.0))
CAUSAL = TemporalConfig(latent=16, width=8, spread=1, strides=(1, 2), output="projective", place_window=1, look_ahead=1)


class Figure(Detector):
    """Sees a person of 17 joints at `place` in every picture, unless `there` is false. Counts its looks."""

    name, skeleton = "figure", "h36m17"

    def __init__(self) -> None:
        self.there, self.place, self.searches, self.seconds = True, np.array([60.0, 50.0]), 0, 0.0

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        self.searches += 1
        return [self._box()] if self.there else []

    def pose(self, image: Image, box: Box) -> Pose2D:
        time.sleep(self.seconds)
        shape = np.random.default_rng(0).uniform(-20, 20, (17, 2))
        return Pose2D(self.place + shape, np.full(17, 0.9), 0.99 if self.there else 0.0, self._box())

    def _box(self) -> Box:
        x, y = self.place
        return Box(x - 20, y - 20, x + 20, y + 20)


def standing(up: tuple[float, float, float] = (0.0, -1.0, 0.0), lift: float = 0.0) -> Pose3D:
    """A person who faces the camera upright, three metres away, arms hanging; camera axes: x right, y down, z forward."""
    spots = {
        0: (0, 0), 1: (-0.1, 0), 2: (-0.1, -0.42), 3: (-0.1, -0.84), 4: (0.1, 0), 5: (0.1, -0.42), 6: (0.1, -0.84), 7: (0, 0.25),
        8: (0, 0.5), 9: (0, 0.62), 10: (0, 0.75), 11: (0.17, 0.48), 12: (0.2, 0.2), 13: (0.22, -0.05), 14: (-0.17, 0.48),
        15: (-0.2, 0.2), 16: (-0.22, -0.05),
    }  # fmt: skip
    xyz = np.zeros((1, 17, 3))
    for joint, (left, high) in spots.items():
        xyz[0, joint] = (left, -high, 0.0)
    root = np.array([[0.0, 0.1 - lift, 3.0]])
    return Pose3D(xyz, root, np.zeros((1, 17), bool), np.full((1, 17), 0.03), np.array(up), 30.0, "h36m17", CAMERA)


def missing() -> Pose3D:
    pose = standing()
    return Pose3D(
        np.full((1, 17, 3), np.nan), np.full((1, 3), np.nan), np.ones((1, 17), bool), pose.sigma, pose.up, 30.0, "h36m17", CAMERA
    )


def positions(pose: LivePose) -> dict[str, np.ndarray]:
    motion = Motion(
        NAMES, np.array(PARENTS), pose.offsets, pose.rotations[None], pose.root[None], np.zeros((1, 4)), np.zeros(1, bool), 30.0
    )
    return dict(zip(NAMES, forward_kinematics(motion)[0]))


def lifter(config: TemporalConfig = CAUSAL) -> Lifter:
    torch.manual_seed(0)
    return Lifter(TorchNetwork(TemporalNetwork(config)))


def test_a_pose_becomes_the_rotations_that_give_it_back() -> None:
    body = LiveBody()
    for step in range(60):
        pose = body.update(standing(), step / 30, step)
    assert pose is not None
    joints = positions(pose)
    seen = standing().xyz[0]
    # The world has y up; who faces the camera faces +z, so the picture's right is the world's x.
    for name, joint in (("LeftHand", 13), ("RightFoot", 3), ("Head", 9), ("LeftForeArm", 12)):
        expected = np.array([seen[joint, 0], -seen[joint, 1], -seen[joint, 2]])
        assert np.abs(joints[name] - joints["Hips"] - expected).max() < 0.03, name
    assert abs(min(joint[1] for joint in joints.values())) < 0.02  # it stands on the floor
    assert np.hypot(*joints["Hips"][[0, 2]]) < 1e-6  # where it was first is the origin


def test_a_jump_leaves_the_floor_and_a_leaning_camera_does_not_lean_the_person() -> None:
    body = LiveBody()
    for step in range(90):
        body.update(standing(), step / 30, step)
    for step in range(90, 96):
        pose = body.update(standing(lift=0.3), step / 30, step)
    assert pose is not None
    assert min(joint[1] for joint in positions(pose).values()) > 0.15
    turned = Rotation.from_euler("x", 20, degrees=True)
    leaning = LiveBody()
    for step in range(60):
        own = standing()
        tipped = Pose3D(
            turned.apply(own.xyz[0])[None],
            turned.apply(own.root),
            own.hidden,
            own.sigma,
            turned.apply(own.up),
            30.0,
            "h36m17",
            CAMERA,
        )
        pose = leaning.update(tipped, step / 30, step)
    assert pose is not None
    joints = positions(pose)
    trunk = joints["Neck"] - joints["Hips"]
    assert trunk[1] / np.linalg.norm(trunk) > np.cos(np.radians(3))
    # The check can fail: with the up of a level camera the same joints lean.
    unaware = LiveBody()
    for step in range(60):
        pose = unaware.update(
            Pose3D(tipped.xyz, tipped.root, own.hidden, own.sigma, own.up, 30.0, "h36m17", CAMERA), step / 30, step
        )
    assert pose is not None
    trunk = positions(pose)["Neck"] - positions(pose)["Hips"]
    assert trunk[1] / np.linalg.norm(trunk) < np.cos(np.radians(15))


def test_who_leaves_is_said_to_be_absent_and_nothing_comes_before_the_first_person() -> None:
    body = LiveBody()
    assert body.update(missing(), 0.0, 0) is None
    shown = body.update(standing(), 0.1, 1)
    assert shown is not None
    assert shown.present
    gone = body.update(missing(), 0.2, 2)
    assert gone is not None
    assert not gone.present
    assert np.array_equal(gone.rotations, shown.rotations)


def test_one_euro_calms_what_rests_and_follows_what_moves() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 300)
    still, moving = OneEuro(1.0, 10.0), OneEuro(1.0, 10.0)
    rest = np.array([still(np.array([value]), 1 / 30)[0] for value in noise])
    assert rest[60:].std() < 0.5 * noise.std()
    way = np.arange(300) / 30 * 2.0  # two metres a second
    followed = np.array([moving(np.array([value]), 1 / 30)[0] for value in way])
    assert abs(followed[-1] - way[-1]) < 0.05
    # Without the rise of the cut-off it lags by a third of a metre.
    stiff = OneEuro(1.0, 0.0)
    assert abs([stiff(np.array([value]), 1 / 30)[0] for value in way][-1] - way[-1]) > 0.2


def test_a_person_is_followed_without_searching_and_searched_for_when_lost() -> None:
    detector, image = Figure(), np.zeros((120, 160, 3), np.uint8)
    person = LivePerson(detector)
    assert person.update(image, 0.0) is not None
    for step in range(1, 30):
        assert person.update(image, step / 30) is not None
    assert detector.searches == 1
    detector.there = False
    assert person.update(image, 1.0) is None
    searched = detector.searches
    for step in range(31, 60):
        assert person.update(image, step / 30) is None
    assert 2 <= detector.searches - searched <= 3  # every 0.4 s, not in every frame
    detector.there = True
    found = [person.update(image, 2 + step / 30) is not None for step in range(15)]
    assert found[-1]


def test_a_follower_whom_no_search_confirms_is_given_up() -> None:
    detector, image = Figure(), np.zeros((120, 160, 3), np.uint8)
    person = LivePerson(detector)
    person.update(image, 0.0)
    detector.find = lambda image, thorough=False: []  # type: ignore[method-assign]  # a lamp that looks like a pose
    seen = [person.update(image, step / 10) is not None for step in range(1, 100)]
    assert seen[:70] == [True] * 70
    assert not seen[-1]


def pictures(monkeypatch: pytest.MonkeyPatch, count: int, seconds: float) -> None:
    def frames(path: str) -> Iterator[np.ndarray]:
        for number in range(count):
            time.sleep(seconds if number else 0)
            yield np.full((120, 160, 3), number % 250, np.uint8)

    monkeypatch.setattr(live_source, "_file", frames)


def test_a_slow_consumer_gets_the_newest_frame_and_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(monkeypatch, 60, 0.005)
    with NewestFrame("clip") as source:
        taken = []
        while (frame := source.take()) is not None:
            taken.append(frame)
            time.sleep(0.05)
    assert len(taken) < 20
    assert [frame.index for frame in taken] == sorted({frame.index for frame in taken})
    assert all(int(frame.image[0, 0, 0]) == frame.index for frame in taken)


def test_a_camera_that_breaks_or_hangs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> Iterator[np.ndarray]:
        yield np.zeros((120, 160, 3), np.uint8)
        raise VideoError("camera 3 was disconnected")

    monkeypatch.setattr(live_source, "_file", broken)
    with NewestFrame("clip") as source:
        assert source.take() is not None
        with pytest.raises(VideoError, match="camera 3 was disconnected"):
            source.take()

    hangs = threading.Event()

    def silent(path: str) -> Iterator[np.ndarray]:
        yield np.zeros((120, 160, 3), np.uint8)
        hangs.wait(10)

    monkeypatch.setattr(live_source, "_file", silent)
    monkeypatch.setattr(live_source, "SILENT_SECONDS", 0.1)
    with NewestFrame("clip") as source:
        source.take()
        with pytest.raises(VideoError, match=r"no frame for 0.1 s"):
            source.take()
        hangs.set()


def test_only_a_causal_lifter_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(monkeypatch, 3, 0.01)
    with NewestFrame("clip") as source, pytest.raises(StposeError, match="looks 16 frames ahead; live capture takes 8 at most"):
        run_live(source, detector=Figure(), lifter=lifter(TemporalConfig(latent=8, width=8, strides=(1,), look_ahead=16)))


def test_memory_of_a_session_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    pictures(monkeypatch, 10**9, 0.0)
    monkeypatch.setattr("stpose_core.live.session._SHORTEST", 0.0)
    monkeypatch.setattr("stpose_core.live.body._MEASURED", 40)
    sizes: list[int] = []
    count = 0

    def watch(*_: object) -> bool:
        nonlocal count
        count += 1
        if count == 50:  # tracing is slow; what is held from before is replaced by frame 100
            tracemalloc.start()
        if count in (100, 200):
            sizes.append(tracemalloc.get_traced_memory()[0])
        return count < 200

    try:
        with NewestFrame("clip") as source:
            run_live(source, detector=Figure(), lifter=lifter(), watch=watch)
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 200_000  # three pictures; what is kept of each frame would be more


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--camera", "100"], "cameras have numbers from 0 to 99"),
        (["--camera", "nowhere.mp4"], "nowhere.mp4"),
        (["--json", "host:99999"], "is no address"),
        (["--focal", "900", "--fov", "60"], "focal and fov both set"),
    ],
)
def test_users_errors_end_in_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["live", "--json", "0", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "\n" not in said


def test_the_window_shows_the_joints_and_ends_the_session_when_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    class Tk:
        TclError = RuntimeError
        close: Callable[[], None]
        shown: bytes = b""

        def title(self, name: str) -> None: ...
        def update(self) -> None: ...
        def destroy(self) -> None: ...
        def protocol(self, name: str, call: Callable[[], None]) -> None:
            Tk.close = call

    class Label:
        def __init__(self, root: Tk) -> None: ...
        def pack(self) -> None: ...
        def configure(self, image: bytes) -> None:
            Tk.shown = image

    fake = SimpleNamespace(Tk=Tk, TclError=RuntimeError, Label=Label, PhotoImage=lambda data: data)
    monkeypatch.setitem(sys.modules, "tkinter", fake)
    from stpose_cli.live_window import Window

    frame, pose = (
        LiveFrame(np.zeros((900, 1600, 3), np.uint8), 0.0, 0),
        Figure().pose(np.zeros((1, 1, 3), np.uint8), Box(0, 0, 1, 1)),
    )
    with Window("live", "h36m17") as window:
        assert window(frame, None, None)
        empty = cv2.imdecode(np.frombuffer(Tk.shown, np.uint8), cv2.IMREAD_COLOR)
        assert empty.shape == (405, 720, 3)
        assert not empty.any()
        assert window(frame, pose, None)
        assert cv2.imdecode(np.frombuffer(Tk.shown, np.uint8), cv2.IMREAD_COLOR)[:60, :60].any()
        Tk.close()
        assert not window(frame, pose, None)

    def no_display() -> None:
        raise RuntimeError("no display name")

    monkeypatch.setattr(fake, "Tk", no_display)
    with pytest.raises(StposeError, match="no window can be opened: no display name"):
        Window("live", "h36m17")
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(StposeError, match="python3-tk"):
        Window("live", "h36m17")


def test_keypoints_of_a_video_are_no_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(
        tmp_path / "joints.npz", xy=np.zeros((5, 17, 2)), score=np.ones((5, 17)), skeleton="h36m17", fps=30.0, image_size=[540, 720]
    )
    words = ["--camera", str(EXAMPLE / "walk.mp4"), "--detector", str(tmp_path / "joints.npz")]
    assert run(["live", "--json", "0", *words]) == 2
    assert "live capture needs a detector" in capsys.readouterr().err


def test_the_example_is_captured_live() -> None:
    result = CliRunner().invoke(cli, ["live", "--camera", str(EXAMPLE / "walk.mp4"), "--json", "0", "--detector", "builtin"])
    assert result.exit_code == 0, result.output
    assert "a second; delay" in result.output.splitlines()[-1]


def test_a_report_of_nobody() -> None:
    assert str(LiveReport()) == "0 frames; no person was detected"
