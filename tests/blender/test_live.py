"""A rig that follows the lines of `stpose live`, and the take that is keyed when it stops."""

from __future__ import annotations

import importlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np
import pytest
from scenes import curves_of, pose_of
from walks import NAMES, dance, positions

ADDON = "bl_ext.user_default.stpose"


def lines(track: dict[str, Any], frames: range) -> list[bytes]:
    """The frames of a track as `stpose live` sends them, thirty a second."""
    names, parents = track["names"], track["parents"]
    made = []
    for frame in frames:
        line = {
            "frame": frame, "time": 100 + frame / 30, "present": True, "root": list(map(float, track["root"][frame])),
            "rotations": {name: list(map(float, track["rotations"][frame, joint])) for joint, name in enumerate(names)},
            "offsets": {name: list(map(float, track["offsets"][joint])) for joint, name in enumerate(names)},
            "parents": {name: names[parent] if parent >= 0 else None for name, parent in zip(names, parents)},
        }  # fmt: skip
        made.append(json.dumps(line).encode() + b"\n")
    return made


class Server:
    """Sends bytes to the first client, when told to."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._client: socket.socket | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        self._client = self._listening.accept()[0]

    def send(self, *parts: bytes) -> None:
        while self._client is None:
            time.sleep(0.01)
        self._client.sendall(b"".join(parts))
        time.sleep(0.1)

    def end(self) -> None:
        if self._client is not None:
            self._client.close()
        self._listening.close()


@pytest.fixture
def live(scene: bpy.types.Scene) -> Iterator[Any]:
    module = importlib.import_module(f"{ADDON}.operators.live")
    yield module
    module.drop()


def test_the_rig_follows_and_the_take_is_keyed(scene: bpy.types.Scene, live: Any) -> None:
    (track, local), server = dance(40), Server()
    assert bpy.ops.stpose.start_live(port=server.port) == {"FINISHED"}
    sent = lines(track, range(40))
    for frame in (0, 1, 20):
        server.send(sent[frame])
        live.session.step(bpy.context)
        bpy.context.view_layer.update()
        rig = live.session.rig
        names = [bone.name for bone in rig.pose.bones]
        heads = np.array([np.array(rig.matrix_world) @ [*rig.pose.bones[name].head, 1] for name in names])[:, :3]
        assert np.abs(heads - _places(track, local, frame, names)).max() < 1e-3, frame
    assert rig.animation_data is None  # nothing is keyed while it runs
    server.send(*sent[21:40])
    live.session.step(bpy.context)
    assert bpy.ops.stpose.stop_live() == {"FINISHED"}
    assert live.session is None
    heads, _ = pose_of(rig, names, range(scene.frame_start, scene.frame_start + 40))
    assert np.abs(heads[39] - _places(track, local, 39, names)).max() < 1e-3
    assert scene.frame_end >= scene.frame_start + 39
    assert scene.stpose.source == rig
    server.end()


def _places(track: dict[str, Any], local: np.ndarray, frame: int, names: list[str]) -> np.ndarray:
    """Heads of the bones in Blender's axes."""
    places = positions(local, track["root"])[0][frame, [NAMES.index(name) for name in names]]
    return np.stack([places[:, 0], -places[:, 2], places[:, 1]], axis=1)


def test_who_does_not_answer_and_what_is_no_pose_end_in_a_line(scene: bpy.types.Scene, live: Any) -> None:
    track, _ = dance(5)
    with pytest.raises(RuntimeError, match="no 'stpose live' answers on"):
        bpy.ops.stpose.start_live(port=9)
    assert live.session is None
    damaged = json.loads(lines(track, range(1))[0])
    damaged["parents"][NAMES[1]] = NAMES[2]  # a parent after its child
    for line in (b"GET / HTTP/1.1\n", b"[1]\n", b"{}\n", json.dumps(damaged).encode() + b"\n", b"x" * 200_000):
        server = Server()
        bpy.ops.stpose.start_live(port=server.port)
        server.send(line)
        with pytest.raises(Exception, match="the live connection sends"):
            live.session.step(bpy.context)
        live.drop()
        server.end()


def test_an_ended_connection_keeps_the_take(scene: bpy.types.Scene, live: Any) -> None:
    (track, _), server = dance(20), Server()
    bpy.ops.stpose.start_live(port=server.port)
    server.send(*lines(track, range(20)))
    live.session.step(bpy.context)
    server.end()
    time.sleep(0.1)
    with pytest.raises(Exception, match="has ended"):
        live.session.step(bpy.context)
    rig = live.session.rig
    assert live.stop(bpy.context) == "recorded 20 frames"
    assert curves_of(rig)


def test_a_deleted_rig_ends_the_session(scene: bpy.types.Scene, live: Any) -> None:
    (track, _), server = dance(5), Server()
    bpy.ops.stpose.start_live(port=server.port)
    server.send(lines(track, range(1))[0])
    live.session.step(bpy.context)
    bpy.data.objects.remove(live.session.rig)
    server.send(lines(track, range(1, 2))[0])
    with pytest.raises(Exception, match="the live rig was deleted"):
        live.session.step(bpy.context)
    assert "nothing was recorded" in live.stop(bpy.context)
    server.end()
