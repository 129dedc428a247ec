"""Runs of the lifter's training: they learn, stop, resume identically, keep to their budget, and work together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_mocap import REST, kept_banks, write_folder
from stpose_cli.main import run as command
from stpose_training import lifter as module
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.feed import Source, feed
from stpose_training.journal import Journal
from stpose_training.lifter import train
from stpose_training.loop import make_fabric
from stpose_training.recipe import NETWORKS, PRESETS, Plan, Recipe, critic_weight, load_plan

from stpose_core.errors import TrainingError
from stpose_core.lift import load_lifter
from stpose_core.lift.torch_network import torch_lifter
from stpose_core.networks.dilated import DilatedNetwork
from stpose_core.networks.lifting import make_network
from stpose_core.networks.lifting_configs import DilatedConfig, config_of, reads_maps
from stpose_core.networks.temporal import TemporalNetwork

TINY = {"latent": 16, "width": 8, "strides": [1, 2], "dropout": 0.1}
SMALL_DILATED = {"channels": 16, "kernels": [3, 3], "dropout": 0.0}
SHORT = Recipe(steps=12, batch=4, frames=32, reach=16, warmup=2, judged=1, evaluate_every=12, checkpoint_every=4)
PRESET = """
[dimensions]
latent = 16
width = 8
strides = [1, 2]
[recipe]
steps = 40
batch = 4
frames = 32
reach = 16
warmup = 2
critic = 0.05
judged = 1
evaluate_every = 100
checkpoint_every = 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch_lifter(path).network.module.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("straight", [False, True])
def test_a_run_with_straight_knees_learns_from_corrected_legs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight: bool
) -> None:
    folder = write_folder(tmp_path)
    crouched = REST.copy()
    crouched[[2, 5], 1] += 0.08  # knees of 25 degrees, of somebody who stands still
    with np.load(folder / "free_train.npz") as clips:
        np.savez(folder / "free_train.npz", **{name: np.repeat(crouched[None], len(clips[name]), axis=0) for name in clips.files})
    banks = kept_banks(monkeypatch, module)
    plan = Plan(replace(SHORT, steps=1, straight_knees=straight), dimensions=TINY)
    train(folder, output=tmp_path / "a.safetensors", plan=plan, state=tmp_path / "state")
    recorded = MotionBank(load_mocap(folder), "cpu").frames
    moved = (banks[0].frames - recorded).norm(dim=-1).amax(0)
    knees = [2, 5]
    assert all(moved[joint] == 0 for joint in range(17) if joint not in knees)
    assert all((moved[joint] > 0.005) == straight for joint in knees)


@pytest.mark.parametrize(
    ("architecture", "dimensions", "kind"),
    [("multi-stride", {**TINY, "dropout": 0.0}, TemporalNetwork), ("dilated", SMALL_DILATED, DilatedNetwork)],
)
def test_training_learns_and_what_it_writes_can_be_loaded(
    folder: Path, tmp_path: Path, architecture: str, dimensions: dict[str, object], kind: type
) -> None:
    recipe = Recipe(steps=60, batch=8, frames=16, reach=16, rate=5e-3, warmup=5, judged=1, evaluate_every=30, checkpoint_every=30)
    train(folder, output=tmp_path / "a.safetensors", plan=Plan(recipe, architecture, dimensions), state=tmp_path / "state")
    rows = [json.loads(line) for line in (tmp_path / "state" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [30, 60]
    untaught = Plan(replace(recipe, rate=0.0, evaluate_every=60), architecture, dimensions)
    train(folder, output=tmp_path / "b.safetensors", plan=untaught, state=tmp_path / "control")
    control = json.loads((tmp_path / "control" / "log.jsonl").read_text())
    assert rows[-1]["cmu_validation"]["mpjpe"] < 0.7 * control["cmu_validation"]["mpjpe"]
    assert isinstance(torch_lifter(tmp_path / "a.safetensors").network.module, kind)


@pytest.mark.parametrize("critic", [0.0, 0.05])
def test_a_stopped_run_resumes_to_the_same_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, critic: float
) -> None:
    plan = Plan(replace(SHORT, critic=critic, critic_from=0.2, critic_ramp=0.3), dimensions=TINY)
    train(folder, output=tmp_path / "whole.safetensors", plan=plan, state=tmp_path / "whole")

    class Killed(BaseException):
        pass

    real = module.save_checkpoint

    def dying(path: Path, state: dict[str, Any]) -> None:
        real(path, state)
        if state["step"] == 8:
            raise Killed

    monkeypatch.setattr(module, "save_checkpoint", dying)
    with pytest.raises(Killed):
        train(folder, output=tmp_path / "half.safetensors", plan=plan, state=tmp_path / "half")
    monkeypatch.setattr(module, "save_checkpoint", real)
    assert not (tmp_path / "half.safetensors").exists()
    train(folder, output=tmp_path / "half.safetensors", plan=plan, state=tmp_path / "half")
    whole = weights(tmp_path / "whole.safetensors")
    assert same(whole, weights(tmp_path / "half.safetensors"))
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "half")]
    assert ("critic" in states[0]) == (critic > 0)
    if critic:
        assert same(states[0]["critic"]["network"], states[1]["critic"]["network"])
    # The control: another seed gives another result,.
    other = Plan(replace(plan.recipe, seed=1), dimensions=TINY)
    train(folder, output=tmp_path / "other.safetensors", plan=other, state=tmp_path / "other")
    assert not same(whole, weights(tmp_path / "other.safetensors"))


def test_the_critic_acts_from_its_share_of_the_run_on(folder: Path, tmp_path: Path) -> None:
    recipe = replace(SHORT, critic=0.5, critic_from=0.5, critic_ramp=0.25)
    assert [critic_weight(recipe, step, 12) for step in (0, 5, 6, 9, 11)] == [None, None, 0.0, 0.5, 0.5]
    assert critic_weight(replace(recipe, critic=0.0), 11, 12) is None
    results = {}
    for name, critic, begin in (("off", 0.0, 0.5), ("on", 0.5, 0.5), ("late", 0.5, 1.0)):
        plan = Plan(replace(recipe, critic=critic, critic_from=begin), dimensions=TINY)
        train(folder, output=tmp_path / f"{name}.safetensors", plan=plan, state=tmp_path / name)
        results[name] = weights(tmp_path / f"{name}.safetensors")
    assert same(results["off"], results["late"])
    assert not same(results["off"], results["on"])
    log = json.loads((tmp_path / "on" / "log.jsonl").read_text())
    assert 0 <= log["train"]["critic"] < 2


@pytest.mark.parametrize("damage", ["half", "text", "nothing"])
def test_a_damaged_checkpoint_is_said_in_one_line(folder: Path, tmp_path: Path, damage: str) -> None:
    torch.save({"step": torch.zeros(1000)}, tmp_path / "checkpoint.pt")
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes({"half": whole[: len(whole) // 2], "text": b"no checkpoint", "nothing": b""}[damage])
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is damaged") as error:
        train(folder, output=tmp_path / "a.safetensors", plan=Plan(SHORT, dimensions=TINY), state=tmp_path)
    assert "\n" not in str(error.value)


def test_a_run_does_not_resume_under_another_plan(folder: Path, tmp_path: Path) -> None:
    plan = Plan(replace(SHORT, steps=4, evaluate_every=4), dimensions=TINY)
    train(folder, output=tmp_path / "a.safetensors", plan=plan, state=tmp_path / "state")
    for other in (Plan(replace(plan.recipe, seed=3), dimensions=TINY), Plan(plan.recipe, dimensions={**TINY, "width": 4})):
        with pytest.raises(TrainingError, match=r"another run \((seed 0 -> 3|dimensions)"):
            train(folder, output=tmp_path / "a.safetensors", plan=other, state=tmp_path / "state")
    written = (tmp_path / "a.safetensors").stat().st_mtime_ns
    said: list[str] = []
    train(folder, output=tmp_path / "a.safetensors", plan=plan, state=tmp_path / "state", say=said.append)
    assert said == [f"{tmp_path / 'state'}: finished at step 4"]
    assert (tmp_path / "a.safetensors").stat().st_mtime_ns == written
    before = weights(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").unlink()  # lost, or never written because the run was killed just then
    train(folder, output=tmp_path / "a.safetensors", plan=plan, state=tmp_path / "state")
    assert same(before, weights(tmp_path / "a.safetensors"))


def test_a_budget_in_minutes_ends_by_the_clock_with_the_rate_run_down(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    real = module.learning_rate

    def noted(recipe: Recipe, step: int, total: int) -> float:
        rates.append(real(recipe, step, total))
        return rates[-1]

    monkeypatch.setattr(module, "learning_rate", noted)
    plan = Plan(replace(SHORT, steps=100_000, minutes=0.05), dimensions=TINY)
    train(folder, output=tmp_path / "a.safetensors", plan=plan, state=tmp_path / "state")
    state = torch.load(tmp_path / "state" / "checkpoint.pt", weights_only=True)
    assert 3.0 <= state["seconds"] < 8.0  # the last step may take long on a busy machine
    assert 5 < state["step"] < 100_000
    assert max(rates) > 0.9 * SHORT.rate
    assert rates[-1] < 0.2 * SHORT.rate


def test_networks_of_other_reach_are_shown_the_same_samples(folder: Path) -> None:
    bank = MotionBank(load_mocap(folder))
    wide, narrow, alone = (
        next(feed(Source(bank, own), replace(SHORT, reach=reach), 3, lambda step: 1.0))
        for reach, own in ((24, 24), (24, 4), (4, 4))
    )
    assert torch.equal(wide.pose, narrow.pose)
    assert torch.equal(wide.joints[:, 20:-20], narrow.joints)
    assert torch.equal(wide.context[:, 20:-20], narrow.context)
    assert narrow.joints.shape[1] == 32 + 2 * 4
    assert not torch.equal(narrow.pose, alone.pose)  # the control: drawn with another reach, they are others


def test_a_failure_while_drawing_reaches_the_loop(folder: Path) -> None:
    bank = MotionBank(load_mocap(folder))

    def broken(step: int) -> float:
        raise ZeroDivisionError("in the thread")

    with pytest.raises(ZeroDivisionError, match="in the thread"):
        next(feed(Source(bank, 16), SHORT, 0, broken))
    with pytest.raises(TrainingError, match="cannot be divided evenly among 3"):
        next(feed(Source(bank, 16), SHORT, 0, lambda step: 1.0, 0, 3))


def test_processes_that_work_together_draw_different_parts_of_a_batch(folder: Path) -> None:
    bank = MotionBank(load_mocap(folder))
    first, second = (next(feed(Source(bank, 16), SHORT, 0, lambda step: 1.0, rank, 2)) for rank in (0, 1))
    assert len(first.pose) == len(second.pose) == SHORT.batch // 2
    assert not torch.equal(first.pose, second.pose)


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(TrainingError, match=r"pip install .*\[train\]"):
        make_fabric("cpu")


def test_the_journal_forgets_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 10}\n{"step": 20}\n{"step": 30}\n{"st')
    said: list[str] = []
    journal = Journal(tmp_path, 20, said.append)
    journal.step(50, 100, {"mpjpe": 0.25}, 1e-3)
    journal.measured(50, 12.3, {"set": {"mpjpe": 80.0}})
    journal.close()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 50]
    assert said[0].startswith("step 50/100 mpjpe 0.2500 eta 0 min")
    assert any((tmp_path / "tensorboard").glob("events.*"))


@pytest.mark.parametrize("preset", ["default", "plain", "paper"])
@pytest.mark.parametrize("network", [None, *NETWORKS])
def test_every_preset_makes_every_network(preset: str, network: str | None) -> None:
    plan = load_plan(preset, network, steps=7, seed=None)
    assert plan.recipe.steps == 7
    assert (plan.recipe.critic > 0) == (preset == "paper")
    with torch.device("meta"):
        made = make_network(config_of(plan.architecture, plan.dimensions))
    own = 66 if preset == "default" else 64  # with the window over the output
    contexts = {None: own, "multi-stride": own, "dilated-81": 40, "dilated-243": 121}
    assert made.config.context == contexts[network]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[recipe]\nstep = 3", "there is no 'step'"),
        ("[recipe]\nsteps = 3.5", "steps must be of type int"),
        ("[recipe]\nsteps = 0", "steps must be at least 1"),
        ("[recipe]\nrate = -1.0", "rate must be 0 or more"),
        ("[recipe]\njudged = 0", "judged must be at least 1"),
        ("[recipe]\ncritic = 0.1\nframes = 8", "the critic judges 28 frames at once"),
        ("[recipe]\nwarmup = -5", "warmup must be 0 or more"),
        ("[recipe]\nmasked = 2.0", "masked is a share"),
        ("[recipe]\nema = 1.0", "ema must be from 0 to below 1"),
        ("[recipe]\nbones = nan", "bones must be 0 or more"),
        ("[recipes]\nsteps = 3", "unknown entry recipes"),
        ("steps = = 3", "line 1"),
        ("[recipe]\nprecision = '8'", "precision must be"),
    ],
)
def test_what_is_wrong_with_a_preset_is_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_plan(str(tmp_path / "own.toml"))


def test_the_command_says_in_one_line_what_does_not_fit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text("[dimensions]\nwidht = 8")
    out = ["-o", str(tmp_path / "a.safetensors")]
    for arguments, message in (
        (
            ["--data", str(folder), *out, "--preset", "best"],
            "there is no preset best; there are causal, contacts, default, maps, paper, plain",
        ),
        (["--data", str(tmp_path / "none"), *out], "expected an index.csv"),
        (["--data", str(folder), *out, "--network", "lstm"], "unknown network 'lstm'"),
        (["--data", str(folder), *out, "--preset", "own.toml", "--device", "cpu"], "cannot make the network"),
        (["--data", str(folder), "-o", str(tmp_path / "no" / "a.safetensors")], "there is no folder"),
    ):
        assert command(["train", "lifter", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith("stpose: ")
        assert error.count("\n") == 1
        assert message in error


@pytest.fixture
def alone() -> dict[str, str]:
    """An environment for processes of their own that import what this one does, with one thread each."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}


def test_a_run_killed_at_any_moment_goes_on_to_the_same_result(folder: Path, tmp_path: Path, alone: dict[str, str]) -> None:
    # Whether bfloat16 pays is measured by each process: two of them may come to different answers on a busy machine.
    (tmp_path / "own.toml").write_text(PRESET.replace("steps = 40", 'steps = 40\nprecision = "32-true"'))
    arguments = ["train", "lifter", "--data", str(folder), "--preset", str(tmp_path / "own.toml"), "--device", "cpu"]

    def to(name: str) -> list[str]:
        return [*arguments, "-o", str(tmp_path / f"{name}.safetensors"), "--state", str(tmp_path / name)]

    assert command(to("whole")) == 0
    log = (tmp_path / "said.txt").open("w")
    killed = subprocess.Popen([sys.executable, "-m", "stpose_cli.main", *to("half")], env=alone, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while not (tmp_path / "half" / "checkpoint.pt").exists() and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL, (tmp_path / "said.txt").read_text()
    assert not (tmp_path / "half.safetensors").exists()
    saved = torch.load(tmp_path / "half" / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < saved < 40
    assert command(to("half")) == 0
    assert same(weights(tmp_path / "whole.safetensors"), weights(tmp_path / "half.safetensors"))


def test_two_processes_train_together(folder: Path, tmp_path: Path, alone: dict[str, str]) -> None:
    (tmp_path / "own.toml").write_text(PRESET.replace("steps = 40", "steps = 6"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "stpose_cli.main"]
    arguments = ["train", "lifter", "--data", str(folder), "--preset", str(tmp_path / "own.toml"), "--device", "cpu"]
    together = [*arguments, "-o", str(tmp_path / "a.safetensors"), "--state", str(tmp_path / "two")]
    done = subprocess.run([*torchrun, *together], env=alone, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [6]
    assert done.stdout.count("step 6 {") == 1  # one of them speaks for both
    assert isinstance(torch_lifter(tmp_path / "a.safetensors").network.module, TemporalNetwork)


def test_a_run_can_begin_with_weights_of_another(folder: Path, tmp_path: Path) -> None:
    first, second, alone = (tmp_path / f"{name}.safetensors" for name in ("first", "second", "alone"))
    plan = Plan(SHORT, dimensions=TINY)
    train(folder, output=first, plan=plan, state=tmp_path / "first")
    short = replace(plan, recipe=replace(SHORT, steps=1, rate=1e-6, seed=5))
    train(folder, output=second, plan=short, state=tmp_path / "second", start=first)
    train(folder, output=alone, plan=short, state=tmp_path / "alone")
    began, went_on, random = (weights(path)["merge.0.weight"] for path in (first, second, alone))
    assert torch.allclose(began, went_on, atol=1e-3)
    assert not torch.allclose(began, random, atol=1e-3)
    with pytest.raises(TrainingError, match="another network"):
        train(folder, output=second, plan=replace(short, dimensions={**TINY, "width": 12}), state=tmp_path / "third", start=first)


def test_a_network_that_reads_maps_can_begin_with_one_that_reads_keypoints(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    plan = Plan(SHORT, dimensions=TINY)
    train(folder, output=first, plan=plan, state=tmp_path / "first")
    maps = Plan(replace(SHORT, steps=1, rate=1e-6, confused=0.5), dimensions={**TINY, "inputs": "heatmaps", "map_features": 4})
    train(folder, output=second, plan=maps, state=tmp_path / "second", start=first)
    began, went_on = weights(first), weights(second)
    assert torch.allclose(began["merge.0.weight"], went_on["merge.0.weight"], atol=1e-3)
    assert load_lifter(second).reads_maps
    with pytest.raises(TrainingError, match="another network"):  # the other way round there is no encoder to take
        train(folder, output=first, plan=plan, state=tmp_path / "third", start=second)


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_presets_make_networks(preset: str) -> None:
    plan = load_plan(preset)
    network = make_network(config_of(plan.architecture, plan.dimensions))
    size = sum(value.numel() for value in network.parameters())
    assert 3e6 < size < (13e6 if isinstance(network.config, DilatedConfig) else 8e6)
    assert reads_maps(network.config) == (preset in ("maps", "paper"))
