"""Rendered hands: fingers bend towards the palm on both sides, and gestures move head and hands alone."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("anny", reason="the extra synth")

from stpose_training.synth.body import Body, Rest, load_body
from stpose_training.synth.gestures import gesture
from stpose_training.synth.poses import curl_fingers

FRAMES = 12


@pytest.fixture(scope="module")
def standing() -> tuple[Body, Rest, torch.Tensor]:
    body = load_body()
    rest = body.rest(torch.tensor([[0.5, 0.67, 0.5, 0.5, 0.5, 0.5]]))
    return body, rest, torch.eye(3).expand(FRAMES, len(body.bones), 3, 3)


def places(body: Body, rest: Rest, turns: torch.Tensor) -> torch.Tensor:
    frames = len(turns)
    wide = Rest(rest.vertices.expand(frames, -1, -1), rest.heads.expand(frames, -1, -1))
    return body.carry(wide, turns, rest.heads[:, 0].expand(frames, -1))[0]


def test_fingers_curl_towards_the_palm_on_both_sides(standing: tuple[Body, Rest, torch.Tensor]) -> None:
    body, rest, turns = standing
    heads = places(body, rest, curl_fingers(body, rest, turns, 0.8))[0]
    for side in ("L", "R"):
        apart = [(h[body.bone(f"finger3-3.{side}")] - h[body.bone(f"wrist.{side}")]).norm() for h in (rest.heads[0], heads)]
        assert apart[1] < 0.8 * apart[0]
        thumb = [(h[body.bone(f"finger3-3.{side}")] - h[body.bone(f"finger1-3.{side}")]).norm() for h in (rest.heads[0], heads)]
        assert thumb[1] < thumb[0]


def test_gestures_turn_head_and_hands_and_leave_the_rest(standing: tuple[Body, Rest, torch.Tensor]) -> None:
    body, rest, turns = standing
    moved = gesture(3)(body, rest, turns)
    assert torch.allclose(moved @ moved.transpose(-1, -2), torch.eye(3).expand_as(moved), atol=1e-4)
    free = ("neck", "head", "eye", "jaw", "tongue", "wrist", "lowerarm02", "finger", "metacarpal")
    for bone, name in enumerate(body.bones):
        if not name.startswith(free):
            assert torch.equal(moved[:, bone], turns[:, bone]), name
    assert (moved[:, body.bone("head")] - torch.eye(3)).abs().amax() > 0.1
    assert torch.equal(moved, gesture(3)(body, rest, turns)), "the same seed, the same gestures"
    heads = places(body, rest, moved)
    for side in ("L", "R"):
        length = (heads[:, body.bone(f"finger2-2.{side}")] - heads[:, body.bone(f"finger2-1.{side}")]).norm(dim=-1)
        assert float(length.max() - length.min()) < 1e-5
