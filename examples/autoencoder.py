"""An autoencoder: 784 pixels of a digit through 16 numbers and back. It draws what comes out."""

import fastnn as fnn
from fastnn import plots
from fastnn.data import digits
from fastnn.training import Trainer, psnr

fnn.manual_seed(0)
x_train, _, x_test, _ = digits()
pixels, test_pixels = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)

encoder = fnn.Sequential(fnn.Linear(784, 128), fnn.ReLU(), fnn.Linear(128, 16))
decoder = fnn.Sequential(fnn.Linear(16, 128), fnn.ReLU(), fnn.Linear(128, 784), fnn.Sigmoid())
net = fnn.Sequential(encoder, decoder)

# The input is the target, too. The best weights for this loss give the mean of what a pixel may be.
trainer = Trainer(net, fnn.MSELoss(), fnn.Adam(net.parameters(), lr=2e-3), metric=psnr)
trainer.fit((pixels, pixels), epochs=8, batch_size=50)
_, decibels = trainer.evaluate((test_pixels, test_pixels))
print(f"PSNR on the test images: {decibels:.2f} dB")

codes = encoder(test_pixels)  # (1000, 16): a short description of each image
restored = decoder(codes).reshape(x_test.shape)
few = slice(None, None, 100)
plots.save(plots.reconstructions(x_test[few], restored[few], columns=5), "reconstructions.png")
