"""A service that classifies digits over HTTP, on the standard library alone, and exchanges its network as it runs.

POST the 784 bytes of a grey image, 28 x 28, and the answer is ``{"digit": 7, "probability": 0.99}``.
"""

import json
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

import fastnn as fnn
from fastnn.data import digits
from fastnn.training import Trainer

fnn.set_num_threads(1)  # each request has a thread of its own already


def make_network() -> fnn.Sequential:
    return fnn.Sequential(
        fnn.Conv2d(1, 16, 5), fnn.BatchNorm2d(16), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Flatten(), fnn.Linear(2304, 10), fnn.Softmax(),
    )  # fmt: skip


def load(path: str) -> fnn.Sequential:
    """A network that is ready to answer: weights read, batch norm folded, plan made."""
    net = make_network()
    with np.load(path) as weights:
        net.load_state_dict(weights)
    net = fnn.fold_batch_norm(net)  # a copy, in eval mode
    net(np.zeros((1, 1, 28, 28), np.float32))
    return net


class Digits(BaseHTTPRequestHandler):
    net: fnn.Sequential  # of the class, so that one assignment exchanges it for all requests

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            image = np.frombuffer(body, np.uint8).reshape(1, 1, 28, 28).astype(np.float32) / 255
            probabilities = Digits.net(image)[0]
            digit = int(probabilities.argmax())
            self.answer(200, {"digit": digit, "probability": float(probabilities[digit])})
        except ValueError as error:
            self.answer(400, {"error": str(error)})

    def answer(self, status: int, content: dict[str, object]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


def ask(port: int, image: bytes) -> dict[str, object]:
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/", image)
    content: dict[str, object] = json.loads(connection.getresponse().read())
    connection.close()
    return content


if __name__ == "__main__":
    fnn.manual_seed(0)
    x_train, y_train, x_test, y_test = digits()
    net = make_network()
    np.savez("first.npz", **net.state_dict())  # not trained yet
    scores = net[:-1]  # the loss wants scores, before the softmax
    trainer = Trainer(scores, fnn.CrossEntropyLoss(), fnn.Adam(scores.parameters(), lr=2e-3))
    trainer.fit((x_train, y_train), epochs=2, batch_size=64)
    np.savez("second.npz", **net.state_dict())

    Digits.net = load("first.npz")
    with ThreadingHTTPServer(("127.0.0.1", 0), Digits) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        image = (x_test[0] * 255).astype(np.uint8).tobytes()
        print("before:", ask(port, image))
        Digits.net = load("second.npz")  # requests go on meanwhile, with the network that they began with
        print("after:", ask(port, image), "and it is a", y_test[0])
        print("refused:", ask(port, b"too short"))
        server.shutdown()
