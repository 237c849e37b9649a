"""Truth from outside: published numbers, and plants whose truth is drawn at random.

Shared by ``tests/estimation`` and ``honesty.py``. Works through the public names of ``twin_assets.estimation`` alone.
"""
