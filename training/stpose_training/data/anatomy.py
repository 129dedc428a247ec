"""One skeleton for all marker mocap: the joints of the trunk have the same meaning for everybody, and each person their own sizes.

The skeletons of mocap differ in where they put the joints of the trunk: the base of the neck lies 7 cm below to 5 cm above the
middle of the shoulders, and shoulders are 0.22 to 0.32 leg lengths from the neck, in people whose limbs are alike. A lifter that
learns from all of them has to learn their mean, and its error against another laboratory contains the difference in meaning.
Here every person who is recorded for five seconds or more gets shoulders in the direction that they have on average in CMU, and all
get proportions within the range of people. Limbs, and how everything moves, stay as recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from stpose_core.skeletons import H36M17
from stpose_training.data.bodies import Posture, Proportions, put_together, take_apart
from stpose_training.data.mocap import Clip, by_person, turn_to_common

ANATOMICAL: Proportions = {
    1: (0.107, 0.07), 2: (0.485, 0.03), 3: (0.515, 0.03), 7: (0.266, 0.05), 8: (0.266, 0.05), 9: (0.228, 0.07),
    10: (0.12, 0.08), 11: (0.238, 0.07), 12: (0.338, 0.05), 13: (0.28, 0.10),
}  # fmt: skip
"""Lengths of bones as shares of the leg (hip to ankle) and their spread between people, by child joint. Means: of CMU's own
skeletons, where the rendered people of the detectors have their joints as well; forearms lie between those of CMU (0.23) and of
people (0.31: de Leva, J. Biomechanics 1996). Spreads: about those of adults (Drillis & Contini 1966; ANSUR), twice that for
forearms."""

_TRUNK = (1, 4, 7, 8, 9, 10, 11, 14)
_SHOULDERS = (11, 14)
_RANGE = 2.0  # spreads to each side of the mean that people have
_ENOUGH = 150  # frames, from which on the mean direction of a shoulder is that of the person, not of a gesture


@dataclass(frozen=True)
class Correction:
    """What makes the trunk of a person's clips anatomical. factors: (17,) by which lengths of bones are multiplied, by child joint.
    turns: rotation matrices (3, 3) of bones in the chest's axes (left, forward, down), by child joint."""

    factors: torch.Tensor
    turns: dict[int, torch.Tensor]

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """(T, 17, 3) metres -> the same movement of the corrected skeleton, float32."""
        posture = _posture(positions)
        for joint, turn in self.turns.items():
            posture.bones[:, :, joint] = posture.bones[:, :, joint] @ turn.T
        posture.lengths = posture.lengths * self.factors
        return put_together(posture)[0].numpy().astype(np.float32)


def correction(clips: Iterable[np.ndarray]) -> Correction:
    """The correction of one person on one skeleton. clips: (T, 17, 3) metres."""
    postures = [_posture(positions) for positions in clips]
    frames = torch.tensor([float(posture.bones.shape[1]) for posture in postures])
    lengths = frames @ torch.cat([posture.lengths for posture in postures]) / frames.sum()
    lengths = (lengths + lengths[list(H36M17.mirror)]) / 2
    leg = lengths[2] + lengths[3]
    factors = torch.ones(17)
    for joint in _TRUNK:
        mean, spread = ANATOMICAL[joint if joint in ANATOMICAL else H36M17.mirror[joint]]
        own = torch.log(lengths[joint] / (leg * mean))
        factors[joint] = torch.exp(own.clamp(-_RANGE * spread, _RANGE * spread) - own)
    turns = {}
    if frames.sum() >= _ENOUGH:
        for joint in _SHOULDERS:
            turns[joint] = turn_to_common(torch.cat([posture.bones[0, :, joint] for posture in postures]), joint)
    return Correction(factors, turns)


def with_one_skeleton(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with anatomical trunks."""
    found = list(clips)
    for numbers in by_person(clips):
        corrected = correction([clips[number].positions for number in numbers])
        for number in numbers:
            found[number] = replace(clips[number], positions=corrected(clips[number].positions))
    return found


def _posture(positions: np.ndarray) -> Posture:
    return take_apart(torch.from_numpy(np.asarray(positions, np.float32))[None])
