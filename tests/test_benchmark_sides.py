"""The benchmark of exchanged sides: a person who turns about turns, and exchanged sides are counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sides
import torch
from stpose_training.synth.poses import Clip

from stpose_core.detect.types import Box, Pose2D
from stpose_core.skeletons import H36M17
from stpose_core.track.track import Track


def clip(frames: int) -> Clip:
    """Two joints that walk ahead (along y), facing ahead."""
    quats = torch.zeros(frames, 2, 4)
    quats[..., 0] = 1.0
    root = torch.zeros(frames, 3)
    root[:, 1], root[:, 2] = torch.arange(frames) * 0.02, 0.9
    return Clip(("root", "end"), (-1, 0), torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.3, 0.0]]), quats, root)


def test_a_person_who_turns_faces_every_way_and_walks_where_they_face() -> None:
    _, places = sides.turned(clip(91), 360).world()
    ahead = places[:, 1] - places[:, 0]
    angle = torch.rad2deg(torch.atan2(-ahead[:, 0], ahead[:, 1]))
    assert torch.allclose(angle[[0, 30, 60]], torch.tensor([0.0, 120.0, -120.0]), atol=0.01)
    step = torch.diff(places[:, 0], dim=0)
    along = torch.nn.functional.cosine_similarity(step, ahead[1:], dim=1)
    assert along.min() > 0.999
    _, plain = sides.turned(clip(91), 0).world()
    assert torch.allclose(plain, clip(91).world()[1], atol=1e-5)


@pytest.mark.parametrize("wrong", [0, 7])
def test_frames_with_exchanged_sides_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    film = sides.FILMS[0]
    truth = np.random.default_rng(0).uniform(0, 200, (20, 17, 2))
    truth[:, H36M17.index("l_shoulder", "r_shoulder", "l_hip", "r_hip")] = (80, 50), (20, 50), (70, 150), (30, 150)
    np.savez(tmp_path / f"{film.name}.npz", xy=truth)
    track = Track(1, "h36m17")
    for frame in range(20):
        xy = truth[frame, H36M17.mirror] if frame < wrong else truth[frame]
        track.add(frame / 30, frame, Pose2D(xy, np.ones(17), 1.0, Box(0, 0, 200, 200)))
    monkeypatch.setattr(sides, "follow", lambda path, detector: ([track], 20, (360, 480)))
    frames, exchanged = sides.exchanged(tmp_path, film, None)
    assert (frames, exchanged.sum(), exchanged[:wrong].all()) == (20, wrong, True)
