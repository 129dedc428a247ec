"""The evaluation protocol of each data set: joints, alignment of poses, and averaging of errors to the published figures.

Human3.6M: all 17 joints; errors of all frames of an action (both takes, all test subjects, all cameras) are averaged, then the 15
actions; protocol 1 is MPJPE with pelvises together, protocol 2 after a similarity alignment (Martinez et al. 2017, Pavllo et al.
2019). HumanEva-I: 15 joints, averaged over the cells of the table of subjects and actions. MPI-INF-3DHP: the 14 joints of the
owners' groups (head to ankles, without pelvis, spine and face), PCK at 150 mm and its area under the curve, all frames alike.
3DPW: 14 joints (limbs, neck and head), similarity alignment, all frames alike. Papers that use the SMPL model itself regress those
14 from its surface; here they are SMPL's own joints, at slightly different positions: compare with care.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stpose_core import metrics
from stpose_core.data import Array
from stpose_core.skeletons import H36M17
from stpose_training.data.recording import Recording, View

_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
_TWELVE = tuple(f"{side}_{joint}" for side in ("r", "l") for joint in _LIMBS)


@dataclass(frozen=True)
class Protocol:
    """joints: indices in Human3.6M's order that are measured. group: fields of a recording ("subject", "action"); frames that agree
    in them are averaged first, then the groups. pck: whether PCK at 150 mm and AUC belong to it."""

    name: str
    joints: tuple[int, ...]
    group: tuple[str, ...] = ()
    pck: bool = False


H36M = Protocol("Human3.6M", tuple(range(17)), ("action",))
HUMANEVA = Protocol("HumanEva-I", tuple(H36M17.index("pelvis", "neck", "head_top", *_TWELVE)), ("subject", "action"))
MPI_INF_3DHP = Protocol("MPI-INF-3DHP", tuple(H36M17.index("head_top", "neck", *_TWELVE)), pck=True)
PW3D = Protocol("3DPW", tuple(H36M17.index("neck", "head", *_TWELVE)))


@dataclass(frozen=True)
class Prediction:
    """xyz: (T, 17, 3) metres in the axes of the view's camera, root-relative or not; NaN in frames without a pose."""

    recording: Recording
    view: View
    xyz: Array


def score(protocol: Protocol, predictions: Iterable[Prediction]) -> dict[str, dict[str, float]]:
    """A row for each group of the protocol and a last one, "mean" (of the groups).

    Columns: MPJPE, PA-MPJPE in mm, MPJVE in mm a frame; with `protocol.pck` PCK and AUC in percent, in which frames without a
    prediction count as wrong; frames: number of measured frames; missing: percentage of them without a prediction.
    Raises ValueError if there is nothing to measure, a prediction has another length, or a camera's calibration is not known.
    """
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        key = " ".join(str(getattr(prediction.recording, name)) for name in protocol.group) or "all"
        groups.setdefault(key, []).append(prediction)
    rows = {key: row for key, members in groups.items() if (row := _row(protocol, members))}
    if not rows:
        raise ValueError(f"{protocol.name}: no frames to measure")
    columns = next(iter(rows.values()))
    mean = {column: float(np.mean([row[column] for row in rows.values()])) for column in columns}
    mean["frames"] = float(sum(row["frames"] for row in rows.values()))
    return rows | {"mean": mean}


def _row(protocol: Protocol, members: list[Prediction]) -> dict[str, float]:
    """The measures of one group, all frames with equal weight; empty if it has no frames."""
    pairs, speeds, judged = [], [], 0
    for member in members:
        true = member.recording.seen_by(member.view)
        if member.xyz.shape != true.shape:
            raise ValueError(f"{member.recording.name}: predicted {member.xyz.shape}, but the recording is {true.shape}")
        valid = member.view.valid & member.recording.posed
        judged += int(valid.sum())
        present = valid & np.isfinite(member.xyz).all(axis=(1, 2))
        poses = np.stack([pose - pose[:, :1] for pose in (member.xyz, true)])[:, :, list(protocol.joints)]
        pairs.append(poses[:, present])
        following = present[1:] & present[:-1]
        speeds.append(np.diff(poses, axis=1)[:, following])
    if not judged:
        return {}
    (predicted, true), (speed, true_speed) = np.concatenate(pairs, axis=1), np.concatenate(speeds, axis=1)
    share = len(predicted) / judged
    row = {
        "MPJPE": 1000 * metrics.mpjpe(predicted, true) if len(predicted) else np.nan,
        "PA-MPJPE": 1000 * metrics.pa_mpjpe(predicted, true) if len(predicted) else np.nan,
        "MPJVE": 1000 * metrics.mpjpe(speed, true_speed) if len(speed) else np.nan,
    }
    if protocol.pck:
        row["PCK"] = 100 * share * metrics.pck(predicted, true, 0.15) if len(predicted) else 0.0
        row["AUC"] = 100 * share * metrics.pck_auc(predicted, true) if len(predicted) else 0.0
    return row | {"frames": float(judged), "missing": 100 * (1 - share)}
