"""Poses on their way to other programs: sockets, VMC, slow and missing receivers."""

from __future__ import annotations

import json
import socket
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_live import Figure, lifter, pictures

from stpose_core.animate.body import INDEX, NAMES
from stpose_core.errors import OutputError
from stpose_core.live import LivePose, NewestFrame, run_live
from stpose_core.live.senders import VMC_BONES, JsonServer, VmcSender


def test_poses_reach_a_socket_and_a_slow_client_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(monkeypatch, 40, 0.034)
    server = JsonServer()
    lazy = socket.create_connection(("127.0.0.1", server.port))  # connects and never reads
    eager = socket.create_connection(("127.0.0.1", server.port)).makefile("rb")
    time.sleep(0.1)
    began = time.monotonic()
    with NewestFrame("clip") as source:
        report = run_live(source, detector=Figure(), lifter=lifter(), senders=[server])
    server.close()
    assert time.monotonic() - began < 10
    lines = [json.loads(line) for line in eager]
    lazy.close()
    assert len(lines) > 10
    assert report.frames >= len(lines)
    first = lines[0]
    assert first["present"]
    assert set(first["rotations"]) == set(NAMES) == set(first["parents"])
    assert first["parents"]["LeftLeg"] == "LeftUpLeg"
    assert [line["frame"] for line in lines] == sorted(line["frame"] for line in lines)
    assert len(report.delays) == report.frames - 1  # the lifter looks one frame ahead
    assert "a second; delay" in str(report)


def test_more_clients_than_allowed_are_closed() -> None:
    server = JsonServer()
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(9)]
    clients[-1].settimeout(5)
    assert clients[-1].recv(1) == b""
    server.close()
    for client in clients:
        client.close()


def test_vmc_carries_unitys_axes_and_names() -> None:
    from pythonosc.osc_bundle import OscBundle

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sender = VmcSender("127.0.0.1", receiver.getsockname()[1])
        rotations = np.tile([1.0, 0, 0, 0], (len(NAMES), 1))
        # The left arm raised: about the axis that points forward, by the right hand rule from x, left, to y, up.
        raised = Rotation.from_euler("z", 60, degrees=True).as_quat()
        rotations[INDEX["LeftArm"]] = raised[[3, 0, 1, 2]]
        offsets = np.zeros((len(NAMES), 3))
        offsets[INDEX["LeftArm"]] = (0.15, 0.0, 0.0)
        sender.send(LivePose(time.monotonic(), 5, True, rotations, np.array([0.5, 0.9, 0.2]), offsets))
        packet = receiver.recv(65536)
        sender.close()
    messages = [(message.address, message.params) for message in OscBundle(packet)]  # type: ignore[union-attr]
    bones = {params[0]: params[1:] for address, params in messages if address == "/VMC/Ext/Bone/Pos"}
    assert set(bones) == set(VMC_BONES)
    assert bones["Hips"][:3] == pytest.approx([-0.5, 0.9, 0.2])
    # Unity is left-handed with x to the right: the left arm lies along -x, and rises by a negative turn about z.
    assert bones["LeftUpperArm"][:3] == pytest.approx([-0.15, 0, 0])
    assert bones["LeftUpperArm"][3:] == pytest.approx([0, 0, -np.sin(np.radians(30)), np.cos(np.radians(30))], abs=1e-6)
    assert ("/VMC/Ext/OK", [1]) in messages


def test_a_receiver_that_is_gone_changes_nothing() -> None:
    sender = VmcSender("127.0.0.1", 9)  # nobody listens there
    for _ in range(20):
        sender.send(LivePose(time.monotonic(), 0, True, np.ones((len(NAMES), 4)), np.zeros(3), np.zeros((len(NAMES), 3))))
    sender.close()
    with pytest.raises(OutputError, match=r"cannot listen on 127\.0\.0\.1:"):
        JsonServer(port=JsonServer().port)
    with pytest.raises(OutputError, match="cannot send to"):
        VmcSender("no such host.invalid", 39539)
