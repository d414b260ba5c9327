"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

import numpy as np

from fastnn import _runtime
from fastnn import _validate as check
from fastnn.data.batches import Augmentation, Batch, Examples, count_of, epochs_of, joined, source_of, take
from fastnn.data.loader import Loader
from fastnn.layers import Module
from fastnn.optim import clip_grad_norm_, clip_grad_value_
from fastnn.plan.training import TrainingStep, output_of
from fastnn.training import _arguments as rules
from fastnn.training._arguments import Criterion, Data, MetricFunction, Optimizer, examples_of
from fastnn.training._interrupt import Interruption
from fastnn.training._metrics import mean_loss, metrics_of, monitored
from fastnn.training._position import Position
from fastnn.training._schedule import Schedule, Schedules
from fastnn.training.callbacks import Callback, overridden
from fastnn.training.divergence import diverged
from fastnn.training.history import EVAL, History, Measured
from fastnn.training.progress import Progress

_EVALUATION_BATCH = 250
INTERRUPTED = "interrupted"


class Trainer:
    """Trains a network by minibatches.

    Everything random in it follows from one seed, drawn here from `rng`: the order of the examples of an epoch, and the
    augmentation of a minibatch, from that seed and their number alone. So a run that is resumed from a checkpoint goes
    on with the same bits, and so does one whose minibatches are prepared by another thread.

    Parameters
    ----------
    net : the network
    criterion : the loss, as `CrossEntropyLoss`
    optimizer : as `SGD`, made with the network's parameters
    schedule : of `fastnn.lr_scheduler`, made with the optimizer: it is stepped after each of the optimizer's steps; or
        ``{"epoch": schedule}``, or both, ``{"step": warm_up, "epoch": decay}``, whose factors are multiplied. A
        `ReduceLROnPlateau` is stepped after each evaluation
    callbacks : `EarlyStopping`, `BestWeights`, `Checkpoint` and others of your own, see `Callback`
    metric : what is recorded beside the loss, in the history and wherever it is shown, under the function's name: a
        function of scores and targets, as `top_k_accuracy`; or such a function with another name, ``("top 3",
        functools.partial(top_k_accuracy, k=3))``; None for none. By default what follows from the loss: the accuracy of
        classes, of each pixel if there are several, for `CrossEntropyLoss` and `NLLLoss`; that of answers yes or no for
        `BCELoss` and `BCEWithLogitsLoss`; none for others
    metrics : several, in place of `metric`: functions by their names, ``{"f1": f1, "top 3": top_3}``, or a list of what
        `metric` may be. The first is what `BestWeights` follows and pictures show
    clip_norm, clip_value : before each step scale the gradients so that their norm is at most this, or clip each
        element
    rng : seed, or generator that it is drawn from; by default the package's generator, seeded by `fastnn.manual_seed`

    Attributes
    ----------
    history : History; several calls of `fit` continue it
    seconds : time spent on training steps, without evaluations
    stopped : why the last `fit` ended before its time, or None
    transform : what the last `fit` was given, which `evaluate` and `predict` apply
    shard : (0, 1); a trainer that is the i-th of n, each of which has its part of every minibatch, sets (i, n)

    Raises
    ------
    ValueError
        The optimizer has parameters that are not the network's, or the schedule another optimizer; `fit` looks again.
    """

    shard = (0, 1)

    def __init__(
        self,
        net: Module,
        criterion: Criterion,
        optimizer: Optimizer,
        *,
        schedule: Schedule = None,
        callbacks: Iterable[Callback] = (),
        metric: MetricFunction | tuple[str, MetricFunction] | Literal["auto"] | None = "auto",
        metrics: Mapping[str, MetricFunction] | Sequence[Any] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        rng: int | np.random.Generator | None = None,
    ) -> None:
        self.net = net
        self.criterion = criterion
        self.optimizer = optimizer
        self._step_of_parts = TrainingStep(net, criterion, optimizer)
        self.callbacks = rules.listed(callbacks)
        self._metrics_given = metric, metrics
        self._metrics = metrics_of(metric, metrics, criterion)
        self.history = History(**self._metrics.columns())
        self.seconds = 0.0
        self.stopped: str | None = None
        self.transform: Callable[[np.ndarray], np.ndarray] | None = None
        self._schedules = Schedules(schedule)
        rules.clip_bound("clip_norm", clip_norm)
        rules.clip_bound("clip_value", clip_value)
        self._clip_norm, self._clip_value = clip_norm, clip_value
        self._check()
        self._seed = rules.seed_of(rng)
        self._position = Position()

    def fit(
        self,
        train: Data,
        valid: Data | None = None,
        epochs: int | None = None,
        batch_size: int = 64,
        *,
        iterations: int | None = None,
        evaluate_every: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        augment: Augmentation | None = None,
        transform: Callable[[np.ndarray], np.ndarray] | None = None,
        prefetch: bool | None = None,
        progress: bool = True,
    ) -> History:
        """Train; the network is in eval mode afterwards.

        Ctrl-C ends it after the step that is being taken, with `stopped` saying so, and callbacks do what they do at
        the end; a second one is a KeyboardInterrupt.

        Parameters
        ----------
        train : examples and targets, ``(x, y)``, of the same length along axis 0: arrays; memory maps, which may be
            larger than memory; tables and series of pandas, lists and tensors, which become arrays; or what is indexed
            like an array and reads its rows then, as images of a folder or a dataset of h5py; of several inputs or
            outputs tuples, ``((x1, x2), y)``. With weights, ``(x, y, sample_weight)``: the loss counts by them. Or an
            iterable of such minibatches: a list, or a DataLoader of PyTorch's; order and size are its own then
        valid : the same; it is evaluated before the first step of all, every `evaluate_every` steps, and at the end
        epochs, iterations : how long; exactly one of the two
        batch_size : examples in a minibatch
        evaluate_every : iterations; by default one epoch
        shuffle : every epoch in an order of its own; otherwise as the examples lie
        drop_last : leave out a last minibatch that would be smaller
        augment : a function of the examples of a minibatch and a generator, that returns other examples; for training
            alone, as random crops
        transform : a function of the examples of a minibatch, for all data, as normalisation: it follows `augment` in
            training, and is applied in validation, `evaluate` and `predict` too, from now on
        prefetch : prepare the next minibatch in another thread, with the same results; by default where it takes long
        progress : show a bar or lines

        Raises
        ------
        DivergenceError
            The loss is NaN or infinite; names the step and the layer whose output went first.
        """
        self._check()
        batch_size = check.integer("batch_size", batch_size, 1)
        rules.fit_options(shuffle=shuffle, drop_last=drop_last, progress=progress, prefetch=prefetch)
        rules.function("augment", augment, "the examples of a minibatch and a generator")
        rules.function("transform", transform, "the examples of a minibatch")
        self.transform = transform
        examples = examples_of("train", train)
        held_out = None if valid is None else examples_of("valid", valid)
        per_epoch = rules.steps_per_epoch(examples, batch_size, drop_last)
        total = rules.total_steps(iterations, epochs, per_epoch)
        every = per_epoch if evaluate_every is None else check.integer("evaluate_every", evaluate_every, 1)

        self.stopped = None
        self._position.begin(self.history.iterations)
        for callback in self.callbacks:
            callback.on_fit_begin(self)  # may have loaded a checkpoint
        self._position.divide(per_epoch)
        if self.history.iterations == 0:
            self._look(held_out)
        place = self._position.epoch, self._position.number
        common: dict[str, Any] = {"augment": augment, "transform": transform, "shard": self.shard, "prefetch": prefetch}
        if isinstance(examples, Loader):
            batches = examples.epochs(self._seed, place, **common)
        else:
            batches = epochs_of(examples, batch_size, per_epoch, self._seed, place, shuffle=shuffle, **common)
        done = self.history.iterations - self._position.begun
        with (
            Interruption() as interruption,
            Progress(total, done, show=progress, metric=self.history.metric_name or "") as shown,
            closing(batches),
        ):
            self._take_steps(batches, done, total, every, held_out, shown, interruption)
        self.net.eval()
        for callback in reversed(self.callbacks):
            callback.on_fit_end(self)
        return self.history

    def gradients(self, batch: Batch) -> tuple[float, Measured]:
        """The first half of a step: forward, loss and backward; the parameters have their gradients then.

        Returns
        -------
        loss, value : the minibatch's mean loss, and the metric; of several a dict by name, None without one

        Raises
        ------
        DivergenceError
            The loss is NaN or infinite.
        """
        self._step_of_parts = self._step_of_parts.of(self.net, self.criterion, self.optimizer)
        value, scores = self._step_of_parts.gradients(batch.x, batch.y, batch.sample_weight)
        loss = mean_loss(self.criterion, value, count_of(batch.y), batch.sample_weight)
        if not math.isfinite(loss):
            raise diverged(loss, self.net, batch.x, self.history, self._lr)
        return loss, self._metrics(scores, batch.y)

    def update(self) -> None:
        """The second half of a step: clip the gradients, and change the parameters by them."""
        if self._clip_norm is not None:
            clip_grad_norm_(self.net.parameters(), self._clip_norm)
        if self._clip_value is not None:
            clip_grad_value_(self.net.parameters(), self._clip_value)
        self._step_of_parts.of(self.net, self.criterion, self.optimizer).update()

    def stop(self, why: str) -> None:
        """End the `fit` that is running after this step; `why` is `stopped` then."""
        self.stopped = why

    def evaluate(self, data: Data) -> tuple[float, Any]:
        """Mean loss, and the metric, on `data` as `fit` takes them, in eval mode, which stays.

        Returns
        -------
        loss, value : of several metrics a dict by name; None without one. The loss is weighed if the data have weights
        """
        return self._evaluate(examples_of("data", data))

    def _evaluate(self, data: Examples | Loader) -> tuple[float, Measured]:
        pieces = [data] if isinstance(data, Examples) else list(data.examples())
        scores = joined([self.predict(each.x) for each in pieces])
        y = joined([take("y", each.y, slice(None)) for each in pieces])
        given = [each.sample_weight for each in pieces if each.sample_weight is not None]
        weights = joined(given) if len(given) == len(pieces) else None
        weighed: Any = {} if weights is None else {"sample_weight": weights}
        loss = self.criterion(scores, y, **weighed)
        return mean_loss(self.criterion, loss, count_of(y), weights), self._metrics(scores, y)

    def predict(self, x: Any) -> Any:
        """The network's output for the examples x, whatever `fit` takes, piece by piece, in eval mode, which stays."""
        x = (source_of if self.net.joins or self.net.is_traced else check.source)("x", x)
        self.net.eval()
        change = self.transform or (lambda x: x)
        starts = range(0, max(count_of(x), 1), _EVALUATION_BATCH)
        y = [output_of(self.net, change(take("x", x, slice(i, i + _EVALUATION_BATCH)))) for i in starts]
        return tuple(map(np.concatenate, zip(*y, strict=True))) if isinstance(y[0], tuple) else np.concatenate(y)

    def latest(self, monitor: str) -> float:
        """The newest value of what a callback monitors: "eval_loss", "eval_accuracy" (or another metric, by its name);
        "loss" or "accuracy", of which it is the mean over the steps since the evaluation before.

        Raises
        ------
        ValueError
            There is none, since nothing has been evaluated.
        """
        values = getattr(self.history, self.monitored(monitor))
        if not values:
            raise ValueError(f"monitor: got {monitor!r}, of which there is none; expected valid=(x, y)")
        newest = values[-1:] if monitor.startswith(EVAL) else values[self._position.between_looks]
        return float(np.mean(newest))

    def monitored(self, monitor: str | None) -> str:
        """`monitor`, if it is the name of what is measured; for None the (first) metric on held-out data, or the loss.

        Raises
        ------
        ValueError
            Nothing of that name is measured.
        """
        return monitored(monitor, self.history.metric_names)

    @property
    def epochs(self) -> int:
        """Epochs that are over."""
        return self._position.epoch

    @property
    def _lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """All that training goes on from, to the same bits; what `save_checkpoint` writes."""
        return {
            "net": self.net.state_dict(),
            "layers": {name: state for name, each in self.net.named_modules() if (state := each.get_extra_state())},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._schedules.state_dict(),
            "callbacks": [(type(each).__name__, each.state_dict()) for each in self.callbacks],
            "history": {name: np.array(values) for name, values in self.history.as_dict().items()},
            "generator": _runtime.generator().bit_generator.state,
            "seed": self._seed,
            **self._position.state_dict(),
            "stopped": self.stopped,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, for a trainer that was made in the same way.

        Raises
        ------
        ValueError, KeyError
            It is of a trainer of another kind; nothing has changed.
        """
        before = self.state_dict()
        try:
            self._take_over(state)
        except BaseException:
            self._take_over(before)
            raise

    def _take_over(self, state: Mapping[str, Any]) -> None:
        names, own = [name for name, _ in state["callbacks"]], [type(each).__name__ for each in self.callbacks]
        if names != own:
            raise ValueError(f"callbacks: got {', '.join(names) or 'none'}, expected {', '.join(own) or 'none'}")
        history = History(**{name: values.tolist() for name, values in state["history"].items()})
        if history.metric_names != self.history.metric_names:
            raise ValueError(f"metric: got {history.metrics_named}, expected {self.history.metrics_named}")
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._schedules.load_state_dict(state["schedule"])
        for name, extra in state["layers"].items():
            self.net.get_submodule(name).set_extra_state(extra)
        for callback, (_, kept) in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(kept)
        self.history = history
        _runtime.generator().bit_generator.state = state["generator"]
        self._seed, self.seconds = state["seed"], state["seconds"]
        self._position.load_state_dict(state)
        self.stopped = None if state["stopped"] == INTERRUPTED else state["stopped"]

    def _check(self) -> None:
        """The parts belong together, which they may cease to do: layers, optimizer and criterion can be replaced."""
        rules.parts(self.net, self.criterion, self.optimizer)
        self._metrics = metrics_of(*self._metrics_given, self.criterion)
        if self._metrics.names != self.history.metric_names:
            came, recorded = History(**self._metrics.columns()).metrics_named, self.history.metrics_named
            raise ValueError(f"metric: got {came}, expected {recorded}, that of the history; make a new Trainer")
        self._schedules.check(self.optimizer, self.history.metric_name)

    def _take_steps(
        self,
        batches: Iterator[Batch],
        done: int,
        total: int,
        every: int,
        held_out: Examples | Loader | None,
        shown: Progress,
        interruption: Interruption,
    ) -> None:
        """From step `done` of this `fit` to `total`, or until something stops it."""
        on_step = overridden(self.callbacks, "on_step_end")
        clock = time.perf_counter()
        self.net.train()
        while done < total and self.stopped is None:
            batch = next(batches)
            shown.step(*self._step(batch))
            done += 1
            self._schedules.step_ended()
            last = self._position.advance(batch)
            for tell in on_step:
                tell(self)
            if last:
                self._schedules.epoch_ended()
                for callback in self.callbacks:
                    callback.on_epoch_end(self)
            if done % every == 0 or done == total:
                self.seconds += time.perf_counter() - clock
                self._look(held_out, shown)
                self.net.train()
                clock = time.perf_counter()
            if interruption.came:
                self.stop(INTERRUPTED)
        self.seconds += time.perf_counter() - clock

    def _step(self, batch: Batch) -> tuple[float, Measured]:
        loss, value = self.gradients(batch)
        lr = self._lr
        self.update()
        self.history.add_step(loss, value, lr)
        return loss, value

    def _look(self, held_out: Examples | Loader | None, shown: Progress | None = None) -> None:
        """Evaluate and tell the callbacks."""
        if held_out is not None:
            loss, value = self._evaluate(held_out)
            self.history.add_evaluation(loss, value)
        self._position.look(self.history.iterations)
        if self.history.iterations:
            self._schedules.evaluated(self.latest, "" if held_out is None else EVAL)
        for callback in self.callbacks:
            callback.on_evaluation(self)
        if held_out is not None and shown is not None:
            shown.evaluated(loss, value)
