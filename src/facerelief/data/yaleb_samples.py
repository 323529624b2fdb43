"""Yale B photographs as they are, for validation while training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facerelief.data import yaleb
from facerelief.data.sample import Sample


def batches(
    root: Path, cache: Path, size: int, batch: int, people: str = "val", every: int = 1
) -> list[Sample]:
    """Every ``every``-th photograph of S1 to S4 of the people of a split, as the protocol crops."""
    images, normals, masks = [], [], []
    for name in yaleb.load_splits(root)[people]:
        person = yaleb.load_person(root, name)
        truth, mask = yaleb.crop_truth(yaleb.load_ground_truth(person, cache), size)
        for index in np.flatnonzero(person.subsets <= 4)[::every]:
            images.append(yaleb.crop_image(person.images[index], size))
            normals.append(truth)
            masks.append(mask)
    order = np.random.default_rng(0).permutation(len(images))
    return [
        _sample(*(np.stack([values[i] for i in part]) for values in (images, normals, masks)))
        for part in np.array_split(order, -(-len(order) // batch))
    ]


def _sample(images: np.ndarray, normals: np.ndarray, masks: np.ndarray) -> Sample:
    mask = torch.from_numpy(masks[:, None].astype(np.float32))
    return Sample(
        image=torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255,
        normals=torch.from_numpy(normals).permute(0, 3, 1, 2).contiguous(),
        normals_mask=mask,
        face_mask=mask,
        face_known=mask,
        weak=torch.zeros(len(mask), dtype=torch.bool),
        estimated=torch.zeros(len(mask), dtype=torch.bool),
        pictured=torch.ones(len(mask), dtype=torch.bool),
    )
