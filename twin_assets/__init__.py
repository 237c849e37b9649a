"""Living digital twins as Dagster assets."""
