"""Several tracks onto several characters in one call."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from rigs import character
from scenes import figure, make, pose_of, write_track
from walks import walk


@pytest.fixture
def tracks(scene: bpy.types.Scene, tmp_path: Path) -> list[Path]:
    """Eight walks, each of another length."""
    found = []
    for number in range(8):
        track, _ = walk(steps=1 + number % 3, noise=0.01, seed=number)
        found.append(write_track(tmp_path / f"walk{number}.npz", track))
    return found


def test_eight_tracks_onto_two_characters(tracks: list[Path]) -> None:
    targets = [make(character("mixamo"), "Anna"), make(character("unreal", arms_down=45), "Ben")]
    rigs = set(bpy.data.armatures)
    done = bpy.ops.stpose.batch(directory=str(tracks[0].parent), files=[{"name": path.name} for path in tracks], targets="Anna;Ben")
    assert done == {"FINISHED"}
    assert set(bpy.data.armatures) == rigs  # the rigs of the tracks are gone
    for target in targets:
        mine = [action for action in bpy.data.actions if action.name.startswith(target.name)]
        assert len(mine) == 8
        assert all(action.use_fake_user for action in mine)
    figure("tracks x characters in one call", 16, "actions")


def test_a_sequence_of_strips_plays_one_track_after_another(tracks: list[Path]) -> None:
    target = make(character("mixamo"), "Anna")
    bpy.ops.stpose.batch(
        directory=str(tracks[0].parent), files=[{"name": path.name} for path in tracks[:3]], targets="Anna", sequence=True
    )
    strips = [track.strips[0] for track in target.animation_data.nla_tracks]
    assert [strip.frame_start for strip in strips] == [1, strips[0].frame_end + 1, strips[1].frame_end + 1]
    heads, _ = pose_of(target, [character("mixamo").named()["foot.L"]], range(1, int(strips[-1].frame_end) + 1))
    assert np.ptp(heads[int(strips[1].frame_start) : int(strips[1].frame_end), 0, 1]) > 0.1


def test_a_bad_track_is_named_and_the_others_are_done(tracks: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    make(character("mixamo"), "Anna")
    tracks[1].write_text("nothing")
    bpy.ops.stpose.batch(directory=str(tracks[0].parent), files=[{"name": path.name} for path in tracks[:3]], targets="Anna")
    assert len([action for action in bpy.data.actions if action.name.startswith("Anna")]) == 2
    assert "walk1.npz on 'Anna'" in capfd.readouterr().out
    with pytest.raises(RuntimeError, match="no object 'Nobody'"):
        bpy.ops.stpose.batch(filepath=str(tracks[0]), targets="Nobody")


def test_a_stopped_batch_keeps_what_is_done_and_leaves_no_rig(tracks: list[Path]) -> None:
    from bl_ext.user_default.stpose.operators.batch import Batch

    target = make(character("mixamo"), "Anna")
    rigs = set(bpy.data.armatures)
    batch = Batch(tracks, [target], False)
    assert batch.step(bpy.context)
    assert batch.step(bpy.context)
    batch.close()
    assert (batch.done, batch.total) == (2, 8)
    assert set(bpy.data.armatures) == rigs
    assert len([action for action in bpy.data.actions if action.name.startswith("Anna")]) == 2
