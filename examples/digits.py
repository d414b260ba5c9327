"""Train a small convolutional network on the 5,000 digits that come with the package, and test it on 1,000 others."""

import fastnn as fnn
from fastnn.data import digits
from fastnn.training import Trainer

fnn.manual_seed(0)
x_train, y_train, x_test, y_test = digits()
net = fnn.Sequential(
    fnn.Conv2d(1, 16, kernel_size=5), fnn.ReLU(), fnn.MaxPool2d(2),
    fnn.Conv2d(16, 32, kernel_size=5), fnn.ReLU(), fnn.MaxPool2d(2),
    fnn.Flatten(), fnn.Linear(512, 10),
)  # fmt: skip
trainer = Trainer(net, fnn.CrossEntropyLoss(), fnn.Adam(net.parameters(), lr=2e-3))
trainer.fit((x_train, y_train), epochs=3, batch_size=64)
loss, accuracy = trainer.evaluate((x_test, y_test))
print(f"{accuracy:.1%} of {len(x_test)} test images are right")
