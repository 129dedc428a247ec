"""Small facts that every stage relies on, each of which a wrong sign, threshold or mean once passed through unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import BarDetector, film, lift_standing
from test_lift import SIZE, person
from test_tracker import RED, Actor, Stage, follow

import stpose_core as sp
from stpose_core.animate import animate
from stpose_core.data import Keypoints
from stpose_core.detect import builtin
from stpose_core.detect.boxes import extent
from stpose_core.detect.search import _without_repeats
from stpose_core.detect.types import Box
from stpose_core.lift import Lifter
from stpose_core.lift.torch_network import TorchNetwork
from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.networks.temporal import TemporalNetwork
from stpose_core.preview import write_preview
from stpose_core.skeletons import H36M17
from stpose_core.video import frame_times, read_frames


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    torch.manual_seed(3)
    network = TemporalNetwork(TemporalConfig(latent=24, width=16, contacts=4))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.init.normal_(module.weight, std=0.2)
    return Lifter(TorchNetwork(network))


def mirrored(clip: Keypoints) -> Keypoints:
    xy = np.array(clip.xy)[:, list(H36M17.mirror)] * [-1, 1] + [SIZE[0], 0]
    return Keypoints(xy, np.array(clip.score)[:, list(H36M17.mirror)], clip.fps, SIZE, H36M17.name)


def test_the_mirror_image_of_a_clip_has_the_mirror_image_of_each_output(lifter: Lifter) -> None:
    """Root, expected error, up and contacts too, each with its sides exchanged and only x with the other sign."""
    clip = person(40)
    pose, other = lifter(clip), lifter(mirrored(clip))
    mirror, side = list(H36M17.mirror), np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(other.root * side, pose.root, atol=1e-4)
    np.testing.assert_allclose(other.sigma[:, mirror], pose.sigma, atol=1e-5)
    np.testing.assert_allclose(other.up * side, pose.up, atol=1e-5)
    assert pose.contacts is not None
    assert other.contacts is not None
    np.testing.assert_allclose(other.contacts[:, [2, 3, 0, 1]], pose.contacts, atol=1e-5)
    # The controls: none of these is the same in both clips.
    for one, two in ((other.root, pose.root), (other.sigma, pose.sigma), (other.contacts, pose.contacts)):
        assert np.abs(np.asarray(one) - np.asarray(two)).max() > 1e-4


def test_the_expected_error_is_the_mean_of_both_looks(lifter: Lifter) -> None:
    clip = person(40)
    own, other = lifter(clip, flip=False), lifter(mirrored(clip), flip=False)
    expected = (own.sigma + other.sigma[:, list(H36M17.mirror)]) / 2
    np.testing.assert_allclose(lifter(clip).sigma, expected, rtol=1e-5)


@pytest.mark.parametrize(("colour", "people"), [(RED, 1), ((40, 60, 210), 2)])
def test_clothes_decide_whether_a_person_who_returns_is_the_same(colour: tuple[int, int, int], people: int) -> None:
    """Lost and found again at the same place: the same person in the same clothes, another one in other clothes."""
    first = Actor(lambda frame: 160 if frame < 40 else None)
    second = Actor(lambda frame: 160 if frame >= 55 else None, colour)
    assert len(follow(Stage(first, second), 100)) == people


def test_a_box_is_that_of_all_joints_where_few_are_seen() -> None:
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 40.0], [0.0, 40.0], [100.0, 100.0]])
    assert extent(xy, np.array([0.9, 0.9, 0.9, 0.9, 0.1])).x1 == 10
    assert extent(xy, np.array([0.9, 0.9, 0.9, 0.1, 0.1])).x1 == 100
    assert extent(np.full((5, 2), np.nan), np.zeros(5)).size == 0


def test_of_boxes_on_one_person_the_surest_is_kept_and_neighbours_stay() -> None:
    """Overlap of two boxes of equal size is kept apart up to 0.55: intersection over union, not over one of them."""
    sure = Box(0, 0, 100, 100, 0.9)
    near, beside = Box(25, 0, 125, 100, 0.6), Box(35, 0, 135, 100, 0.5)  # overlaps of 0.60 and 0.48
    assert _without_repeats([near, sure]) == [sure]
    assert _without_repeats([beside, sure]) == [sure, beside]


def test_the_next_box_is_wider_than_the_joints_by_the_margin() -> None:
    xy = np.zeros((17, 2))
    xy[:, 1] = np.linspace(0, 200, 17)
    xy[1], xy[0], xy[8] = (0, 0), (0, 100), (0, 20)  # the highest joint; pelvis and neck, upright
    box = builtin.next_box(xy, np.ones(17), 0.0)
    assert box.y1 - box.y0 == pytest.approx(200 * (1 + 2 * 0.09))
    assert box.x1 - box.x0 == pytest.approx(200 * 2 * 0.09)


def test_a_preview_of_a_variable_rate_shows_each_moment_at_its_time(tmp_path: Path) -> None:
    """Two seconds in which frames come at 25, then at 5 a second: the bar's place in the preview follows the clock."""
    stamps = [*range(25), *range(25, 50, 5)]
    path = film(tmp_path / "a.mp4", 25, stamps)
    captured = sp.capture_people(path, detector=BarDetector(), person="largest", lifter=lift_standing, fps=25)  # type: ignore[arg-type]
    write_preview(captured, tmp_path / "preview.mp4")
    left = [np.flatnonzero((frame.image[60] > 120).all(-1)).min() for frame in read_frames(tmp_path / "preview.mp4")]
    assert len(left) == len(captured[0]) == 46
    times = frame_times(path)
    for number in range(46):
        shown = np.searchsorted(times, number / 25 + 1e-6) - 1  # the last frame that was filmed by then
        nearest = np.abs(times - number / 25).argmin()
        expected = {50 + round(40 * stamps[at] / stamps[-1]) for at in (shown, nearest)}
        assert min(abs(left[number] - place) for place in expected) <= 3, number


def test_frames_without_a_detection_are_marked_as_filled(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 60, there=[*range(20), *range(35, 60)])
    (captured,) = sp.capture_people(path, detector=BarDetector(), person="largest", lifter=lift_standing)  # type: ignore[arg-type]
    assert set(np.flatnonzero(captured.motion.filled)) == set(range(20, 35))
    # A pose that the network bridged is there, and was not seen either.
    pose = lift_standing(Keypoints(np.zeros((6, 17, 2)) + 50, np.ones((6, 17)), 25, (160, 120), "h36m17"))
    hidden = np.array(pose.hidden)
    hidden[2] = True
    assert list(np.flatnonzero(animate(replace(pose, hidden=hidden)).filled)) == [2]
