"""The lifter: what the network is shown, and that a clip, its blocks and its stream give the same poses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stpose_core.data import Camera, Keypoints
from stpose_core.errors import WeightsError
from stpose_core.lift import Lifter, lifter, load_lifter
from stpose_core.lift.normalise import network_inputs, person_view, view_rotation
from stpose_core.lift.torch_network import TorchNetwork
from stpose_core.networks.heads import MAP_CELLS
from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.networks.temporal import TemporalNetwork
from stpose_core.skeletons import H36M17
from stpose_core.weights import write_weights

SIZE = (1280, 720)
SMALL = TemporalConfig(latent=24, width=16)


CAUSAL = TemporalConfig(latent=24, width=16, spread=1, place_window=2, output="projective", look_ahead=4)


def lifter_of(config: TemporalConfig) -> Lifter:
    torch.manual_seed(1)
    network = TemporalNetwork(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
        elif isinstance(module, torch.nn.Conv1d):
            torch.nn.init.normal_(module.weight, std=0.2)
    return Lifter(TorchNetwork(network))


@pytest.fixture
def small() -> Lifter:
    return lifter_of(SMALL)


def person(frames: int, fps: float = 30.0, seed: int = 0) -> Keypoints:
    """A standing figure that sways and wanders through the picture, some joints unseen."""
    rng = np.random.default_rng(seed)
    shape = np.array(
        [
            (0, 0),
            (-20, 0),
            (-22, 90),
            (-22, 180),
            (20, 0),
            (22, 90),
            (22, 180),
            (0, -50),
            (0, -100),
            (0, -115),
            (0, -140),
        ]
        + [(35, -95), (50, -40), (55, 10), (-35, -95), (-50, -40), (-55, 10)],
        dtype=float,
    )
    time = np.arange(frames) / fps
    sway = rng.normal(0, 8, (17, 2))[None] * np.sin(2 * np.pi * time[:, None, None] * rng.uniform(0.3, 1, (17, 1))[None])
    xy = shape + sway + np.stack((500 + 60 * time, 350 + 20 * np.sin(time)), -1)[:, None]
    score = rng.uniform(0.5, 1, (frames, 17))
    score[rng.random((frames, 17)) < 0.1] = 0
    return Keypoints(np.where(score[..., None] > 0, xy, np.nan), score, fps, SIZE, "h36m17")


def worst(a: np.ndarray, b: np.ndarray) -> float:
    assert (np.isfinite(a) == np.isfinite(b)).all()
    return float(np.nanmax(np.abs(a - b)))


@pytest.mark.parametrize("fps", [30.0, 60.0])
@pytest.mark.parametrize("config", [SMALL, CAUSAL])
def test_stream_gives_what_the_whole_clip_gives(config: TemporalConfig, fps: float) -> None:
    lifter, clip = lifter_of(config), person(150, fps)
    whole = lifter(clip)
    stream = lifter.stream(fps, SIZE)
    poses = [pose for t in range(len(clip)) if (pose := stream.push(clip.xy[t], clip.score[t])) is not None]
    poses += stream.finish()
    assert len(poses) == len(clip)
    assert worst(np.concatenate([pose.xyz for pose in poses]), whole.xyz) < 1e-4
    assert worst(np.concatenate([pose.root for pose in poses]), whole.root) < 1e-4
    assert worst(np.concatenate([pose.sigma for pose in poses]), whole.sigma) < 1e-4
    # The check can fail: one frame of shift is far more than the tolerance.
    assert worst(np.concatenate([pose.xyz for pose in poses])[1:], whole.xyz[:-1]) > 1e-3


@pytest.mark.parametrize(("config", "after"), [(CAUSAL, 4), (SMALL, 80)])
def test_a_causal_lifter_answers_after_four_frames(config: TemporalConfig, after: int) -> None:
    lifter, clip = lifter_of(config), person(200)
    assert lifter.delay == after
    stream = lifter.stream(30, SIZE)
    answers = [stream.push(clip.xy[t], clip.score[t]) for t in range(after + 1)]
    assert [answer is not None for answer in answers] == [False] * after + [True]


def test_no_output_of_a_causal_lifter_depends_on_later_frames() -> None:
    clip = person(200)
    moved = np.array(clip.xy)
    moved[150:] += 40.0
    other = Keypoints(moved, clip.score, clip.fps, SIZE, "h36m17")
    for config, ahead in ((CAUSAL, 4), (SMALL, 80)):
        lifter = lifter_of(config)
        off = np.abs(lifter(clip).xyz - lifter(other).xyz).max((1, 2))
        assert off[: 150 - ahead].max() < 1e-5  # rounding
        assert off[150 - ahead // 2] > 1e-4  # and the frames within the look-ahead count, so the check can fail


def test_a_window_may_not_exceed_the_look_ahead() -> None:
    with pytest.raises(ValueError, match="a window of 5 frames exceeds the look_ahead of 4"):
        TemporalConfig.from_dict({"look_ahead": 4, "output_window": 5})


def test_stream_of_a_clip_shorter_than_its_delay(small: Lifter) -> None:
    clip = person(7)
    stream = small.stream(30, SIZE)
    assert all(stream.push(clip.xy[t], clip.score[t]) is None for t in range(7))
    poses = stream.finish()
    assert worst(np.concatenate([pose.xyz for pose in poses]), small(clip).xyz) < 1e-4


def test_blocks_of_a_long_clip_join_without_a_seam(small: Lifter, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = person(200)
    whole = small(clip)
    monkeypatch.setattr(lifter, "_BLOCK", 64)
    assert worst(small(clip).xyz, whole.xyz) < 1e-4


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(5, (1, 6)), (12, (1, 2)), (24, (1, 1)), (25, (1, 1)), (30, (1, 1)), (60, (2, 1)), (240, (8, 1))],
)
def test_every_frame_rate_is_brought_near_thirty(fps: float, expected: tuple[int, int]) -> None:
    every, between = lifter.phases(fps)
    assert (every, between) == expected
    assert 20 < fps / every * between < 45


@pytest.mark.parametrize("fps", [5.0, 24.0, 59.94, 240.0])
@pytest.mark.parametrize("frames", [1, 2, 61])
def test_as_many_poses_as_frames_at_any_rate(small: Lifter, fps: float, frames: int) -> None:
    pose = small(person(frames, fps))
    assert len(pose) == frames
    assert pose.fps == fps
    assert pose.posed.all()


def test_interleaving_a_doubled_clip_repeats_it(small: Lifter) -> None:
    """Each frame shown twice at 60 fps is the same clip at 30: the network never sees 60 fps."""
    clip = person(80)
    double = Keypoints(np.repeat(clip.xy, 2, 0), np.repeat(clip.score, 2, 0), 60, SIZE, "h36m17")
    assert worst(small(double).xyz[::2], small(clip).xyz) < 1e-5


def test_a_long_gap_has_no_pose_and_a_short_one_has(small: Lifter) -> None:
    clip = person(200)
    score = np.array(clip.score)
    score[40:45] = 0
    score[100:160] = 0
    score[-3:] = 0
    pose = small(Keypoints(np.array(clip.xy), score, 30, SIZE, "h36m17"))
    assert pose.posed[:100].all()
    assert not pose.posed[100:160].any()
    assert pose.posed[160:-3].all()
    assert not pose.posed[-3:].any()
    assert pose.hidden[40:45].all()
    assert not pose.hidden[[39, 45]].all(axis=1).any()


def test_place_in_the_picture_and_size_do_not_change_what_the_network_reads() -> None:
    """The same person filmed by a camera that is turned by 20 degrees: the same joints, another context."""
    rng = np.random.default_rng(2)
    points = torch.tensor(rng.normal(0, 0.4, (1, 40, 17, 3)) + [0, 0, 4.0], dtype=torch.float32)
    angle = np.radians(20)
    turn = torch.tensor([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], dtype=torch.float32)
    score = torch.ones(1, 40, 17)
    seen = []
    for view in (points, points @ turn.T):
        rays = view[..., :2] / view[..., 2:]
        joints, context = network_inputs(rays, score, person_view(rays, score))
        seen.append((joints, context))

    def plain(view: torch.Tensor) -> torch.Tensor:
        flat = view[..., :2] / view[..., 2:]
        return (flat - flat.mean(2, keepdim=True)) / flat.std((2, 3), keepdim=True)

    assert (seen[0][0] - seen[1][0]).abs().max() < 0.03
    assert (plain(points) - plain(points @ turn.T)).abs().max() > 0.15  # without the person's own camera they differ
    assert (seen[0][1] - seen[1][1]).abs().max() > 0.2


def test_root_head_is_inverted_exactly() -> None:
    rays = torch.randn(2, 50, 17, 2) * 0.1 + 0.2
    view = person_view(rays, torch.ones(2, 50, 17))
    position = torch.tensor([0.5, -0.3, 4.0]).expand(2, 50, 3) + 0.1 * torch.randn(2, 50, 3)
    assert (view.root_to_camera(view.camera_to_root(position)) - position).abs().max() < 1e-4


def test_view_rotation_takes_the_ray_to_the_axis() -> None:
    centre = torch.tensor([[0.3, -0.7], [0.0, 0.0], [-1.5, 0.2]])
    rotation = view_rotation(centre)
    ray = torch.nn.functional.normalize(torch.cat((centre, torch.ones(3, 1)), -1), dim=-1)
    assert torch.allclose((rotation @ ray[..., None])[..., 0], torch.tensor([0.0, 0, 1]).expand(3, 3), atol=1e-6)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(3), atol=1e-6)


def test_hidden_joints_are_zeroed_and_flagged() -> None:
    rays, score = torch.randn(1, 40, 17, 2) * 0.1, torch.ones(1, 40, 17)
    score[:, :, 16] = 0
    joints, _ = network_inputs(rays, score, person_view(rays, score))
    assert (joints[:, :, 16] == 0).all()
    assert (joints[:, :, 15, 3] == 1).all()
    other = rays.clone()
    other[:, :, 16] = 99.0  # where a hidden joint is said to be must not matter
    again, _ = network_inputs(other, score, person_view(other, score))
    assert (again == joints).all()


@pytest.mark.parametrize("inputs", ["keypoints", "heatmaps"])
def test_both_input_paths_reach_the_pose_and_learn(inputs: str) -> None:
    torch.manual_seed(0)
    network = TemporalNetwork(TemporalConfig(inputs=inputs, latent=16, width=8, map_features=4, dropout=0))
    frames = 2 * network.config.context + 3
    shape = (1, frames, 17, MAP_CELLS, MAP_CELLS) if inputs == "heatmaps" else (1, frames, 17, 4)
    data = torch.rand(shape)
    out = network(data, torch.zeros(1, frames, 4))
    assert out.pose.shape == (1, 3, 17, 3)
    assert (out.pose[:, :, 0] == 0).all()
    out.pose.square().sum().backward()
    first = next(network.encoder.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


def test_each_branch_sees_its_span_and_no_more() -> None:
    config = TemporalConfig(latent=8, width=8)
    network = TemporalNetwork(config).eval()
    assert [branch.before + 1 + branch.ahead for branch in network.branches] == [17, 33, 65, 129]  # type: ignore[union-attr,operator]
    data = torch.randn(1, 131, 17, 4)
    changed = data.clone()
    changed[:, 0] += 5  # seen by the first of the three outputs alone
    with torch.no_grad():
        difference = (
            (network(data, torch.zeros(1, 131, 4)).pose - network(changed, torch.zeros(1, 131, 4)).pose).abs().amax((0, 2, 3))
        )
    assert difference[0] > 0
    assert (difference[1:] == 0).all()


def test_weights_survive_the_file_and_wrong_files_are_refused(small: Lifter, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "small.safetensors"
    write_weights(path, small.network.module.state_dict(), "temporal", {"network": SMALL.to_dict()})
    again = load_lifter(path)
    assert worst(again(person(30)).xyz, small(person(30)).xyz) < 2e-2  # fp16
    write_weights(path, small.network.module.state_dict(), "spatial", {"network": SMALL.to_dict()})
    with pytest.raises(WeightsError, match="kind 'spatial'"):
        load_lifter(path)
    write_weights(path, small.network.module.state_dict(), "temporal", {"network": TemporalConfig(latent=24, width=20).to_dict()})
    with pytest.raises(WeightsError, match="does not match"):
        load_lifter(path)
    path.write_text("not weights")
    with pytest.raises(WeightsError, match="not a readable"):
        load_lifter(path)
    with pytest.raises(WeightsError, match="no weights at"):
        load_lifter(tmp_path / "missing.safetensors")


NETWORK = SMALL.to_dict()


@pytest.mark.parametrize(
    "network",
    [
        {"inputs": "x"}, {"strides": 5}, {"strides": [1] * 3000}, {"strides": []}, {"strides": ["1"]}, {"strides": [-1]},
        {"strides": [10**9]}, {"latent": 10**9}, {"latent": "24"}, {"latent": 2.5}, {"width": True}, {"kernel": 4},
        {"kernel": None}, {"spread": 0}, {"dropout": 2}, {"dropout": "0"}, {"color": 1}, {"joints": 5}, {"visibility": 1},
    ],
)  # fmt: skip
def test_dimensions_from_a_file_are_not_trusted(small: Lifter, tmp_path: Path, network: dict[str, object]) -> None:
    path = tmp_path / "odd.safetensors"
    write_weights(path, small.network.module.state_dict(), "temporal", {"network": {**NETWORK, **network}})
    with pytest.raises(WeightsError) as caught:
        load_lifter(path)
    assert "\n" not in str(caught.value)
    if "joints" not in network:
        with pytest.raises(ValueError, match=next(iter(network))):
            TemporalConfig.from_dict({**NETWORK, **network})


def test_dimensions_come_back_and_left_out_ones_are_the_usual_ones() -> None:
    assert TemporalConfig.from_dict(NETWORK) == SMALL
    assert TemporalConfig.from_dict({}) == TemporalConfig()


@pytest.mark.skipif(os.name != "posix", reason="modes of files are of Unix")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_weights_file_can_be_read_by_whom_the_system_lets(small: Lifter, tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        for _ in range(2):  # new, and over an older one
            write_weights(tmp_path / "a.safetensors", small.network.module.state_dict(), "temporal", {"network": NETWORK})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == mode
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_nothing_on_the_device_is_double(small: Lifter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's graphics chips have no double precision."""
    calls: list[str] = []
    for name in ("cpu", "double", "type"):
        true = getattr(torch.Tensor, name)

        def called(self: torch.Tensor, *given: object, name: str = name, true: Callable[..., Any] = true) -> Any:
            calls.append(name)
            return true(self, *given)

        monkeypatch.setattr(torch.Tensor, name, called)
    small(person(5))
    assert set(calls) == {"cpu"}


def test_a_known_camera_scales_the_depth(small: Lifter) -> None:
    clip = person(20)
    near = small(clip, Camera(600, (640, 360)))
    far = small(clip, Camera(1200, (640, 360)))
    assert np.median(far.root[:, 2] / near.root[:, 2]) > 1.3


def test_mirroring_the_picture_mirrors_the_pose(small: Lifter) -> None:
    clip = person(40)
    mirror = list(H36M17.mirror)
    xy = np.array(clip.xy)[:, mirror] * [-1, 1] + [SIZE[0], 0]
    pose, other = small(clip), small(Keypoints(xy, np.array(clip.score)[:, mirror], 30, SIZE, "h36m17"))
    assert worst(other.xyz[:, mirror] * [-1, 1, 1], pose.xyz) < 1e-4
    assert worst(other.xyz * [-1, 1, 1], pose.xyz) > 1e-2
