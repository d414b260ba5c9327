"""Regression on a table: the price of a flat from its area, floor, age and district."""

import numpy as np

import fastnn as fnn
from fastnn.training import BestWeights, Trainer

DISTRICTS = ["centre", "north", "river"]


def make_table(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, 6) and prices (rows, 1) in thousands. Read your own table here."""
    area, floor, age = rng.uniform(25, 140, rows), rng.integers(0, 9, rows), rng.uniform(0, 100, rows)
    district = rng.integers(0, len(DISTRICTS), rows)
    price = area * np.array([6.0, 3.5, 4.5])[district] * (1 - 0.4 * np.sin(age / 32)) + 4 * floor
    one_hot = np.eye(len(DISTRICTS))[district]  # a category becomes one column for each of its values
    features = np.column_stack([area, floor, age, one_hot])
    noise = rng.normal(0, 10, rows)
    return features.astype(np.float32), (price + noise).astype(np.float32)[:, None]


def mean_absolute_error(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(outputs - targets).mean())


fnn.manual_seed(0)
x, y = make_table(3000, np.random.default_rng(0))
x, x_valid, x_test = np.split(x, [2000, 2500])
y, y_valid, y_test = np.split(y, [2000, 2500])

# Columns of one scale train well. Mean and scale come from the training rows alone.
x_mean, x_scale, y_mean, y_scale = x.mean(0), x.std(0), y.mean(0), y.std(0)


def scaled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x - x_mean) / x_scale, (y - y_mean) / y_scale


net = fnn.Sequential(fnn.Linear(6, 64), fnn.ReLU(), fnn.Linear(64, 64), fnn.ReLU(), fnn.Linear(64, 1))
trainer = Trainer(
    net,
    fnn.MSELoss(),
    fnn.AdamW(net.parameters(), lr=3e-3),
    metric=mean_absolute_error,
    callbacks=[BestWeights("eval_loss")],
)
trainer.fit(scaled(x, y), valid=scaled(x_valid, y_valid), epochs=30, batch_size=50)

predicted = trainer.predict(scaled(x_test, y_test)[0]) * y_scale + y_mean
print(f"mean price {y_test.mean():.0f}, mean error {mean_absolute_error(predicted, y_test):.1f}")
