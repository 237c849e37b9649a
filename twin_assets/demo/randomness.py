"""Where chance comes from: one seed, independent streams."""

import numpy as np


def streams(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent streams of a seed: the plant's, and that of its sensors' noise and faults."""
    plant, sensors = np.random.default_rng(seed).spawn(2)
    return plant, sensors
