"""A layer of one's own: Swish, ``x * sigmoid(beta * x)``, whose beta is learnt. Its gradients are checked first."""

import numpy as np

import fastnn as fnn
import fastnn.functional as F
from fastnn.data import digits
from fastnn.training import Trainer


class Swish(fnn.Module):
    """``x * sigmoid(beta * x)`` of every element; x of any shape, float32 or float64."""

    def __init__(self) -> None:
        self.beta = fnn.Parameter(np.ones((), np.float32))  # an attribute is all that it takes to be learnt

    def forward(self, x: np.ndarray) -> np.ndarray:
        s = F.sigmoid(self.beta.data * x)
        self._keep((x, s))  # for backward; in eval mode it keeps nothing
        return x * s

    def backward(self, dy: np.ndarray, accumulate: bool = False, needs_dx: bool = True) -> np.ndarray:
        x, s = self._kept
        slope = x * s * (1 - s)  # of the output by beta * x
        self.beta.receive(np.asarray((dy * x * slope).sum(), dy.dtype), accumulate)
        return dy * (s + self.beta.data * slope)


x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
assert fnn.gradcheck(Swish(), x), "the backward is wrong"

fnn.manual_seed(0)
x_train, y_train, x_test, y_test = digits()
net = fnn.Sequential(fnn.Flatten(), fnn.Linear(784, 100), Swish(), fnn.Linear(100, 10))
trainer = Trainer(net, fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1, momentum=0.9))
trainer.fit((x_train, y_train), epochs=5, batch_size=64)
_, accuracy = trainer.evaluate((x_test, y_test))
print(f"beta is {net[2].beta.item():.2f} now; {accuracy:.1%} of the test images are right")
