"""The benchmark of heat maps: samples have the axes of training, what hides joints is told, and maps out of order lose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import map_errors
import map_samples
import map_scenes
import maps as benchmark
import numpy as np
import pytest
import torch
from map_errors import Errors
from map_scenes import COVERED, OUTSIDE, SEEN, TURNED_AWAY, Scene
from small_mocap import moving, write_folder
from stpose_training.synth.film import Layer
from stpose_training.synth.scene import View
from stpose_training.unlabelled import project

from stpose_core.data import Camera, Keypoints
from stpose_core.lift.heatmaps import Blobs, HeatMaps
from stpose_core.lift.torch_network import torch_lifter
from stpose_core.networks.lifting import make_network
from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.skeletons import H36M17
from stpose_core.weights import write_weights

SIZE = (320, 240)
WRISTS = H36M17.index("l_wrist", "r_wrist")
TINY = TemporalConfig(latent=16, width=8, strides=(1,), map_features=8, dropout=0.0, output="projective")


def scene_of(seed: int, frames: int = 80) -> Scene:
    """A swinging figure whose wrists the detector does not see, though its maps show them, weakly."""
    points = moving(frames, seed).astype(float) @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) + [0, 0.9, 3.0]
    camera = Camera.assumed(SIZE)
    xy = points[..., :2] / points[..., 2:] * camera.focal + np.array(SIZE) / 2
    score, state = np.full((frames, 17), 0.9), np.full((frames, 17), SEEN, np.uint8)
    score[:, WRISTS], state[:, WRISTS] = 0.05, COVERED
    axis = np.arange(32) + 0.5
    corner, cell = np.tile([40.0, 0.0], (frames, 1)), np.full(frames, 7.5)
    place = (xy - corner[:, None]) / 7.5
    along = np.exp(-0.5 * ((axis - place[..., None]) / 1.2) ** 2)
    values = score[..., None, None] * along[..., 1, :, None] * along[..., 0, None, :]
    keypoints = Keypoints(xy, score, 30.0, SIZE, H36M17.name)
    maps = HeatMaps(values.astype(np.float16), corner, cell)
    return Scene("person", keypoints, maps, points, state, camera.focal, np.array([0.0, -1.0, 0.0]))


def test_samples_of_scenes_have_the_axes_of_training() -> None:
    scene = scene_of(1)
    part = map_samples.part_of(scene, np.arange(80), np.ones(80, bool), True)
    assert part.maps is not None
    size = torch.exp(part.context[..., 2])
    for sample in (part, map_samples.mirrored(part)):
        seen = sample.joints[..., 3] > 0
        assert seen.sum() == 80 * 15
        assert (project(sample.pose, sample.root, size) - sample.joints[..., :2])[seen].abs().max() < 1e-4
        assert sample.maps is not None
        best = sample.maps.flatten(-2).argmax(-1)
        place = (torch.stack((best % 24, best // 24), -1) + 0.5) * (2.8 / 24) - 1.4
        assert (place - project(sample.pose, sample.root, size)).abs().amax() < 2.8 / 24
        assert (sample.up[..., 1] < -0.9).all()
    assert not torch.allclose(part.pose, map_samples.mirrored(part).pose, atol=0.05)
    # The control: with another camera the same joints have another place in space.
    wide = map_samples.part_of(replace(scene, focal=scene.focal / 2), np.arange(80), np.ones(80, bool), False)
    assert torch.allclose(wide.root[..., 2] - part.root[..., 2], torch.tensor(2.0).log(), atol=0.02)


def test_samples_are_the_same_with_and_without_maps() -> None:
    scenes = [scene_of(seed) for seed in range(2)]
    plain, more, other = (map_samples.drawn(scenes, 4, 20, maps, seed) for maps, seed in ((False, 5), (True, 5), (True, 6)))
    assert plain.maps is None
    assert more.maps is not None
    assert more.maps.shape == (4, 168, 17, 24, 24)
    assert all(torch.equal(getattr(plain, name), getattr(more, name)) for name in ("joints", "context", "pose", "root", "wrong"))
    assert not torch.equal(more.pose, other.pose)
    ends = more.joints[:, :20, :, 3].sum((1, 2))
    assert ((ends == 0) | (ends == 20 * 15)).all()


def test_what_hides_a_joint_is_told() -> None:
    view = View((0.0, -4.0, 1.0), (0.0, 0.0, 1.0), 100.0, (80, 80))
    joints = torch.zeros(17, 3)
    joints[:, 2] = 1.0
    joints[1, 0] = 9.0
    joints[2, 0], joints[3, 0] = 0.5, -0.5
    own, other = torch.full((80, 80), 3.95), torch.full((80, 80), torch.inf)
    own[:, 50:] = 3.0
    other[:, :30] = 2.0
    blank = torch.zeros(80, 80, 3)
    state = map_scenes.states(joints, [Layer(blank, own, own * 0), Layer(blank, other, own * 0)], view)
    assert state[:4].tolist() == [SEEN, OUTSIDE, TURNED_AWAY, COVERED]
    behind = map_scenes.states(joints, [Layer(blank, own, own * 0), Layer(blank, other * 3, own * 0)], view)
    assert behind[3] == SEEN


@pytest.mark.parametrize("way", ["maps", "summary"])
def test_maps_out_of_order_lose(way: str) -> None:
    """Joints that no keypoint shows stand left or right, each frame anew; the maps tell where."""
    torch.manual_seed(0)
    dimensions = {**TINY.to_dict(), "latent": 32, "output": "metric", **benchmark.WAYS[way]}
    network = make_network(TemporalConfig(**{**dimensions, "strides": (1,)}))  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    frames, reach = 40, network.config.context

    def error(order: torch.Tensor) -> torch.Tensor:
        side = 0.6 * (2.0 * (torch.rand(8, frames) > 0.5) - 1)
        place = torch.zeros(8, frames, 17, 1, 2)
        place[..., 0] = side[:, :, None, None]
        height = torch.full((8, frames, 17, 1), 0.1)
        maps = Blobs(place, height, torch.full_like(height, 0.12)).draw()[:, order]
        made = network(maps, torch.zeros(8, frames, 4), torch.zeros(8, frames, 17, 4)).pose
        return (made[:, :, 1:, 0] - side[:, reach:-reach, None]).abs().mean()

    for _ in range(80):
        loss = error(torch.arange(frames))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    told, control = (float(error(order).detach()) for order in (torch.arange(frames), torch.randperm(frames)))
    assert told < 0.3
    assert told < 0.6 * control


def test_the_table_counts_and_compares() -> None:
    scenes = [scene_of(seed, 70) for seed in range(3)]
    one, other = (Errors(np.full((70, 17), value), np.full((70, 17), value / 2)) for value in (0.1, 0.05))
    text = map_errors.table(["a", "b"], scenes, [[one] * 3, [other] * 3])
    assert "| hidden | 420 | 100.0 / 50.0 | 50.0 / 25.0 | 0.500 (0.500 to 0.500) |" in text
    assert "| in view | 2940 |" in text  # without the pelvis
    assert "exchanged sides" not in text


@pytest.mark.parametrize("way", ["peaks", "maps"])
def test_tuning_starts_from_the_given_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(map_samples, "OUTPUTS", 16)
    monkeypatch.setattr(benchmark, "BATCH", 4)
    start, out, scene = tmp_path / "start.safetensors", tmp_path / "out.safetensors", scene_of(1)
    header = {"architecture": "multi-stride", "network": TINY.to_dict()}
    torch.manual_seed(0)
    write_weights(start, make_network(TINY).state_dict(), "temporal", header)
    moved = {}
    for rate in (0.0, 1e-2):
        state = tmp_path / f"{rate}"
        benchmark.tune(way, [scene], write_folder(tmp_path), out, steps=2, rate=rate, start=start, state=state)
        given, tuned = (torch_lifter(path).network.module.state_dict() for path in (start, out))
        moved[rate] = float((tuned["heads.weight"] - given["heads.weight"]).abs().max())
        assert tuned["encoder.linear.weight"].shape == given["encoder.linear.weight"].shape
    assert moved[0.0] < 1e-4
    assert moved[1e-2] > 1e-3


def test_a_folder_without_scenes_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(benchmark.click.UsageError, match="make them first"):
        benchmark.read_scenes(tmp_path, "train")
