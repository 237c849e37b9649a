"""Which historian a deployment has makes no difference to what it calibrates."""

from collections.abc import Callable
from dataclasses import replace

import dagster as dg
import pandas as pd
import pytest
from postgres_server import PASSWORD, PostgresServer

from twin_assets.historian import open_historian
from twin_assets.home import Home, home_from
from twin_assets.resources import build_resources

from conftest import Line  # isort: skip
