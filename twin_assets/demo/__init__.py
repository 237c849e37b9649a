"""The demonstration: a plant with hidden coefficients, its faults, its calibration through Dagster, a summary."""
