"""The board that workers answer on: every answer in its place, also after many rounds of the ring."""

from pathlib import Path

import numpy as np

from twin_assets.simulation import FmuModel
from twin_assets.simulation.board import SLOTS, Board


def answer(index: int) -> tuple[float, float]:
    """What the tests write as the answer to a row."""
    return 2.0 * index, 2.0 * index + 1.0


def test_both_sides_see_every_answer_round_after_round(tmp_path: Path) -> None:
    """What one side writes the other reads, in order, while the ring is used again and again."""
    parent = Board.create(tmp_path, 2)
    worker = Board(parent.path, 2)
    for first in range(0, 3 * SLOTS, 100):
        assert parent.finished == first
        for index in range(first, first + 100):
            worker.write(np.array(answer(index)), 0.5 * index)
        answers = parent.read(first, first + 100)
        assert answers.outputs.tolist() == [list(answer(index)) for index in range(first, first + 100)]
        assert answers.seconds.tolist() == [0.5 * index for index in range(first, first + 100)]


def test_answers_outlive_the_board(tmp_path: Path) -> None:
    """They are read after the process died, and its board is removed with it."""
    board = Board.create(tmp_path, 1)
    board.write(np.array([3.0]), 0.1)
    answers = board.read(0, 1)
    board.close()
    board.close()
    assert answers.outputs.tolist() == [[3.0]]
    assert list(tmp_path.iterdir()) == []


def test_a_batch_may_be_larger_than_the_board(fmu: Path) -> None:
    """Rows go in portions; each gets its own answer."""
    rows = np.column_stack([np.linspace(0.5, 2.0, 3 * SLOTS), np.ones(3 * SLOTS)])
    for workers in (1, 2):
        names = {"coefficients": ("a", "b"), "inputs": ("u",), "outputs": ("y1", "y3")}
        with FmuModel(fmu, **names, workers=workers) as model:  # type: ignore[arg-type]
            outputs = model.evaluate(rows, np.array([2.0]))
        np.testing.assert_allclose(outputs[:, 0], 2.0 * rows[:, 0], rtol=1e-6)
