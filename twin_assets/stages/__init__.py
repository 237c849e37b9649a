"""The stages: pure functions from table to table, in the order that data flows.

telemetry -> observations -> ukf (ukf_state) -> results (calibrated_coefficients, virtual_sensors) -> verdicts ->
publish; beside them smoothing (smoothed_coefficients), for who looks back. ``live`` says what is to do, ``lineage``
what was made from what. The assets are thin: read tables from the store, call one function here, write its table.
Nothing here knows Dagster.
"""

TELEMETRY = "telemetry"
OBSERVATIONS = "observations"
UKF_STATE = "ukf_state"
CALIBRATED_COEFFICIENTS = "calibrated_coefficients"
VIRTUAL_SENSORS = "virtual_sensors"
PUBLISHED = "published"
SMOOTHED_COEFFICIENTS = "smoothed_coefficients"
FLEET = "fleet"
REFUSED = "refused"
"""Not an asset: where the verdicts of a refused window are kept, so that a refusal is not taken for a crash."""
