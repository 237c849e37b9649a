"""Thin Dagster assets, one module a stage, in the order that data flows."""
