"""Training of the spatial network: how runs go on, how the network is judged, and what its scores mean.

The pictures are made up here: a coloured dot at each joint, which a small network learns to find in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from stpose_cli.main import run as stpose
from stpose_training.loop import make_fabric
from stpose_training.spatial.feed import View
from stpose_training.spatial.measure import LIMBS, Truth, footage_truth, judge, rendered_truth
from stpose_training.spatial.recipe import Recipe, SpatialPaths
from stpose_training.spatial.run import Run, Step, train
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, VISIBLE

from stpose_core.detect.builtin import Calibration
from stpose_core.detect.networks import load_spatial
from stpose_core.errors import FormatError, TrainingError, WeightsError
from stpose_core.networks import configs
from stpose_core.networks.configs import SpatialConfig
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.skeletons import H36M17
from stpose_core.weights import write_weights

SIZE = (64, 96)
TINY = SpatialConfig(size=SIZE, stem=16, first=1, width=8, modules=(1,), blocks=1, head=24)
# Roughly a standing person, in pixels of a 224 x 288 picture, in the order of h36m17.
STANDING = (
    (112, 150), (95, 150), (92, 195), (90, 238), (129, 150), (132, 195), (134, 238), (112, 120), (112, 85), (112, 68), (112, 45),
    (140, 90), (155, 120), (165, 150), (84, 90), (69, 120), (59, 150),
)  # fmt: skip
COLOURS = np.random.default_rng(3).integers(60, 256, (17, 3))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setitem(configs.PRESETS, "small", TINY)


def write_dots(folder: Path, part: str, number: int, count: int = 12, radius: int = 5) -> None:
    """A shard of pictures in which nothing but the joints is seen; joint 3 is hidden, joint 16 outside."""
    random = np.random.default_rng(number + 1000 * (part == "train"))
    joints = np.zeros((count, 3, 17, 2), np.float32)
    joints[:, 0] = STANDING + random.uniform(-12, 12, (count, 17, 2))
    joints[:, 0, 16] = (300, 100)
    state = np.zeros((count, 3, 17), np.uint8)
    state[:, 0] = VISIBLE
    state[:, 0, 3], state[:, 0, 16] = HIDDEN, OUTSIDE
    pages = []
    for row in range(count):
        picture = np.full((288, 224, 3), 20, np.uint8)
        for joint, (x, y) in enumerate(joints[row, 0]):
            if state[row, 0, joint] == VISIBLE:
                cv2.circle(picture, (int(x), int(y)), radius, COLOURS[joint].tolist(), -1)
        pages.append(cv2.imencode(".png", picture)[1].reshape(-1))  # exact: the file says what it is
    box = np.zeros((count, 3, 4), np.float32)
    box[:, 0] = (25, 35, 195, 245)
    xyz = np.concatenate([joints / 100, np.zeros((count, 3, 17, 1), np.float32)], -1)
    np.savez(
        folder / f"{part}-{number:05d}.npz",
        bytes=np.concatenate(pages),
        lengths=np.array([len(page) for page in pages]),
        joints=joints,
        state=state,
        box=box,
        xyz=xyz,
        mask=np.zeros((count, 72, 56), np.uint8),
        pixels=np.linspace(50, 300, count).astype(np.float32),
        tilt=np.linspace(0, 180, count).astype(np.float32),
    )


def write_cache(folder: Path) -> Path:
    """A folder of pictures to train with and to judge by."""
    folder.mkdir()
    for part, number in (("train", 0), ("train", 1), ("validation", 0)):
        write_dots(folder, part, number)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return write_cache(tmp_path / "cache")


def test_the_rate_is_constant_until_it_falls_and_grows_with_the_batch() -> None:
    recipe = Recipe(samples=1000, warmup=100, settle=0.3, batch=32, rate=1.0)
    assert recipe.learning_rate(0) == pytest.approx(0.32)
    assert recipe.learning_rate(200) == recipe.learning_rate(600) == 1
    assert recipe.learning_rate(850) == pytest.approx(0.5)
    assert replace(recipe, batch=128).learning_rate(600) == pytest.approx(2)
    # While it is constant, a longer run is the same run.
    assert replace(recipe, samples=5000).learning_rate(600) == 1
    assert replace(recipe, samples=5000, batch=64).identity() == recipe.identity()
    assert replace(recipe, sigma=2.0).identity() != recipe.identity()
    with pytest.raises(TrainingError):
        Recipe(samples=0)


def short(**changes: object) -> Recipe:
    plain = Recipe(samples=960, coarse=0.0, batch=16, warmup=64, ema=100, rate=6e-3, judge_every=480, save_every=0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def paths_in(
    cache: Path, folder: Path, state: str = "run", output: str = "w.safetensors", start: Path | None = None
) -> SpatialPaths:
    return SpatialPaths(cache=cache, output=folder / output, state=folder / state, start=start)


def teach(cache: Path, folder: Path, recipe: Recipe, say: Callable[[str], None] = lambda text: None, **places: Any) -> SpatialPaths:
    """Trains a tiny network; what is written lies in the folder."""
    paths = paths_in(cache, folder, **places)
    train(paths, config=TINY, recipe=recipe, fabric=make_fabric("cpu"), say=say)
    return paths


def run_of(paths: SpatialPaths, recipe: Recipe, config: SpatialConfig = TINY) -> Run:
    return Run(config, recipe, make_fabric("cpu"), paths)


def test_a_network_learns_to_find_dots(cache: Path, tmp_path: Path) -> None:
    teach(cache, tmp_path, short(samples=1200))
    rows = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["seen"]["samples"] for row in rows] == [480, 960, 1200]
    assert rows[-1]["train"]["maps"] < 2.3
    network = load_spatial(tmp_path / "w.safetensors")[0]
    assert network.config == TINY
    truth = rendered_truth(cache, SIZE)
    reached = judge(network, truth, torch.device("cpu"))
    untrained = judge(SpatialNetwork(TINY), truth, torch.device("cpu"))
    assert reached["pck"] > untrained["pck"] + 0.15
    assert {"visible", "hidden", "goal", "upright", "lying", "inverted", "below_80_px", "flag"} <= set(reached)


def test_a_stopped_run_resumes_and_another_is_refused(cache: Path, tmp_path: Path) -> None:
    paths = teach(cache, tmp_path, short(samples=320))
    run = run_of(paths, short())
    assert (run.seen, run.step) == (320, 20)
    said: list[str] = []
    # Longer, with other batches: the same run resumes.
    teach(cache, tmp_path, short(samples=480, batch=32), said.append)
    assert any("resumes at 320" in line for line in said)
    assert run_of(paths, short()).seen == 480
    with pytest.raises(TrainingError, match=r"another run \(rate"):
        teach(cache, tmp_path, short(rate=1.0))
    # A checkpoint from before a field of the recipe: the field had its default.
    checkpoint = paths.state / "checkpoint.pt"
    saved = torch.load(checkpoint, weights_only=True)
    del saved["recipe"]["held"]
    torch.save(saved, checkpoint)
    assert run_of(paths, short()).seen == 480
    with pytest.raises(TrainingError, match=r"another run \(held False -> True"):
        run_of(paths, short(held=True))


def test_a_run_from_weights_holds_their_norms_also_after_a_stop(cache: Path, tmp_path: Path) -> None:
    first = teach(cache, tmp_path, short(samples=320)).output

    def moved(recipe: Recipe, *lengths: int) -> tuple[bool, bool]:
        """Whether any norm's statistics, and whether other weights, differ from those that the run started from."""
        for length in lengths:
            state = f"{recipe.held}-{len(lengths)}"
            paths = teach(cache, tmp_path, replace(recipe, samples=length), state=state, output="second.safetensors", start=first)
        before, after = (load_spatial(path)[0].state_dict() for path in (first, paths.output))
        changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
        return any("running" in name for name in changed), "maps.weight" in changed

    assert moved(short().continued(), 320) == (False, True)
    assert moved(short().continued(), 160, 320) == (False, True)
    assert moved(short(), 320) == (True, True), "the control"


def test_a_run_starts_from_given_weights_of_the_same_network(cache: Path, tmp_path: Path) -> None:
    first = teach(cache, tmp_path, short(samples=640)).output
    start = load_spatial(first)[0].state_dict()
    for given in (first, None):
        begun, same = run_of(paths_in(cache, tmp_path, "none", start=given), short()), given is not None
        assert begun.seen == 0
        assert torch.equal(begun.network.state_dict()["maps.weight"], start["maps.weight"]) == same
        assert torch.equal(begun.averaged.state_dict()["maps.weight"], start["maps.weight"]) == same
    paths = paths_in(cache, tmp_path, "none", start=first)
    attending = run_of(paths, short(), replace(TINY, heads=4)).network.state_dict()
    assert torch.equal(attending["maps.weight"], start["maps.weight"])
    assert any(name.startswith("attention.") for name in attending)
    with pytest.raises(TrainingError, match="another network"):
        run_of(paths, short(), replace(TINY, head=TINY.head + 1))


def test_compiled_networks_learn_the_same(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, compiled = [], torch.compile

    def traced(network: SpatialNetwork, **options: object) -> object:
        """Traced as with a compiler, but run by torch, so that none is needed here."""
        asked.append(network)
        return compiled(network, **{**options, "backend": "aot_eager"})

    monkeypatch.setattr(torch, "compile", traced)
    recipe = tmp_path / "fine.toml"
    recipe.write_text("[spatial]\ncoarse = 0.0\nbatch = 16\n")
    arguments = ["train", "spatial", "--cache", str(cache), "--samples", "64", "--recipe", str(recipe), "--device", "cpu"]
    learned = []
    for name, extra in (("plain", []), ("compiled", ["--compile"])):
        out = tmp_path / f"{name}.safetensors"
        assert stpose([*arguments, "-o", str(out), "--state", str(tmp_path / name), *extra]) == 0
        learned.append(load_spatial(out)[0].state_dict())
        assert len({id(network) for network in asked}) == 2 * bool(extra)  # that in training and the averaged one
    for name, value in learned[0].items():
        torch.testing.assert_close(learned[1][name].float(), value.float(), atol=0.02, rtol=0.05)


def test_a_damaged_checkpoint_is_said(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is damaged"):
        teach(cache, tmp_path, short(), state=".")


def test_a_run_sees_half_size_first_and_resumes_at_the_size_it_was_stopped_at(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = short(samples=960, coarse=0.5, judge_every=160)
    assert [recipe.size(seen, (192, 256)) for seen in (0, 479, 480, 960)] == [(96, 128)] * 2 + [(192, 256)] * 2
    seen: list[tuple[int, ...]] = []
    learn = Run.learn

    def killed(self: Run, batch: Step) -> dict[str, float]:
        seen.append(tuple(batch[0].pictures.shape[2:]))
        if self.seen in stops:
            raise KeyboardInterrupt
        return learn(self, batch)

    monkeypatch.setattr(Run, "learn", killed)
    stops, paths = {352, 656}, paths_in(cache, tmp_path)  # in the first half and in the second
    for resumed in (352, 656):
        with pytest.raises(KeyboardInterrupt):
            teach(cache, tmp_path, recipe)
        assert run_of(paths, recipe).seen == resumed
        stops = {656} - {resumed}
    stops = set()
    teach(cache, tmp_path, recipe)
    assert set(seen[:30]) == {(48, 32)}
    assert set(seen[-20:]) == {(96, 64)}
    rows = [json.loads(row)["seen"] for row in (paths.state / "log.jsonl").read_text().splitlines()]
    assert [(row["samples"], row["width"]) for row in rows] == [(160, 32), (320, 32), (480, 32), (640, 64), (800, 64), (960, 64)]
    assert load_spatial(paths.output)[0].config.size == SIZE
    with pytest.raises(TrainingError, match="coarse"):
        short(coarse=1.5)


def known(places: np.ndarray, state: np.ndarray) -> Truth:
    counted = state != OUTSIDE
    groups = {"visible": state == VISIBLE, "hidden": state == HIDDEN}
    return Truth(np.zeros((len(places), 96, 64, 3), np.uint8), places, np.full(len(places), 20.0), counted, groups)


def test_pck_counts_what_lies_within_a_fifth_of_the_torso(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    places = random.uniform(10, 50, (5, 12, 2))
    state = np.full((5, 12), VISIBLE)
    state[:, 0], state[:, 1] = HIDDEN, OUTSIDE
    found = np.zeros((5, 17, 2))
    index = H36M17.index(*LIMBS)
    found[:, index] = places
    found[:, index[0]] += (3.9, 0)  # hidden, just near enough
    found[:, index[2]] += (0, 4.1)  # visible, just too far
    found[:, index[1]] += 30  # outside: does not count
    answer = (torch.from_numpy(found).float(), torch.full((5, 17), -1.0))
    monkeypatch.setattr("stpose_training.spatial.measure.find", lambda *arguments: answer)
    measured = judge(SpatialNetwork(TINY), known(places, state), torch.device("cpu"))
    assert measured["hidden"] == 1
    assert measured["visible"] == pytest.approx(9 / 10)
    assert measured["pck"] == pytest.approx(10 / 11, abs=1e-4)
    assert measured["flag"] == pytest.approx(10 / 11, abs=1e-4)  # all said to be visible; one of eleven is not


def test_what_is_missing_is_told(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FormatError, match="no held-out pictures"):
        rendered_truth(tmp_path, SIZE)
    with pytest.raises(FormatError, match=r"reference\.npz"):
        footage_truth(tmp_path, SIZE)
    with pytest.raises(WeightsError):
        load_spatial(tmp_path / "none.safetensors")
    spatial = ["train", "spatial", "--cache"]
    for arguments, message in (
        (["render", "--cache", str(cache)], "nothing to do"),
        (["render", "--cache", str(tmp_path / "new"), "--count", "2"], "give --assets and --mocap"),
        (["evaluate", "spatial"], "nothing to measure on"),
        ([*spatial, str(cache), "-o", str(tmp_path / "none" / "w.safetensors")], "no folder"),
        ([*spatial, str(tmp_path / "new"), "-o", str(tmp_path / "w.safetensors")], "no held-out pictures"),
        ([*spatial, str(cache), "-o", str(tmp_path / "w.safetensors"), "--network", "huge"], "no spatial network 'huge'"),
        ([*spatial, str(cache), "-o", str(tmp_path / "w.safetensors"), "--recipe", "none"], "no preset none; there are builtin"),
    ):
        assert stpose(arguments) == 2, arguments
        assert message in capsys.readouterr().err


def test_the_commands_train_and_measure(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "w.safetensors", tmp_path / "second.safetensors"
    arguments = ["train", "spatial", "--cache", str(cache), "--samples", "64", "--device", "cpu"]
    assert stpose([*arguments, "-o", str(first), "--state", str(tmp_path / "run")]) == 0
    assert load_spatial(first)[0].config == TINY
    assert stpose([*arguments, "-o", str(second), "--state", str(tmp_path / "second"), "--start", str(first)]) == 0
    assert [load_spatial(path)[1]["recipe"]["held"] for path in (first, second)] == [False, True]
    capsys.readouterr()
    assert stpose(["evaluate", "spatial", "--cache", str(cache), "--weights", str(first), "--device", "cpu"]) == 0
    table = capsys.readouterr().out
    assert "| rendered | hidden |" in table
    assert "| rendered | visible, above 80 px |" in table


def test_what_scores_mean_is_measured_and_noted_in_the_weights(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "w.safetensors"
    write_weights(out, SpatialNetwork(TINY).state_dict(), "spatial", {"network": TINY.to_dict(), "samples": 7})
    arguments = ["calibrate", str(out), "--cache", str(cache)]
    assert stpose(arguments) == 2
    assert "no held-out frames" in capsys.readouterr().err
    write_dots(cache, "frames-validation", 0)
    with np.load(cache / "frames-validation-00000.npz") as frames:
        arrays = dict(frames)
    arrays["box"] = np.zeros_like(arrays["box"])  # as if nobody were in them
    np.savez(cache / "frames-validation-00000.npz", **arrays)
    assert stpose(arguments) == 0, "with the network's own outputs"
    capsys.readouterr()

    def scripted(network: SpatialNetwork, views: list[View]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every second person's joints are found, with much mass; the others', and those of nobody, are not, with little."""
        joints = np.stack([view.joints for view in views])
        found = (np.stack([view.state for view in views]) != OUTSIDE) & (np.arange(len(views)) % 3 > 0)[:, None]
        noise = np.random.default_rng(0).normal(size=found.shape)
        return joints + np.where(found, 0, 500)[..., None], 1 / (1 + np.exp(-np.where(found, 2, -2) - noise)), 0.1 * noise

    before = load_spatial(out)[0]
    monkeypatch.setattr("stpose_training.spatial.calibrate.outputs", scripted)
    assert stpose(arguments) == 0
    told = capsys.readouterr().out
    after, header = load_spatial(out)
    assert header["samples"] == 7
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name
    # Two normal distributions of spread 1 and distance 4: the logistic function's slope is 4.
    assert Calibration.of(header).joint[1] == pytest.approx(4, rel=0.35)
    assert Calibration.of(header).presence[1] > 1
    near, others = (float(part.split(";")[0]) for part in told.split("score of those ")[1].split(", of others "))
    assert near > 0.85
    assert others < 0.15
    # Views without people count sixteen times: an uncertain view is less likely a person than with equal counts.
    unsure = np.full(17, 0.5), np.zeros(17)
    careful = Calibration.of(header).present(*unsure)
    monkeypatch.setattr("stpose_training.spatial.calibrate._NOBODY", 1.0)
    assert stpose(arguments) == 0
    assert careful < Calibration.of(load_spatial(out)[1]).present(*unsure)
