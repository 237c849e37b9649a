"""Pure NumPy and filterpy: sigma points, updates, gating. Imports no dagster, boto3 or fmpy."""
