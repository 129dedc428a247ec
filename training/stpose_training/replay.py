"""Recorded motions filmed with cameras like those of the user: samples with 3D for adapting a lifter to footage without.

The positions of the user's cameras are estimated from the footage with the lifter itself: its up direction and distance.
All of this is a decision of this project.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stpose_core.data import Keypoints, Pose3D
from stpose_core.errors import TrainingError
from stpose_core.lift import Lifter
from stpose_core.lift.lifter import TRAINING_FPS, phases
from stpose_core.lift.normalise import view_rotation
from stpose_core.world.ground import room_from_camera
from stpose_training.conditions import at_tempo
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import Stands, film
from stpose_training.data.footage import Window
from stpose_training.data.mocap import Clip, MotionBank
from stpose_training.data.samples import Batch, Faults, new_motions, observe
from stpose_training.quality import runs_of

# Standard deviations of the drawn cameras around those of the footage: radians above, radians of roll, log distance.
_SURE = (0.1, 0.12, 0.3)
_UNSURE = (0.2, 0.45, 0.4)


_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # from y up


@dataclass(frozen=True)
class Look:
    """How a clip is filmed. above: radians by which the camera looks down on the person. roll: radians. log_distance: of metres.

    fps: frame rate of the network's input; between: its frames from one frame of the clip to the next. frames: with a pose.
    """

    above: float
    roll: float
    log_distance: float
    fps: float
    between: int
    frames: int


def look_of(pose: Pose3D) -> Look | None:
    """The look of a lifted clip; None if no frame has a pose."""
    roots = pose.root[pose.posed]
    if not len(roots):
        return None
    rotation = view_rotation(torch.from_numpy(roots[:, :2] / roots[:, 2:])).numpy()
    up = np.median(rotation @ pose.up, axis=0)
    up /= max(float(np.linalg.norm(up)), 1e-6)
    every, between = phases(pose.fps)
    return Look(
        above=-math.asin(float(np.clip(up[2], -1, 1))),
        roll=math.atan2(float(up[0]), -float(up[1])),
        log_distance=float(np.median(np.log(np.maximum(roots[:, 2], 0.3)))),
        fps=pose.fps / every * between,
        between=between,
        frames=len(roots),
    )


def looks_of(lifter: Lifter, clips: Sequence[Keypoints]) -> list[Look]:
    """The looks of clips, as estimated by the lifter."""
    found = (look_of(lifter(clip)) for clip in clips)
    return [look for look in found if look is not None]


def lifted_motions(lifter: Lifter, clips: Sequence[Keypoints]) -> list[Clip]:
    """Lifted clips as motions to film again: z up, at 30 fps, one for each run of frames with a pose.

    Raises TrainingError if there is nothing to learn from.
    """
    found = []
    for number, clip in enumerate(clips):
        pose = lifter(clip)
        joints = (pose.xyz + pose.root[:, None]) @ (_Z_UP @ room_from_camera(pose.up)).T
        for start, stop in runs_of(pose.posed):
            positions = at_tempo(joints[start:stop].astype(np.float32), pose.fps / TRAINING_FPS)
            found.append(Clip(f"{number}_{start}", "", "", positions))
    if not found:
        raise TrainingError("no person in the footage is visible for long enough to learn from")
    return found


def stands(looks: Sequence[Look], batch: int, random: Random, sure: bool) -> Stands:
    """Positions of `batch` cameras that film like these. sure: whether the looks are reliable."""
    weights = torch.tensor([math.sqrt(look.frames) for look in looks], device=random.device)
    chosen = torch.multinomial(weights, batch, replacement=True, generator=random.generator)
    table = torch.tensor([(look.above, look.roll, look.log_distance) for look in looks], device=random.device)[chosen]
    spread = torch.tensor(_SURE if sure else _UNSURE, device=random.device)
    above, roll, log_distance = (table + spread * random.normal(batch, 3)).unbind(-1)
    # Lifting averages with the mirror image, so roll to either side must be learned.
    roll = torch.where(random.chance(0.5, batch), roll, -roll)
    return Stands(above.clamp(-1.3, 1.3), roll, log_distance.clamp(0.0, 2.7))


def draw_like(
    bank: MotionBank,
    looks: Sequence[Look],
    *,
    batch: int,
    window: Window,
    random: Random,
    faults: Faults,
    sure: bool,
) -> Batch:
    """New motions filmed by cameras like those of the looks, at the frame rate of one of them. sure: see `stands`."""
    number = int(torch.randint(len(looks), (1,), generator=random.generator, device=random.device))
    rate, between = looks[number].fps, looks[number].between
    same = [look for look in looks if (look.fps, look.between) == (rate, between)]
    motions, _ = new_motions(bank, batch=batch, frames=window.total, random=random, pace=TRAINING_FPS / rate)
    views = film(motions, random, stands=stands(same, batch, random, sure))
    return observe(views, random, window.reach, faults, every=between, causal=window.causal)


def together(*batches: Batch) -> Batch:
    """The samples with 3D of several batches as one batch."""
    names = ("joints", "context", "pose", "root", "up", "wrong", "contacts")
    return Batch(**{name: torch.cat([getattr(batch, name) for batch in batches]) for name in names})  # type: ignore[arg-type]
