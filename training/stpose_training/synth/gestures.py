"""What a filmed person does with head, wrists and fingers, in place of the little that a mocap clip says about them.

Body axes: x to the body's left, z up, facing -y. All turns are slow random waves in time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from stpose_training.data.bodies import Random
from stpose_training.synth.body import Body, Rest
from stpose_training.synth.film import Gestures
from stpose_training.synth.poses import axis_turn

Wave = Callable[..., Tensor]  # shape -> (*shape, T) in -1..1

# Largest turns in degrees. Head: to the side, down, towards a shoulder. Wrist: about the forearm, bent, aside.
_HEAD = (55.0, 30.0, 12.0)
_NECK = ("neck01", "neck03", "head")  # each takes a third
_WRIST = (50.0, 40.0, 15.0)
_CURL = (75.0, 85.0, 55.0)  # of a finger's three joints
_THUMB = (0.0, 35.0, 45.0)
_KNUCKLES = ("finger2-1", "finger3-1", "finger4-1", "finger5-1")
_UP, _LEFT, _BACK = (torch.eye(3)[axis] for axis in (2, 0, 1))


def gesture(seed: int, fps: float = 30.0) -> Gestures:
    """Turns of the head, the wrists and every finger, for `film.act`."""

    def changed(body: Body, rest: Rest, turns: Tensor) -> Tensor:
        random, frames = Random(seed), len(turns)

        def wave(*shape: int) -> Tensor:
            return torch.tanh(random.wave(frames, *shape, slowest=0.1, fastest=0.5, fps=fps))

        turns = turns.clone()
        _follow(body, turns, "spine01", _NECK)
        side, down, lean = torch.deg2rad(torch.tensor(_HEAD))[:, None] * wave(3)
        for name in _NECK:
            third = _about(_UP, side / 3) @ _about(_LEFT, down / 3) @ _about(_BACK, lean / 3)
            _turn(body, turns, body.bone(name), third)
        for suffix, sign in ((".L", 1.0), (".R", -1.0)):
            _move_hand(body, rest.heads[0], turns, suffix, sign, wave)
        return turns

    return changed


def _move_hand(body: Body, heads: Tensor, turns: Tensor, suffix: str, sign: float, wave: Wave) -> None:
    """In place. sign: 1 for the left hand."""
    place = {name: heads[body.bone(name + suffix)] for name in ("wrist", "finger1-1", "finger1-2", "finger1-3", *_KNUCKLES)}
    along = place["finger3-1"] - place["wrist"]
    across = (place["finger5-1"] - place["finger2-1"]) * sign  # fingers bend about it
    normal = torch.linalg.cross(along, across)
    _follow(body, turns, "lowerarm01" + suffix, ("lowerarm02" + suffix, "wrist" + suffix))
    twist, bend, aside = torch.deg2rad(torch.tensor(_WRIST))[:, None] * wave(3)
    forearm = heads[body.bone("wrist" + suffix)] - heads[body.bone("lowerarm01" + suffix)]
    _turn(body, turns, body.bone("lowerarm02" + suffix), _about(forearm, twist / 2))
    _turn(body, turns, body.bone("wrist" + suffix), _about(forearm, twist / 2) @ _about(across, bend) @ _about(normal, aside))
    whole, own = wave(1), wave(5)
    curl = (0.5 + 0.5 * torch.tanh(1.5 * whole + 0.8 * own)).clamp(0, 1)  # (5, T): the fingers of a hand mostly move together
    for finger in range(2, 6):
        for part, most in enumerate(_CURL, 1):
            angle = curl[finger - 1] * (most / 57.29578)
            _turn(body, turns, body.bone(f"finger{finger}-{part}{suffix}"), _about(across, angle))
    inwards = place["finger5-1"] - place["finger1-2"]
    hinge = torch.linalg.cross(place["finger1-3"] - place["finger1-1"], inwards)
    for part, most in enumerate(_THUMB, 1):
        _turn(body, turns, body.bone(f"finger1-{part}{suffix}"), _about(hinge, curl[0] * (most / 57.29578)))


def _follow(body: Body, turns: Tensor, carrier: str, bones: tuple[str, ...]) -> None:
    """In place: bones that are as at rest against the one that carries them; what hangs on them keeps its turn against them."""
    for name in bones:
        bone = body.bone(name)
        back = turns[:, bone].transpose(1, 2) @ turns[:, body.bone(carrier)]
        _turn(body, turns, bone, back)


def _about(axis: Tensor, angles: Tensor) -> Tensor:
    """(T, 3, 3) turns about one axis (3,) by radians (T,)."""
    return axis_turn(axis.expand(len(angles), 3), angles)


def _turn(body: Body, turns: Tensor, bone: int, local: Tensor) -> None:
    """In place: a bone and all that hangs on it turned by `local` (T, 3, 3), in the axes of the rest pose."""
    world = turns[:, bone] @ local @ turns[:, bone].transpose(1, 2)
    inside = {bone}
    for other, parent in enumerate(body.parents):
        if parent in inside:
            inside.add(other)
    chosen = sorted(inside)
    turns[:, chosen] = world[:, None] @ turns[:, chosen]
