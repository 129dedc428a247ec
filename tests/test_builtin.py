"""The built-in detector on scripted and tiny networks: views, turns, scores, boxes, presence, weights, and what `auto` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stpose_cli.main import run as stpose
from stpose_training.spatial.calibrate import logistic_fit

from stpose_core import detect
from stpose_core.detect import builtin, load_detector
from stpose_core.detect.builtin import BuiltinDetector, Calibration, next_box
from stpose_core.detect.torch_runner import TorchRunner, folded
from stpose_core.detect.types import Box, Pose2D
from stpose_core.errors import DetectorError, WeightsError
from stpose_core.networks.configs import CELL, FinderConfig, SpatialConfig
from stpose_core.networks.finder import FinderNetwork
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.skeletons import H36M17
from stpose_core.track.tracker import PeopleTracker
from stpose_core.video import Frame
from stpose_core.weights import read_config, read_weights, write_weights

SPATIAL = SpatialConfig(size=(96, 128), stem=8, first=1, width=8, modules=(1,), blocks=1, head=16)
FINDER = FinderConfig(side=128, stem=8, widths=(8, 16), blocks=1, head=16)
# An upright person of height 1 and the feet at y = 1, in the order of h36m17.
BODY = np.array([
    (0, 0.5), (-0.08, 0.5), (-0.09, 0.72), (-0.09, 0.95), (0.08, 0.5), (0.09, 0.72), (0.09, 0.95), (0, 0.38), (0, 0.22), (0, 0.13),
    (0, 0.03), (0.12, 0.24), (0.16, 0.38), (0.18, 0.5), (-0.12, 0.24), (-0.16, 0.38), (-0.18, 0.5),
])  # fmt: skip


def write_detector(folder: Path, **header: object) -> Path:
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    spatial = {"network": SPATIAL.to_dict(), **header}
    write_weights(folder / "spatial.safetensors", SpatialNetwork(SPATIAL).state_dict(), "spatial", spatial)
    finder = {"network": FINDER.to_dict()}
    write_weights(folder / "finder.safetensors", FinderNetwork(FINDER).state_dict(), "finder", finder)
    return folder


class Scripted(BuiltinDetector):
    """Looks at pictures in which every joint is a square of its own hue on black, which its networks know."""

    def __init__(self, folder: Path, mirrored: bool = False) -> None:
        super().__init__(folder, mirrored)
        self._spatial = self._scripted_joints  # type: ignore[assignment]
        self._search._run = self._scripted_people  # type: ignore[assignment]
        self.views: list[np.ndarray] = []

    def _scripted_joints(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        maps = np.full((len(pictures), 17, 32, 24), -12.0, np.float32)
        for number, picture in enumerate(pictures):
            self.views.append(picture)
            for joint in range(17):
                rows, columns = where_is(picture, joint)
                if len(rows):
                    y, x = (np.arange(32) + 0.5) * 4 - rows.mean() - 0.5, (np.arange(24) + 0.5) * 4 - columns.mean() - 0.5
                    maps[number, joint] = -(y[:, None] ** 2 + x[None] ** 2) / (2 * 6.0**2)
                else:
                    maps[number, joint] = 0
        hidden = np.where(maps.max((2, 3)) > maps.min((2, 3)), -4.0, 4.0).astype(np.float32)
        return {"maps": maps, "hidden": hidden}

    def _scripted_people(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        red, _, blue = (pictures[0] + 0.5) * 255
        rows, columns = np.nonzero((red > 60) & (blue < 20))
        shape = (red.shape[0] // CELL, red.shape[1] // CELL)
        centre, sides = np.full((1, *shape), -9, np.float32), np.ones((1, 4, *shape), np.float32)
        if len(rows):
            low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
            column, row = ((low + high) / 2 // CELL).astype(int)
            at = (np.array([column, row]) + 0.5) * CELL
            centre[0, row, column], sides[0, :, row, column] = 3.0, [*(at - low), *(high - at)]
        up = np.zeros((1, 2, *shape), np.float32)
        up[:, 1] = -1
        return {"centre": centre, "sides": sides, "up": up}


def where_is(picture: np.ndarray, joint: int) -> tuple[np.ndarray, ...]:
    """Rows and columns of a joint's square in a picture (3, H, W), -0.5..0.5. What lies outside of pictures is grey."""
    red, green, blue = (picture + 0.5) * 255
    return np.nonzero((red > 60) & (blue < 20) & (np.abs(green / np.maximum(red, 1) - joint / 20) < 0.02))


def picture_of(joints: np.ndarray, size: tuple[int, int] = (400, 300), dot: int = 9) -> np.ndarray:
    """Black, with a square of its own hue for each joint."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for joint, (x, y) in enumerate(joints):
        half = dot // 2
        image[int(y) - half : int(y) + half + 1, int(x) - half : int(x) + half + 1] = (200, 10 * joint, 0)
    return image


def turned(joints: np.ndarray, angle: float, middle: tuple[float, float] = (200, 150)) -> np.ndarray:
    """Clockwise in the picture about a place."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (joints - middle) @ turn.T + middle


STANDING = BODY * 200 + (200, 50)


@pytest.fixture
def detector(tmp_path: Path) -> Scripted:
    return Scripted(write_detector(tmp_path / "weights", calibration={"joint": [0, 1, -0.5], "presence": [-1, 1, -1]}))


def around(joints: np.ndarray, angle: float = 0.0) -> Box:
    box = next_box(joints, np.ones(17), angle)
    return box


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2, -2.0, 3.0])
def test_joints_are_found_whichever_way_up_somebody_is(detector: Scripted, angle: float) -> None:
    joints = turned(STANDING, angle)
    box = around(joints)
    assert box.angle == pytest.approx(angle if abs(angle) > 0.6 else 0, abs=1e-6)
    pose = detector.pose(picture_of(joints), box)
    np.testing.assert_allclose(pose.xy, joints, atol=3)
    assert pose.presence > 0.9
    np.testing.assert_allclose(pose.box.centre, box.centre, atol=4)
    assert pose.box.size == pytest.approx(box.size, rel=0.05)
    if angle == np.pi / 2:  # in its view the person is upright: the head is above the ankles
        view = detector.views[-1]
        head, ankle = (where_is(view, joint)[0].mean() for joint in (10, 3))
        assert head < ankle - 60


def test_the_mean_with_the_mirror_image_exchanges_left_and_right(tmp_path: Path) -> None:
    torch.manual_seed(2)
    folder = write_detector(tmp_path / "weights")
    image = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    box = Box(112.0, 22.0, 288.0, 278.0)
    both = BuiltinDetector(folder, mirrored=True)
    sight, other = both.look(image, box), both.look(np.ascontiguousarray(image[:, ::-1]), box)
    mirror = list(H36M17.mirror)
    np.testing.assert_allclose(sight.maps, other.maps[mirror][..., ::-1], atol=2e-3)
    np.testing.assert_allclose(sight.hidden, other.hidden[mirror], atol=2e-3)
    plain = BuiltinDetector(folder)
    sight, other = plain.look(image, box), plain.look(np.ascontiguousarray(image[:, ::-1]), box)
    assert np.abs(sight.hidden - other.hidden[mirror]).max() > 5e-3, "one look alone is not the same"


def test_a_joint_that_is_not_there_has_a_low_score_and_does_not_widen_the_box(detector: Scripted) -> None:
    image = picture_of(STANDING)
    image[: int(STANDING[10, 1]) + 8] = 0
    pose = detector.pose(image, around(STANDING))
    assert pose.score[10] < 0.1
    assert pose.score[[0, 3, 6, 8, 11]].min() > 0.8
    assert pose.box.y0 > around(STANDING).y0 + 4
    empty = detector.pose(np.zeros_like(image), around(STANDING))
    assert empty.presence < 0.1
    assert empty.score.max() < 0.1


def test_people_are_found_and_followed_and_nobody_in_an_empty_room(detector: Scripted) -> None:
    tracker = PeopleTracker(detector)
    for number in range(30):
        moved = STANDING + (2.0 * number - 30, 0)
        image = picture_of(moved) if number >= 10 else np.zeros((300, 400, 3), np.uint8)
        tracker.update(Frame(number, number / 25, image))
    (track,) = tracker.tracks
    assert track.frames.tolist() == list(range(10, 30))
    np.testing.assert_allclose(track.xy[-1], STANDING + (28, 0), atol=3)


def test_a_box_stays_turned_where_the_trunk_cannot_be_told() -> None:
    lying = turned(STANDING, np.pi / 2)
    score = np.ones(17)
    score[H36M17.index("neck")] = 0.05
    assert next_box(lying, score, 1.4).angle == 1.4
    assert next_box(lying, np.ones(17), 0.0).angle == pytest.approx(np.pi / 2)
    assert next_box(turned(STANDING, 0.4), np.ones(17), 1.4).angle == 0.0


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, -2.0])
def test_the_view_of_one_seen_as_far_as_the_waist_has_room_for_the_legs(angle: float) -> None:
    """Without that, such people are seen larger than anybody was in training, and taken for small whole ones."""
    lower, score = list(H36M17.index("r_knee", "r_ankle", "l_knee", "l_ankle")), np.ones(17)
    whole = next_box(turned(STANDING, angle), score, angle)
    nowhere = STANDING.copy()
    nowhere[lower] = (150, 60)  # where joints lie that the network did not see says nothing
    score[lower] = 0.1
    room = next_box(turned(nowhere, angle), score, angle)
    assert room.size == pytest.approx(whole.size, rel=0.1)
    np.testing.assert_allclose(room.centre, whole.centre, atol=0.1 * whole.size)
    knee, hand = H36M17.index("r_knee", "r_wrist")
    nowhere[knee], score[knee] = STANDING[hand], 0.9  # now and then a hand is taken for a knee
    assert next_box(turned(nowhere, angle), score, angle).size == pytest.approx(whole.size, rel=0.1)
    (ankle,) = H36M17.index("r_ankle")
    nowhere[ankle], score[ankle] = (182, 180), 0.9  # who crouches is as small as that
    assert next_box(turned(nowhere, angle), score, angle).size < 0.85 * whole.size


def test_who_crouches_is_followed_while_ankles_come_and_go() -> None:
    """The next box grows and shrinks with the ankles by more than a person can; whoever is followed stays the same size."""
    crouched = STANDING.copy()
    crouched[list(H36M17.index("r_knee", "l_knee")), 1], crouched[list(H36M17.index("r_ankle", "l_ankle")), 1] = 150, 170

    class Seeing:
        name, skeleton = "seeing", "h36m17"

        def __init__(self) -> None:
            self.now, self.searched = np.ones(17), 0

        def find(self, image: np.ndarray) -> list[Box]:
            self.searched += 1  # only once found, so that whoever is lost stays lost
            return [Box(150, 40, 250, 180, 0.9)] if self.searched == 1 else []

        def pose(self, image: np.ndarray, box: Box) -> Pose2D:
            return Pose2D(crouched, self.now, 0.95, next_box(crouched, self.now, 0.0))

    detector = Seeing()
    tracker = PeopleTracker(detector)
    sizes = []
    for index in range(40):
        detector.now = np.ones(17)
        if index // 5 % 2:
            detector.now[list(H36M17.index("r_ankle", "l_ankle"))] = 0.1
        tracker.update(Frame(index, index / 30, np.zeros((300, 400, 3), np.uint8)))
        sizes.append(detector.pose(np.zeros(0), Box(0, 0, 1, 1)).box.size)
    assert max(sizes) > 1.67 * min(sizes)
    (track,) = tracker.tracks
    assert list(track.frames) == list(range(40))


def test_presence_goes_by_the_surer_half_of_the_joints() -> None:
    seen, unseen = np.full(17, 0.95), np.full(17, -4.0)
    half_mass, half_hidden = seen.copy(), unseen.copy()
    half_mass[:8], half_hidden[:8] = 0.05, 4.0
    calibration = Calibration()
    whole = calibration.present(seen, unseen)
    assert calibration.present(half_mass, half_hidden) == pytest.approx(whole)
    # Sharp maps of joints that are said to be hidden, as on furniture, are nobody; nor are visible ones that lie nowhere.
    assert calibration.present(seen, -unseen) < 0.5 < 0.9 < whole
    assert calibration.present(np.full(17, 0.01), unseen) < 0.5


def test_scores_follow_the_calibration_in_the_weights(tmp_path: Path) -> None:
    mass, hidden = np.array([0.9, 0.9, 0.1]), np.array([-3.0, 3.0, -3.0])
    first, second, third = Calibration().score(mass, hidden)
    assert first > second
    assert first > third
    given = {"joint": [1.0, 2.0, -1.0], "presence": [0.0, 1.0, -2.0]}
    folder = write_detector(tmp_path / "weights", calibration=given)
    assert BuiltinDetector(folder).calibration == Calibration((1.0, 2.0, -1.0), (0.0, 1.0, -2.0))
    for damaged in ({"joint": [1, 2]}, {"joint": "abc", "presence": [1, 2, 3]}, {"joint": [1, 2, "x"], "presence": [0, 1, 2]}, [1]):
        with pytest.raises(DetectorError, match="damaged"):
            BuiltinDetector(write_detector(tmp_path / "weights", calibration=damaged))


def test_a_logistic_regression_finds_what_answers_were_drawn_from() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(20000, 2))
    chance = 1 / (1 + np.exp(-(0.5 + features @ (1.5, -0.7))))
    answers = random.random(20000) < chance
    np.testing.assert_allclose(logistic_fit(features, answers), (0.5, 1.5, -0.7), atol=0.06)
    often = logistic_fit(features, answers, np.where(answers, 1.0, 20.0))
    np.testing.assert_allclose(often, (0.5 - np.log(20), 1.5, -0.7), atol=0.12)
    assert np.isfinite(logistic_fit(features, features[:, 0] > 0)).all()


def test_missing_and_wrong_weights_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_detector(tmp_path / "weights")
    assert load_detector(folder).name == load_detector("builtin", weights=folder).name == "builtin"
    (folder / "finder.safetensors").unlink()
    with pytest.raises(DetectorError, match=r"does not contain a built-in detector \(finder.safetensors missing\)"):
        load_detector(folder)
    (folder / "finder.safetensors").write_bytes((folder / "spatial.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="kind 'spatial'"):
        load_detector("builtin", weights=folder)
    (folder / "spatial.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="not a readable"):
        load_detector("builtin", weights=folder)
    assert stpose(["pose", str(tmp_path / "a.png"), "-o", str(tmp_path / "a.json"), "--detector", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_auto_takes_the_builtin_one_only_where_it_has_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def named(name: str) -> Any:
        return lambda **options: name

    for passed, expected in ((None, "other"), (False, "other"), (True, "builtin"), ("yes", "other")):
        folder = write_detector(tmp_path / "weights", **({} if passed is None else {"passed": passed}))
        monkeypatch.setattr(detect, "DETECTOR", folder)
        monkeypatch.setattr(detect, "_builtin", named("builtin"))
        monkeypatch.setattr(detect, "_mediapipe", named("other"))
        monkeypatch.setattr("stpose_core.detect.mediapipe.bundled_models", lambda: None)
        assert load_detector("auto") == expected, passed
    (tmp_path / "weights" / "finder.safetensors").unlink()
    assert load_detector("auto") == "other"


def test_without_weights_the_builtin_one_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(builtin, "DETECTOR", tmp_path)
    with pytest.raises(DetectorError, match="has no weights"):
        load_detector("builtin")


def test_folding_changes_layers_and_not_outputs() -> None:
    network = SpatialNetwork(SPATIAL)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1)
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
    network.eval()
    picture = np.random.default_rng(0).random((1, 3, 128, 96), np.float32) - 0.5
    with torch.no_grad():
        expected = network(torch.from_numpy(picture))
    outputs = TorchRunner(network)(picture)
    np.testing.assert_allclose(outputs["maps"], expected.maps, atol=1e-4)
    np.testing.assert_allclose(outputs["hidden"], expected.hidden, atol=1e-4)
    norms = [sum(isinstance(m, torch.nn.BatchNorm2d) for m in n.modules()) for n in (network, folded(network))]
    assert norms[1] == 1, "all but the one that follows a sum"
    assert norms[0] > 10


def test_a_header_is_read_without_its_tensors(tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "weights", passed=True)
    config = read_config(folder / "spatial.safetensors", "spatial")
    assert config == read_weights(folder / "spatial.safetensors", "spatial")[1]
    with pytest.raises(WeightsError, match="no weights"):
        read_config(folder / "none", "spatial")
