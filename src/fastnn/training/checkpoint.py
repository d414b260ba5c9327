"""Checkpoints: all that training goes on from, to the same bits."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnn._destination import prepare
from fastnn._files import remove_temporaries
from fastnn.training._archive import check_tree, read_archive, write_archive
from fastnn.training.callbacks import Callback

if TYPE_CHECKING:
    from fastnn.training.trainer import Trainer


def save_checkpoint(path: str | Path, trainer: Trainer) -> None:
    """Write the trainer's `state_dict`; the file appears whole or not at all, whenever the process is killed.

    Raises
    ------
    TypeError
        The state of a callback or a layer has objects in it; names them. Nothing has been written.
    """
    state = trainer.state_dict()
    _check_callbacks(state["callbacks"])
    write_archive(path, state)


def load_checkpoint(path: str | Path, trainer: Trainer) -> None:
    """Give a trainer, made as the one that was saved, its state.

    Raises
    ------
    ValueError
        The file is damaged, or of a training of another kind (other layers, another optimiser); names the file.
    """
    state = read_archive(path)
    try:
        trainer.load_state_dict(state)
    except MemoryError:
        raise
    except Exception as error:  # whatever layers, optimisers and schedules make of the state of others
        raise ValueError(f"{path}: not a checkpoint of a training like this one: {error}") from error


def _check_callbacks(states: Iterable[tuple[str, Any]]) -> None:
    for name, state in states:
        check_tree(f"{name}.state_dict()", state)


class Checkpoint(Callback):
    """Saves all that training goes on from: at evaluations after the first step, and at the end of `fit`.

    Put it last: it saves what the callbacks before it have made of an evaluation.

    Parameters
    ----------
    path : file, as "run/checkpoint.npz"; its folder is made if it is missing
    resume : go on from `path` if it is there, to the same bits as a run that was never interrupted; `fit` is to be
        called with the same data and settings
    every : seconds that are to pass at least between two evaluations that are saved

    Raises
    ------
    OSError, TypeError
        At the beginning of `fit`: the file cannot be written, or the state of a callback has objects in it.
    """

    def __init__(self, path: str | Path, *, resume: bool = False, every: float = 0.0) -> None:
        self.path, self.resume, self.every = Path(path), resume, every
        self._saved_at = -1  # steps
        self._next = 0.0

    def on_fit_begin(self, trainer: Trainer) -> None:
        prepare(self.path)
        _check_callbacks((type(each).__name__, each.state_dict()) for each in trainer.callbacks)
        remove_temporaries(self.path)  # a process that was killed could not
        if self.resume and self.path.exists():
            load_checkpoint(self.path, trainer)
            self._saved_at = trainer.history.iterations
        self.resume = False  # a second call of `fit` goes on from the first

    def on_evaluation(self, trainer: Trainer) -> None:
        if trainer.history.iterations and time.monotonic() >= self._next:
            self._save(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        if trainer.history.iterations and (trainer.history.iterations != self._saved_at or trainer.stopped):
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        save_checkpoint(self.path, trainer)
        self._saved_at = trainer.history.iterations
        self._next = time.monotonic() + self.every
