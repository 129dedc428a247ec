"""The report page: one file without the network, whose slider moves the figure; and the preview's views of the motion."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from stpose_cli.main import run

from stpose_core import save
from stpose_core.animate import forward_kinematics
from stpose_core.data import Camera, Capture, Keypoints, Motion, Pose3D
from stpose_core.formats import load_motion
from stpose_core.frames import VideoInfo, open_source
from stpose_core.preview import drawn, write_preview
from stpose_core.preview_figure import FigureView, camera_place, colour_of_person
from stpose_core.report import write_report
from stpose_core.video import read_frames

EXAMPLES = Path(__file__).parents[1] / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def motion() -> Motion:
    """A second of somebody who walks along +z, with contacts that change."""
    from test_live import standing

    from stpose_core.animate.body import NAMES, parents, rest_offsets
    from stpose_core.animate.bones import _USUAL_REST

    frames = 30
    xyz = np.repeat(standing().xyz, frames, 0)
    lengths = np.r_[0.0, np.linalg.norm(np.diff(xyz[0], axis=0), axis=1)]
    offsets = rest_offsets(np.maximum(lengths, 0.1), _USUAL_REST)
    rotations = np.zeros((frames, len(NAMES), 4))
    rotations[..., 0] = 1
    root = np.stack([np.zeros(frames), np.full(frames, 0.9), np.arange(frames) / 30], axis=1)
    contacts = np.zeros((frames, 4))
    contacts[:15, :2] = contacts[15:, 2:] = 1
    return Motion(NAMES, parents(), offsets, rotations, root, contacts, np.zeros(frames, bool), 30.0)


@pytest.fixture(scope="module")
def capture(motion: Motion) -> Capture:
    """The same, as the capture of the first second of the example video; in its second half the right wrist is hidden."""
    from test_live import standing

    frames, one = len(motion), standing()
    hidden = np.zeros((frames, 17), bool)
    hidden[15:, 16] = True
    pose = Pose3D(
        np.repeat(one.xyz, frames, 0), np.repeat(one.root, frames, 0), hidden, np.full((frames, 17), 0.03), one.up, 30.0, "h36m17",
        Camera(600.0, (270.0, 360.0)),
    )  # fmt: skip
    xy = 600 * (pose.xyz + pose.root[:, None])[..., :2] / (pose.xyz + pose.root[:, None])[..., 2:] + [270, 360]
    score = np.where(hidden, 0.0, 0.9)
    points = Keypoints(np.where(hidden[..., None], np.nan, xy), score, 30.0, (540, 720), "h36m17")
    return Capture(VideoInfo(EXAMPLES / "walk.mp4", 540, 720, 30.0, 5.8, 175), "builtin", points, pose, motion)


def data_of(page: Path) -> dict:  # type: ignore[type-arg]
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.S)
    assert found
    return json.loads(found.group(1))  # type: ignore[no-any-return]


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_a_page_holds_the_motion_and_asks_the_network_for_nothing(capture: Capture, tmp_path: Path) -> None:
    page = tmp_path / "walk.html"
    with open_source(EXAMPLES / "walk.mp4") as video:
        write_report([capture], page, title="a <b>clip</b>", video=video, end=1.0)
    text = page.read_text("utf-8")
    person = data_of(page)["people"][0]
    places = floats(person["places"]).reshape(30, -1, 3)
    assert np.abs(places - forward_kinematics(capture.motion)).max() < 1e-4
    assert floats(person["contacts"]).reshape(30, 4)[0].tolist() == [1, 1, 0, 0]
    assert person["curves"][0]["title"] == "Confidence of the 2D joints"
    speed = floats(person["curves"][2]["lines"][0]["values"])
    assert np.abs(speed - 1.0).max() < 1e-3  # metres a second
    assert "a &lt;b&gt;clip" in text
    assert "<b>clip" not in text
    outside = text.replace((Path(__file__).parents[1] / "stpose_core/report/viewer.js").read_text("utf-8"), "")
    assert not re.search(r'(src|href)="(?!data:)', outside)
    assert "default-src 'none'" in text
    assert len(text) < 15_000_000 / 60 * 6
    film = base64.b64decode(text.split("data:video/mp4;base64,")[1].split('"')[0])
    (tmp_path / "film.mp4").write_bytes(film)
    shown = list(read_frames(tmp_path / "film.mp4"))
    assert len(shown) == 30
    assert shown[0].image.shape[:2] == (640, 480)


def test_text_of_a_motion_cannot_end_the_script(motion: Motion, tmp_path: Path) -> None:
    named = replace(motion, names=("</script><script>alert(1)</script>", *motion.names[1:]))
    write_report([named], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<script>alert" not in text
    assert data_of(tmp_path / "page.html")["people"][0]["names"][0].startswith("</script>")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_slider_moves_the_figure_in_a_browser(motion: Motion, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_report([motion, motion], page)
    script = """<script>
      window.errors = [];
      window.addEventListener("error", (event) => window.errors.push(event.message));
      window.addEventListener("load", () => {
        const slider = document.getElementById("slider"), said = [document.body.dataset.hips];
        slider.value = 20;
        slider.dispatchEvent(new Event("input"));
        said.push(document.body.dataset.frame, document.body.dataset.hips);
        window.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
        said.push(document.body.dataset.frame, document.querySelectorAll("#figure canvas").length, window.errors.join(";"));
        document.body.innerHTML = "<pre id=said>" + said.join("|") + "</pre>";
      });
    </script>"""
    text = page.read_text("utf-8").replace("<head>", f"<head>{script}")
    page.write_text(text, "utf-8")
    flags = ["--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--dump-dom"]
    command = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    first, frame, hips, after, canvases, errors = found.group(1).split("|")
    assert [float(value) for value in first.split()] == pytest.approx([0, 0.9, 0])
    assert (frame, after, canvases, errors) == ("20", "21", "1", "")
    assert [float(value) for value in hips.split()] == pytest.approx([0, 0.9, 20 / 30], abs=2e-3)


def test_the_preview_shows_the_motion_from_two_sides(capture: Capture, tmp_path: Path) -> None:
    write_preview([capture], tmp_path / "preview.mp4", end=1.0)
    frames = list(read_frames(tmp_path / "preview.mp4"))
    assert len(frames) == 30
    assert frames[0].image.shape == (720, 900, 3)
    view = FigureView([capture], (360, 360), 25.0)
    first, later = view.draw(2), view.draw(20)
    red = [(image[..., 0] > 200) & (image[..., 1] < 80) for image in (first, later)]
    assert red[0].sum() > 300
    # The discs of the left foot's contact are there in the first half only: the floor below the ankle is red.
    assert red[0][290:].sum() > 2 * red[1][290:].sum()


def test_the_views_show_all_people(capture: Capture) -> None:
    """One walks, another stands 3 m beside: both are in the picture."""
    shift = np.array([3.0, 0.0, 0.0])
    other = replace(capture, motion=replace(capture.motion, root=np.repeat(capture.motion.root[:1] + shift, 30, axis=0)))

    def trunks(people: list[Capture], frame: int) -> list[int]:
        """The column of each person's trunk and head, which have a colour of their own, in pixels."""
        image = FigureView(people, (720, 720), 25.0).draw(frame)
        columns = [np.nonzero((image == colour_of_person(person)).all(axis=2))[1] for person in range(len(people))]
        return [int(np.median(found)) if len(found) else -1 for found in columns]

    assert trunks([capture], 29) == [pytest.approx(360, abs=16)]
    first, second = trunks([capture, other], 29)
    assert 40 < first < 280
    assert 440 < second < 680


def test_the_preview_is_in_step_with_a_video_of_a_variable_rate(capture: Capture, tmp_path: Path) -> None:
    times = np.cumsum(np.r_[0, np.random.default_rng(0).uniform(0.01, 0.09, 25)])
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=1000)
        stream.width, stream.height, stream.pix_fmt, stream.options = 540, 720, "yuv420p", {"crf": "10"}
        for time in times:
            # The picture shows its time: as bright as it is late.
            frame = av.VideoFrame.from_ndarray(np.full((720, 540, 3), 20 + round(180 * time), np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with open_source(tmp_path / "a.mkv") as source:
        write_preview([capture], tmp_path / "preview.mp4", video=source)
    with av.open(str(tmp_path / "preview.mp4")) as preview:
        video = preview.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(video.average_rate) == pytest.approx(capture.motion.fps)
        shown = [(float(frame.time), frame.to_ndarray(format="gray")[5:40, 5:40].mean()) for frame in preview.decode(video)]
    assert len(shown) == len(capture)
    for time, grey in shown:
        due, half = (grey - 20) / 180, 0.5 / capture.motion.fps
        assert times[times <= time - half].max(initial=0.0) - 0.02 < due < time + half + 0.02


def test_hidden_joints_are_hollow_where_the_3d_pose_has_them(capture: Capture) -> None:
    blank = np.full((720, 540, 3), 128, np.uint8)
    early, late = drawn(blank, [capture], 5), drawn(blank, [capture], 20)
    wrist = capture.pose3d.xyz[20, 16] + capture.pose3d.root[20]
    x, y = (int(v) for v in 600 * wrist[:2] / wrist[2] + [270, 360])
    assert (early[y, x] != 128).any()
    assert (late[y, x] == 128).all()  # hollow
    assert (late[y - 8 : y + 9, x - 8 : x + 9] != 128).any()


def test_the_camera_stands_where_the_first_pose_says(capture: Capture) -> None:
    place = camera_place(capture)
    assert place is not None
    assert place == pytest.approx([0, 1.0, 3.0], abs=1e-6)  # 0.1 m above the pelvis, three metres in front


def test_view_writes_a_page_of_any_motion(capture: Capture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(capture.motion, tmp_path / "walk.bvh")
    save(capture, tmp_path / "walk.npz")
    assert run(["view", str(tmp_path / "walk.bvh"), "-o", str(tmp_path / "a.html")]) == 0
    assert run(["view", str(tmp_path / "walk.npz"), "--video", str(EXAMPLES / "walk.mp4"), "-o", str(tmp_path / "b.html")]) == 0
    assert 'id="video"' in (tmp_path / "b.html").read_text("utf-8")
    assert len(data_of(tmp_path / "a.html")["people"][0]["names"]) == len(load_motion(tmp_path / "walk.bvh").names)
    capsys.readouterr()
    for words, message in (
        ([tmp_path / "walk.bvh", "-o", tmp_path / "a.html"], "exists already"),
        ([tmp_path / "walk.bvh", "-o", tmp_path / "a.txt"], "must end in .html"),
        ([tmp_path / "walk.bvh", "-o", tmp_path / "c.html", "--video", EXAMPLES / "walk.mp4"], "is for a capture"),
        ([tmp_path / "none.bvh", "-o", tmp_path / "c.html"], "none.bvh"),
    ):
        assert run(["view", *map(str, words)]) == 2
        said = capsys.readouterr().err.strip()
        assert message in said
        assert "\n" not in said
    assert not (tmp_path / "c.html").exists()
    save(capture.motion, tmp_path / "part.npz")  # as stpose trim writes it
    assert run(["view", str(tmp_path / "part.npz"), "-o", str(tmp_path / "d.html")]) == 0
    assert sorted(data_of(tmp_path / "d.html")["people"][0]["names"]) == sorted(capture.motion.names)
