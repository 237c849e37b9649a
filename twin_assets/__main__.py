"""``python -m twin_assets`` is the ``twin`` command."""

from twin_assets.cli import main

main()
