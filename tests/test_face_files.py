"""Curves of a face are carried by motions, and by the files that can hold them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
from stpose_cli.main import run
from test_formats_glb import body_motion, values_of
from test_glb_character import write_hero

import stpose_core as sp
from stpose_core.animate.clip import cut, looped
from stpose_core.data import Motion
from stpose_core.errors import FormatError
from stpose_core.formats import glb_character
from stpose_core.formats.gltf import GltfBuilder, GltfFile
from stpose_core.retarget.curves import ARKIT, matched, without_gaps

FPS = 30.0


def with_face(frames: int = 30) -> Motion:
    jaw = np.linspace(0.0, 1.0, frames)
    blink = np.where((np.arange(frames) >= 10) & (np.arange(frames) < 20), np.nan, 0.5)
    return replace(body_motion(frames), curves={"jawOpen": jaw, "eyeBlinkLeft": blink, "mouthPucker": 1 - jaw})


def test_curves_are_cut_and_looped_with_their_motion() -> None:
    motion = with_face(60)
    part = cut(motion, 0.5, 1.0)
    assert np.array_equal(part.curves["jawOpen"], motion.curves["jawOpen"][15:30])
    again = looped(replace(motion, rotations=np.tile(motion.rotations[:1], (60, 1, 1))))
    jaw = again.curves["jawOpen"]
    assert len(jaw) == len(again)
    assert jaw[len(jaw) // 3] == motion.curves["jawOpen"][len(jaw) // 3]
    assert jaw[-1] < 0.3 * motion.curves["jawOpen"][len(jaw) - 1], "the end turns into the beginning"
    assert np.isnan(again.curves["eyeBlinkLeft"][12])


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_files_keep_curves_and_their_gaps(suffix: str, tmp_path: Path) -> None:
    motion = with_face()
    sp.save(motion, tmp_path / f"a.{suffix}")
    again = sp.load_motion(tmp_path / f"a.{suffix}")
    assert list(again.curves) == list(motion.curves)
    for name, values in motion.curves.items():
        np.testing.assert_allclose(again.curves[name], values, atol=6e-4)
    sp.save(replace(motion, curves={}), tmp_path / f"b.{suffix}")
    assert not sp.load_motion(tmp_path / f"b.{suffix}").curves


HOSTILE = {
    "huge values": ("jawOpen", np.full(30, 1e300)),
    "infinite values": ("jawOpen", np.full(30, np.inf)),
    "values below 0": ("jawOpen", np.full(30, -0.1)),
    "too few values": ("jawOpen", np.zeros(29)),
    "a table": ("jawOpen", np.zeros((30, 2))),
    "one value": ("jawOpen", np.array(0.5)),
    "text": ("jawOpen", np.array(["a"] * 30)),
    "a name that is none": ("../jaw\n", np.zeros(30)),
    "no name": ("", np.zeros(30)),
    "a long name": ("j" * 65, np.zeros(30)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_curves_are_refused_in_one_line(what: str, tmp_path: Path) -> None:
    name, values = HOSTILE[what]
    sp.save(body_motion(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as data:
        content = {key: data[key] for key in data.files}
    np.savez(tmp_path / "b.npz", **content, **{f"motion.curves.{name}": values})
    sp.save(body_motion(), tmp_path / "a.json")
    described = json.loads((tmp_path / "a.json").read_text())
    described["people"][0]["curves"] = {name: values.tolist()}
    (tmp_path / "b.json").write_text(json.dumps(described))
    for suffix in ("npz", "json"):
        with pytest.raises(FormatError) as error:
            sp.load_motion(tmp_path / f"b.{suffix}")
        assert len(str(error.value).splitlines()) == 1
        assert len(str(error.value)) < 400


def test_too_many_curves_are_refused(tmp_path: Path) -> None:
    motion = body_motion(2)
    curves = {f"curve{number}": np.zeros(2) for number in range(201)}
    with pytest.raises(ValueError, match="201 curves"):
        replace(motion, curves=curves)
    sp.save(replace(motion, curves=dict(list(curves.items())[:200])), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text().replace('"curve0":', '"more":[0,0],"curve0":')
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError, match="201 curves"):
        sp.load_motion(tmp_path / "a.json")


def test_too_many_arrays_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sp.save(body_motion(2), tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        for number in range(1000):
            archive.writestr(f"motion.curves.c{number}.npy", b"")
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("a member was read"))
    with pytest.raises(FormatError, match="arrays; the limit is 1000"):
        sp.load_motion(tmp_path / "a.npz")


ODD_CURVES = [
    "[]",
    "[1]",
    '"jawOpen"',
    "3",
    "null",
    '{"jawOpen": 3}',
    '{"jawOpen": [[1]]}',
    '{"jawOpen": ["0.5"]}',
    '{"jawOpen": [true]}',
]


@pytest.mark.parametrize("curves", ODD_CURVES)
def test_json_of_other_kinds_is_refused(curves: str, tmp_path: Path) -> None:
    sp.save(body_motion(1), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace('"fps":', f'"curves":{curves},"fps":', 1))
    with pytest.raises(FormatError, match=r"not an object of lists|not a list of numbers"):
        sp.load_motion(tmp_path / "a.json")


def test_what_cannot_hold_a_face_says_so_once_and_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sp.save(with_face(), tmp_path / "a.bvh")
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        "left out the face, which a .bvh does not hold; use .vrma, .json, .npz, or .glb with --skeleton and without --rig"
    ]
    assert len(sp.load_motion(tmp_path / "a.bvh")) == 30
    caplog.clear()
    sp.save(body_motion(), tmp_path / "b.bvh")
    for suffix in ("npz", "json", "vrma"):
        sp.save(with_face(), tmp_path / f"c.{suffix}")
    assert not caplog.records


def test_gaps_fade_to_rest() -> None:
    curve = np.array([0.8] * 10 + [np.nan] * 40 + [0.4] * 10)
    filled = without_gaps({"a": curve, "b": np.full(60, np.nan)}, FPS)
    assert np.array_equal(filled["a"][:10], curve[:10])
    assert (np.diff(filled["a"][9:16]) < 0).all()
    assert (filled["a"][16:44] == 0).all()
    assert 0.2 < filled["a"][48] < 0.4
    assert not filled["b"].any()


def test_info_counts_the_frames_in_which_any_curve_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blink = with_face().curves["eyeBlinkLeft"]  # not known in 10 of 30 frames
    for number, curves in enumerate([{"eyeBlinkLeft": blink, "jawOpen": np.zeros(30)}, {"eyeBlinkLeft": blink}]):
        sp.save(replace(body_motion(30), curves=curves), tmp_path / f"{number}.npz")
        assert run(["info", str(tmp_path / f"{number}.npz")]) == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "face:" in line]
        assert line.split("face:")[1].strip() == ("100 %", "67 %")[number]


def test_shapes_are_found_under_their_usual_names() -> None:
    names = [
        "eyeBlink_L",
        "EYE_BLINK_RIGHT",
        "face.jawOpen",
        "blendShape1:mouthSmile_R",
        "Mouth Left",
        "jaw",
        "browInnerUpX",
        "smile",
    ]
    assert matched(names, ARKIT) == {
        "eyeBlink_L": "eyeBlinkLeft", "EYE_BLINK_RIGHT": "eyeBlinkRight", "face.jawOpen": "jawOpen",
        "blendShape1:mouthSmile_R": "mouthSmileRight", "Mouth Left": "mouthLeft",
    }  # fmt: skip


def hero_with_shapes(path: Path, names: list[str], targets: int | None = None) -> None:
    """A character whose hat has morph targets of these names."""
    write_hero(path)
    builder = GltfBuilder(GltfFile(path))
    place = builder.array(np.eye(3), "VEC3", bounds=True)
    mesh: dict[str, Any] = builder.content["meshes"][0]
    mesh["primitives"][0]["targets"] = [{"POSITION": place} for _ in range(len(names) if targets is None else targets)]
    mesh["extras"], mesh["weights"] = {"targetNames": names}, [0.25] * len(names)
    builder.write(path)


def test_the_morph_targets_of_a_character_follow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hero, out = tmp_path / "hero.glb", tmp_path / "talk.glb"
    hero_with_shapes(hero, ["horns", "JawOpen", "eyeBlink_L"])
    sp.save(with_face(), tmp_path / "a.npz")
    assert run(["convert", str(tmp_path / "a.npz"), "-o", str(out), "--skeleton", str(hero)]) == 0
    file = pygltflib.GLTF2().load_binary(str(out))
    (channel,) = [one for one in file.animations[0].channels if one.target.path == "weights"]
    assert file.nodes[channel.target.node].name == "hat"
    values = values_of(file, file.animations[0].samplers[channel.sampler].output).reshape(30, 3)
    expected = without_gaps(with_face().curves, FPS)
    np.testing.assert_allclose(values[:, 0], 0.25)
    np.testing.assert_allclose(values[:, 1], expected["jawOpen"], atol=1e-6)
    np.testing.assert_allclose(values[:, 2], expected["eyeBlinkLeft"], atol=1e-6)
    assert not caplog.records
    hero_with_shapes(hero, ["horns"])
    assert run(["convert", str(tmp_path / "a.npz"), "-o", str(tmp_path / "b.glb"), "--skeleton", str(hero)]) == 0
    assert "no mesh of" in caplog.records[-1].getMessage()
    assert caplog.records[-1].getMessage().startswith(f"{tmp_path / 'b.glb'}: ")


def test_the_weights_of_all_morph_targets_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hero = tmp_path / "hero.glb"
    hero_with_shapes(hero, ["horns", "JawOpen", "eyeBlink_L"])
    sp.save(with_face(), tmp_path / "a.npz")
    words = ["convert", str(tmp_path / "a.npz"), "-o", str(tmp_path / "b.glb"), "--skeleton", str(hero)]
    monkeypatch.setattr(glb_character, "_MOST_WEIGHTS", 3 * 30 - 1)
    assert run(words) == 2
    assert "too many morph targets" in capsys.readouterr().err
    assert not (tmp_path / "b.glb").exists()
    monkeypatch.setattr(glb_character, "_MOST_WEIGHTS", 3 * 30)
    assert run(words) == 0, "control"


ODD: dict[str, dict[str, Any]] = {
    "extras that are no object": {"extras": "jawOpen"},
    "names that are no list": {"extras": {"targetNames": "jawOpen"}},
    "more names than targets": {"extras": {"targetNames": ["jawOpen", "eyeBlinkLeft", "horns"]}},
    "fewer weights than targets": {"weights": [0.5]},
    "weights that are no numbers": {"weights": [0.5, "much"]},
}


@pytest.mark.parametrize("what", ODD)
def test_morph_targets_that_do_not_fit_their_names_stay(what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hero, out = tmp_path / "hero.glb", tmp_path / "talk.glb"
    hero_with_shapes(hero, ["jawOpen", "eyeBlinkLeft"])
    builder = GltfBuilder(GltfFile(hero))
    builder.content["meshes"][0] |= ODD[what]
    builder.write(hero)
    sp.save(with_face(), tmp_path / "a.npz")
    assert run(["convert", str(tmp_path / "a.npz"), "-o", str(out), "--skeleton", str(hero)]) == 0
    (animation,) = GltfFile(out).content["animations"]
    paths = {channel["target"]["path"] for channel in animation["channels"]}
    assert "rotation" in paths
    assert "weights" not in paths
    assert "no mesh of" in caplog.records[-1].getMessage()


def test_expressions_of_a_vrm_avatar_follow(tmp_path: Path) -> None:
    sp.save(replace(with_face(), curves=dict.fromkeys(ARKIT, np.zeros(30)) | dict(with_face().curves)), tmp_path / "a.vrma")
    file = GltfFile(tmp_path / "a.vrma")
    described = file.content["extensions"]["VRMC_vrm_animation"]
    nodes = {name: one["node"] for name, one in described["expressions"]["preset"].items()}
    assert set(nodes) == {"blinkLeft", "blinkRight", "aa", "oh", "ou"}
    animation = file.content["animations"][0]
    weights = {}
    for name, node in nodes.items():
        (channel,) = [one for one in animation["channels"] if one["target"]["node"] == node]
        assert channel["target"]["path"] == "translation"
        weights[name] = file.array(animation["samplers"][channel["sampler"]]["output"])
        assert file.content["nodes"][node]["name"] == name
        assert (weights[name][:, 1:] == 0).all()
    jaw = np.linspace(0.0, 1.0, 30)
    np.testing.assert_allclose(weights["ou"][:, 0], 1 - jaw, atol=1e-6)
    np.testing.assert_allclose(weights["aa"][:, 0], jaw * jaw, atol=1e-6)
    humanoid = {one["node"] for one in described["humanoid"]["humanBones"].values()}
    assert not humanoid & set(nodes.values())
    assert len(sp.load_motion(tmp_path / "a.vrma")) == 30
    sp.save(body_motion(), tmp_path / "b.vrma")
    assert "expressions" not in GltfFile(tmp_path / "b.vrma").content["extensions"]["VRMC_vrm_animation"]
