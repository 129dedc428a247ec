"""Where live poses go: VMC over OSC, which VRM programs read, and lines of JSON over a socket.

A receiver that is slow or gone never blocks the capture: datagrams are sent without waiting, and each client of the socket has a
queue of a few lines, of which the oldest is dropped.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Protocol

from stpose_core.animate.body import INDEX, NAMES
from stpose_core.errors import OutputError, StposeError
from stpose_core.extras import how_to_install
from stpose_core.live.body import LivePose

_MOST_CLIENTS, _LINES_WAITING, _SEND_SECONDS = 8, 4, 2.0

VMC_BONES = {
    "Hips": "Hips", "Spine": "Spine", "Chest": "Chest", "UpperChest": "UpperChest", "Neck": "Neck", "Head": "Head",
    **{side + bone: side + name for side in ("Left", "Right") for bone, name in (
        ("Shoulder", "Shoulder"), ("UpperArm", "Arm"), ("LowerArm", "ForeArm"), ("Hand", "Hand"),
        ("UpperLeg", "UpLeg"), ("LowerLeg", "Leg"), ("Foot", "Foot"), ("Toes", "ToeBase"))},
}  # fmt: skip
"""The joint of a Motion for each bone of Unity's humanoid that VMC sends."""


class Sender(Protocol):
    """Takes every pose. It may drop some, but it never waits."""

    def send(self, pose: LivePose) -> None: ...

    def close(self) -> None: ...


class VmcSender:
    """Sends the Virtual Motion Capture protocol (protocol.vmc.info, "Performer") over UDP. Raises OutputError for a bad address.

    VMC uses Unity's axes, which are left-handed: x to the right of a person who faces +z. So x changes its sign here.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            from pythonosc.udp_client import SimpleUDPClient
        except ImportError as error:
            raise StposeError(f"sending VMC needs the package python-osc; {how_to_install('live')}") from error
        try:
            self._client = SimpleUDPClient(host, port)
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot send to {host}:{port}: {error}") from error
        self._began = time.monotonic()

    def send(self, pose: LivePose) -> None:
        from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
        from pythonosc.osc_message_builder import OscMessageBuilder

        bundle = OscBundleBuilder(IMMEDIATELY)

        def add(address: str, *values: str | float | int) -> None:
            message = OscMessageBuilder(address)
            for value in values:
                message.add_arg(value)
            bundle.add_content(message.build())

        add("/VMC/Ext/OK", int(pose.present))
        add("/VMC/Ext/T", float(pose.taken - self._began))
        add("/VMC/Ext/Root/Pos", "root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        for bone, name in VMC_BONES.items():
            joint = INDEX[name]
            x, y, z = (float(value) for value in (pose.root if name == "Hips" else pose.offsets[joint]))
            w, a, b, c = (float(value) for value in pose.rotations[joint])
            add("/VMC/Ext/Bone/Pos", bone, -x, y, z, a, -b, -c, w)
        with suppress(OSError):  # no program listens, or the network is gone: the next pose may arrive
            self._client.send(bundle.build())

    def close(self) -> None:
        with suppress(OSError):
            self._client._sock.close()


class JsonServer:
    """Lines of JSON for every client that connects by TCP; `pose_line` says what they hold. At most eight clients.

    host: only this machine can connect to "127.0.0.1". port: 0 takes a free one; `port` says which. Raises OutputError if the
    address cannot be used.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            self._server = socket.create_server((host, port))
        except (OSError, OverflowError) as error:
            raise OutputError(f"cannot listen on {host}:{port}: {error}") from error
        self.port: int = self._server.getsockname()[1]
        self._clients: list[queue.Queue[bytes | None]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="live clients", daemon=True).start()

    def send(self, pose: LivePose) -> None:
        with self._lock:
            if not self._clients:
                return
            line = pose_line(pose)
            for waiting in self._clients:
                _put(waiting, line)

    def close(self) -> None:
        with suppress(OSError):
            self._server.close()
        with self._lock:
            for waiting in self._clients:
                _put(waiting, None)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:  # closed
                return
            waiting: queue.Queue[bytes | None] = queue.Queue(_LINES_WAITING)
            with self._lock:
                if len(self._clients) >= _MOST_CLIENTS:
                    client.close()
                    continue
                self._clients.append(waiting)
            threading.Thread(target=self._serve, args=(client, waiting), name="live client", daemon=True).start()

    def _serve(self, client: socket.socket, waiting: queue.Queue[bytes | None]) -> None:
        client.settimeout(_SEND_SECONDS)
        try:
            with client:
                while (line := waiting.get()) is not None:
                    client.sendall(line)
        except OSError:  # gone, or it does not read
            pass
        finally:
            with self._lock:
                self._clients.remove(waiting)


def _put(waiting: queue.Queue[bytes | None], line: bytes | None) -> None:
    """Adds a line; where the queue is full, in the place of the oldest."""
    while True:
        try:
            waiting.put_nowait(line)
            return
        except queue.Full:
            with suppress(queue.Empty):
                waiting.get_nowait()


def pose_line(pose: LivePose) -> bytes:
    """One line of JSON: frame, time (seconds, monotonic), present, root [x, y, z] in metres, rotations {name: [w, x, y, z]}
    relative to the parent, offsets {name: [x, y, z]} and parents {name: parent or null}. Axes as in `LivePose`."""
    whole = {
        "frame": pose.frame,
        "time": round(pose.taken, 4),
        "present": pose.present,
        "root": [round(float(value), 4) for value in pose.root],
        "rotations": {name: [round(float(v), 5) for v in pose.rotations[joint]] for joint, name in enumerate(NAMES)},
        "offsets": {name: [round(float(v), 4) for v in pose.offsets[joint]] for joint, name in enumerate(NAMES)},
        "parents": {name: NAMES[parent] if parent >= 0 else None for name, parent in zip(pose.names, pose.parents)},
    }
    return json.dumps(whole, separators=(",", ":")).encode() + b"\n"
