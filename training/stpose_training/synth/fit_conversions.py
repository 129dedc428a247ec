"""Fits the weights of `stpose_core.conversions` on posed bodies, prints the errors, and writes the weights.

    python -m stpose_training.synth.fit_conversions --mocap FOLDER [--write stpose_core/conversions.py] [--fixture FILE.npz]

FOLDER holds rotation files (*.npz) of the mocap; those named by --held-out are used only for the error table and the fixture.
Each target is a combination of few source joints with weights that sum to 1, equal for both sides. The least squares assume
independent errors of NOISE in each source, which keeps the weights, and so the noise of the result, small.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.skeletons import H36M17, convert_points, get_skeleton
from stpose_training.synth.body import Body, load_body
from stpose_training.synth.points import detector_points, h36m17_points
from stpose_training.synth.poses import list_clips, load_clip, retarget

NOISE = 0.015  # metres: typical error of a 2D detector's joint, in each direction
NOISES = {"nose": 0.03}  # detectors guess it from behind
SKELETONS = ("coco17", "blazepose33", "halpe26", "openpose25")
LIMBS = ("l_shoulder", "l_elbow", "l_wrist", "l_knee")
# Shapes, as `body.PHENOTYPES`: from schoolchildren to old people, without extremes of height and weight.
LEAST = (0.0, 0.35, 0.2, 0.2, 0.25, 0.25)
SPREAD = (1.0, 0.65, 0.6, 0.6, 0.5, 0.75)
Array = NDArray[np.float64]

# Target: (trust, sources), best first. "ear" is both ears with one weight, "l_hip" is one joint.
PLANS: dict[str, tuple[tuple[float, tuple[str, ...]], ...]] = {
    "pelvis": ((1.0, ("hip", "shoulder")), (1.0, ("hip",))),
    "l_hip": ((1.0, ("l_hip", "r_hip", "shoulder")), (1.0, ("l_hip", "r_hip")), (0.9, ("l_hip",))),
    "spine": ((1.0, ("hip", "shoulder")),),
    "neck": (
        (1.0, ("shoulder", "hip", "ear", "nose")), (0.95, ("shoulder", "hip")), (0.9, ("shoulder", "ear")),
        (0.8, ("shoulder",)),
    ),
    "head": (
        (1.0, ("ear", "nose", "shoulder")), (0.9, ("ear", "shoulder")), (0.8, ("nose", "eye", "shoulder")),
        (0.8, ("ear", "nose")), (0.7, ("ear",)), (0.5, ("shoulder", "hip")),
    ),
    "l_ankle": ((1.0, ("l_ankle", "l_knee")), (1.0, ("l_ankle",))),
    "head_top": (
        (1.0, ("ear", "nose", "shoulder")), (0.9, ("ear", "shoulder")), (0.7, ("nose", "eye", "shoulder")),
        (0.7, ("ear", "nose")), (0.4, ("shoulder", "hip")),
    ),
}  # fmt: skip
_HALPE_TOP = ((1.0, ("head_top", "ear", "nose", "shoulder")), (0.9, ("head_top", "shoulder")))
_HALPE_HEAD = ((1.0, ("ear", "head_top", "nose", "shoulder")),)

_HEADER = '''"""Weights that turn the joints of one skeleton into those of Human3.6M-17.

Each target joint has one or more recipes, best first: (trust, {source joint: weight}). The first one whose sources
were all seen is used; trust scales the score of what comes out. Weights sum to 1, so a conversion commutes with
translation, rotation, scale and weak perspective, in 2D and in 3D. Right-hand targets are the mirror of the left ones.

Written by `python -m stpose_training.synth.fit_conversions`; change the plan there, not the numbers here.
"""

from __future__ import annotations

Recipe = tuple[float, dict[str, float]]

'''


def sample(body: Body, files: Sequence[Path], count: int, seed: int) -> tuple[dict[str, Array], Array]:
    """About `count` bodies of random shapes in random mocap poses, upright in no particular direction.

    Returns the points of each skeleton (N, J, 3) and the Human3.6M-17 joints (N, 17, 3), metres.
    """
    generator = torch.Generator().manual_seed(seed)
    clips = [(path, name) for path in files for name in list_clips(path)]
    points: dict[str, list[Array]] = {name: [] for name in SKELETONS}
    truth: list[Array] = []
    for path, name in clips:
        clip = load_clip(path, name)
        clip = clip[torch.randint(len(clip), (max(1, round(count / len(clips))),), generator=generator)]
        phenotypes = torch.rand(len(clip), 6, generator=generator) * torch.tensor(SPREAD) + torch.tensor(LEAST)
        rest = body.rest(phenotypes)
        posed = body.pose(rest, *retarget(clip, body, rest))
        truth.append(h36m17_points(body, posed).double().numpy())
        for skeleton in SKELETONS:
            points[skeleton].append(detector_points(body, posed, skeleton).double().numpy())
    return {name: np.concatenate(parts) for name, parts in points.items()}, np.concatenate(truth)


def fit(points: Array, target: Array, skeleton: str, sources: Sequence[str]) -> dict[str, float]:
    """Weights, which sum to 1, of the sources for one target (N, 3); a source without a side means both of its joints."""
    joints = get_skeleton(skeleton).joints
    groups = [(s,) if s in joints else (f"l_{s}", f"r_{s}") for s in sources]
    columns = np.stack([points[:, get_skeleton(skeleton).index(*group)].mean(axis=1) for group in groups], axis=-1)
    # With weights (1 - sum(w), w): the target relative to the first source. A pair's mean has half a joint's variance.
    design = (columns[..., 1:] - columns[..., :1]).reshape(len(target) * 3, -1)
    wanted = (target - columns[..., 0]).reshape(-1)
    size = np.array([NOISES.get(group[0], NOISE) / np.sqrt(len(group)) for group in groups]) * np.sqrt(len(wanted))
    noise = np.concatenate([-np.full((1, len(groups) - 1), size[0]), np.diag(size[1:])])
    rest = np.linalg.lstsq(np.concatenate([design, noise]), np.concatenate([wanted, [-size[0]], 0 * size[1:]]), rcond=None)[0]
    weights = np.round(np.concatenate([[1.0], rest]), 3)
    weights[0] = 1.0 - weights[1:].sum()
    return {joint: round(float(w) / len(group), 4) for group, w in zip(groups, weights) for joint in group}


def plans(skeleton: str) -> dict[str, tuple[tuple[float, tuple[str, ...]], ...]]:
    """The plan of a skeleton: Halpe also has the top of the head."""
    if skeleton != "halpe26":
        return PLANS
    return {**PLANS, "head": _HALPE_HEAD + PLANS["head"], "head_top": _HALPE_TOP + PLANS["head_top"]}


def source_text(points: dict[str, Array], truth: Array) -> str:
    """The text of the module of weights, fitted to the given points."""
    lines = [_HEADER, "RECIPES: dict[str, dict[str, tuple[Recipe, ...]]] = {\n"]
    for skeleton in SKELETONS:
        lines.append(f'    "{skeleton}": {{\n')
        for target, recipes in plans(skeleton).items():
            lines.append(f'        "{target}": (\n')
            for trust, sources in recipes:
                weights = fit(points[skeleton], truth[:, H36M17.joints.index(target)], skeleton, sources)
                inner = ", ".join(f'"{joint}": {weight}' for joint, weight in weights.items())
                # Lines break between joints, not between a joint and its weight.
                text = textwrap.fill(f"({trust}, {{{inner}}}),".replace(": ", ":_"), 100, subsequent_indent="    ")
                lines.append(textwrap.indent(text.replace(":_", ": "), " " * 12) + "\n")
            lines.append("        ),\n")
        lines.extend(f'        "{joint}": ((1.0, {{"{joint}": 1.0}}),),\n' for joint in LIMBS)
        lines.append("    },\n")
    return "".join([*lines, "}  # fmt: skip\n"])


def midpoints(points: Array, skeleton: str) -> Array:
    """The plain conversion that the fitted one is compared with: midpoints of hips, shoulders and ears, limbs unchanged."""
    joints = get_skeleton(skeleton)
    out = np.full((*points.shape[:-2], 17, points.shape[-1]), np.nan)
    for index, name in enumerate(H36M17.joints):
        if name[:2] in ("l_", "r_"):
            out[..., index, :] = points[..., joints.joints.index(name), :]
    middles = {name: points[..., joints.index(f"l_{name}", f"r_{name}"), :].mean(-2) for name in ("hip", "shoulder", "ear")}
    out[..., 0, :], out[..., 8, :], out[..., 9, :] = middles["hip"], middles["shoulder"], middles["ear"]
    out[..., 7, :] = 0.5 * (middles["hip"] + middles["shoulder"])
    out[..., 10, :] = 1.5 * middles["ear"] - 0.5 * middles["shoulder"]
    return out


def table(points: dict[str, Array], truth: Array) -> str:
    """Mean errors in mm per joint: fitted, and of plain midpoints."""
    errors = {}
    for skeleton in SKELETONS:
        for label, guess in (
            ("fitted", convert_points(points[skeleton], skeleton)),
            ("middles", midpoints(points[skeleton], skeleton)),
        ):
            errors[f"{skeleton} {label}"] = 1000 * np.linalg.norm(guess - truth, axis=-1).mean(axis=0)
    lines = [f"{'mm':10s}" + "".join(f"{key:>20s}" for key in errors)]
    for index, joint in enumerate((*H36M17.joints, "mean")):
        row = [error[index] if index < 17 else error.mean() for error in errors.values()]
        lines.append(f"{joint:10s}" + "".join(f"{value:20.1f}" for value in row))
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mocap", type=Path, required=True, help="folder of rotation files")
    parser.add_argument("--held-out", nargs="*", default=("cmu_008", "cmu_003", "cmu_135"), help="files to test on")
    parser.add_argument("--count", type=int, default=4000, help="bodies to fit to")
    parser.add_argument("--write", type=Path, help="module of weights to write; then run again for its errors")
    parser.add_argument("--fixture", type=Path, help="held-out bodies for the tests (.npz)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    body = load_body()
    files = sorted(options.mocap.glob("*.npz"))
    held_out = [path for path in files if path.stem in options.held_out]
    if options.write:
        points, truth = sample(body, [path for path in files if path not in held_out], options.count, seed=1)
        options.write.write_text(source_text(points, truth), encoding="utf-8")
        print(f"fitted to {len(truth)} bodies: {options.write}")
        return
    points, truth = sample(body, held_out, 240, seed=2)
    print(f"{len(truth)} held-out bodies\n{table(points, truth)}")
    if options.fixture:
        arrays = {name: value.astype(np.float16) for name, value in points.items()}
        np.savez_compressed(options.fixture, h36m17=truth.astype(np.float16), **arrays)


if __name__ == "__main__":
    main()
