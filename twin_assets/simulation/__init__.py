"""Running FMUs: the only importers of fmpy."""
