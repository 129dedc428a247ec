"""The network that tells foot contacts: it learns, and what the library computes from its weights is what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stpose_training.contacts import Sample, f1, fit, held_out

from stpose_core.errors import StposeError
from stpose_core.weights import write_weights
from stpose_core.world import contacts


def sample(seed: int, frames: int = 150) -> Sample:
    """Features of which the seventh says whether the foot is on the ground."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(frames, 2, contacts.FEATURES))
    on = np.sin(np.arange(frames) / 8 + rng.uniform(0, 6, (2, 1))).T > 0
    values[..., 6] = np.where(on, 0.0, 1.0) + 0.1 * rng.normal(size=on.shape)
    return Sample(f"subject {seed}", values, values, np.repeat(on[..., None], 2, axis=2))


def test_it_learns_what_the_features_say() -> None:
    pieces = [sample(seed) for seed in range(6)]
    training, judged = held_out(pieces)
    assert {piece.subject for piece in training}.isdisjoint(piece.subject for piece in judged)
    network = fit(training, 60, 0)
    assert min(f1(network, judged)) > 0.95
    wrong = [Sample(piece.subject, piece.features, piece.blind, ~piece.contacts) for piece in judged]
    assert max(f1(network, wrong)) < 0.1


def test_some_samples_have_no_picture() -> None:
    pieces = []
    for number in range(6):
        piece = sample(number)
        hidden, told = piece.features.copy(), piece.features.copy()
        hidden[..., 6] = 0.0  # what tells the contact is in the picture, and weakly in something else
        told[..., 30], hidden[..., 30] = 0.0, piece.features[..., 6]
        pieces.append(Sample(piece.subject, told, hidden, piece.contacts))
    training, judged = held_out(pieces)
    blind = [Sample(piece.subject, piece.blind, piece.blind, piece.contacts) for piece in judged]
    network = fit(training, 150, 0)
    assert min(f1(network, judged)) > 0.9
    assert min(f1(network, blind)) > 0.85
    only = fit([Sample(piece.subject, piece.features, piece.features, piece.contacts) for piece in training], 150, 0)
    assert min(f1(only, blind)) < 0.8, "control: none is trained without a picture"


def test_the_library_computes_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = sample(0)
    network = fit([piece], 5, 0)
    write_weights(tmp_path / "c.safetensors", network.tensors(), "contacts", {})
    monkeypatch.setattr(contacts, "CONTACTS", tmp_path / "c.safetensors")
    contacts._layers.cache_clear()
    try:
        found = contacts._probabilities(piece.features)
    finally:
        contacts._layers.cache_clear()
    with torch.no_grad():
        logits = network(torch.from_numpy(piece.features).float().transpose(0, 1))
    assert np.abs(found - logits.sigmoid().transpose(0, 1).numpy()).max() < 0.01  # the weights are stored as fp16
    monkeypatch.undo()
    assert np.abs(contacts._probabilities(piece.features) - found).max() > 0.1, "control: the shipped weights are others"


def test_without_known_contacts_there_is_nothing_to_train_on() -> None:
    with pytest.raises(StposeError, match="no clip has toes"):
        fit([], 5, 0)
