"""A network in eval mode as one call: what its layers give one by one."""

import copy
import gc
import threading
import weakref

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES
from fastnn import functional
from networks import normal
from plans import assert_same, kernel_plan, lenet, one_by_one, only_run, runs, x_of


@pytest.fixture
def planned_only(monkeypatch):
    """No layer may be run by itself."""

    def forward(self, x, activation=None):
        raise AssertionError(f"{type(self).__name__} was run by itself")

    for kind in (fnn.Conv2d, fnn.Linear, fnn.ReLU, fnn.Tanh, fnn.MaxPool2d, fnn.AvgPool2d, fnn.Flatten):
        monkeypatch.setattr(kind, "forward", forward)


# Values


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("n", [1, 2, 17, 70])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_the_bits_of_the_layers(n, dtype, threads):
    net, x = lenet(dtype), x_of(n, dtype=dtype)
    expected = one_by_one(net, x)
    with fnn.num_threads(threads):
        for _ in range(2):
            assert net(x).tobytes() == expected.tobytes()


def test_packed_weights_are_used_where_packing_them_would_not_pay():
    """A layer of 5 rows takes dot tiles; a plan has the panels already. The last bits show the order of the sums."""
    fnn.manual_seed(0)
    net, x = fnn.Sequential(fnn.Linear(300, 64)).eval(), normal(5, 300)
    assert net(x).tobytes() != net[0].forward(x).tobytes()


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_groups_of_images_go_through_several_layers(dtype, threads):
    fnn.manual_seed(0)
    net = fnn.Sequential(
        fnn.Conv2d(3, 32, 3, padding=1, dtype=dtype), fnn.BatchNorm2d(32, dtype=dtype), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Conv2d(32, 48, 3, dtype=dtype), fnn.Sigmoid(), fnn.AvgPool2d(2),
        fnn.Flatten(), fnn.Linear(1728, 45, dtype=dtype),
    ).eval()  # fmt: skip
    x = normal(31, 3, 28, 28, dtype=dtype)
    x[7, 1, 5, 5], x[20] = np.nan, np.inf
    expected = one_by_one(net, x)
    with fnn.num_threads(threads):
        assert net(x).tobytes() == expected.tobytes()
    *grouped, (first, last, group) = kernel_plan(net).stages()
    assert grouped
    assert all(group < len(x) for _, _, group in grouped)
    assert (last - first, group) == (1, len(x)), "the linear layer takes all images at once"


def residual_block(inputs, outputs, stride, dtype):
    def normalised(inputs, kernel, stride):
        conv = fnn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False, dtype=dtype)
        return fnn.Sequential(conv, fnn.BatchNorm2d(outputs, dtype=dtype))

    body = fnn.Sequential(*normalised(inputs, 3, stride), fnn.ReLU(), *normalised(outputs, 3, 1))
    return fnn.Residual(body, normalised(inputs, 1, stride) if stride > 1 else None)


def branched(dtype=np.float32):
    """Values that are needed again: by steps soon after, from one stage in another, and by a ReLU of their own."""
    fnn.manual_seed(0)
    expand = [fnn.Sequential(fnn.Conv2d(4, 5, 1, dtype=dtype), fnn.ReLU()), fnn.Conv2d(4, 6, 3, 1, 1, dtype=dtype)]
    return fnn.Sequential(
        fnn.Conv2d(3, 8, 3, 1, 1, dtype=dtype), fnn.Residual(fnn.ReLU(), fnn.Tanh()),
        residual_block(8, 8, 1, dtype), fnn.ReLU(), residual_block(8, 4, 2, dtype), fnn.ReLU(),
        fnn.Concat([*expand, fnn.Dropout(), fnn.Residual(fnn.Dropout())]), fnn.ReLU(),
        fnn.Flatten(),
        fnn.Residual(fnn.Sequential(fnn.Linear(2736, 9, dtype=dtype), fnn.ReLU(), fnn.Linear(9, 2736, dtype=dtype))),
        fnn.Concat([fnn.Linear(2736, 3, dtype=dtype), fnn.Linear(2736, 4, dtype=dtype)], dim=-1),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 40])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_branches(n, dtype, threads):
    net, x = branched(dtype), normal(n, 3, 24, 24, dtype=dtype)
    with fnn.num_threads(threads):
        assert_same(net, x)
        assert_same(net, x)
        assert len(kernel_plan(net)) == 29
        if n == 40:
            assert len(kernel_plan(net).stages()) > 1


def test_branches_are_one_call(monkeypatch):
    net, x = branched(), normal(3, 3, 24, 24)
    expected = net(x)
    for kind in (fnn.Residual, fnn.Concat, fnn.Conv2d, fnn.BatchNorm2d, fnn.ReLU):
        monkeypatch.setattr(kind, "forward", None)
    assert net(x).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "net",
    [
        lambda: fnn.Sequential(fnn.Concat([fnn.ReLU(), fnn.Tanh()], dim=0)),
        lambda: fnn.Sequential(fnn.Residual(Doubled()), fnn.ReLU()),
        lambda: fnn.Sequential(fnn.Concat([fnn.ReLU(), fnn.Sequential(Doubled(), fnn.Tanh())])),
    ],
    ids=["along the batch", "of others in a sum", "of others in a branch"],
)
def test_branches_without_a_plan(net):
    net, x = net().eval(), normal(3, 2, 4, 4)
    for _ in range(2):
        np.testing.assert_array_equal(net(x), one_by_one(net, x))
    assert None in runs(net)


def test_a_plan_must_end_with_its_last_step():
    class Back(fnn.Module):
        def forward(self, x):
            return x

        def plan(self, steps):
            x = steps.here()
            steps.tanh()
            steps.go_back(x)

    net, x = fnn.Sequential(fnn.Sigmoid(), Back()).eval(), normal(3, 4)
    assert_same(net, x)


def test_branches_that_do_not_fit_say_so():
    net = fnn.Sequential(fnn.Sigmoid(), fnn.Residual(fnn.Linear(4, 3))).eval()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"b: got shape \(2, 4\); expected \(2, 3\)"):
            net(normal(2, 4))


def test_no_layer_runs_by_itself(planned_only):
    net = lenet()
    for n in (1, 5, 1):
        assert net(x_of(n)).shape == (n, 10)


def test_nan_and_infinity_go_through():
    net = lenet()
    x = x_of(4)
    x[1, 0, 3, 3], x[2, 0, 5, 5] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(net(x)[1]).any()
        np.testing.assert_array_equal(net(x), one_by_one(net, x))


@pytest.mark.parametrize("planned", [False, True])
def test_one_image_does_not_change_another(planned):
    """Not even where the quick way cannot be gone with what is in one of them."""
    net = fnn.Sequential(fnn.Conv2d(40, 40, 3, padding=1)).eval()
    x = normal(9, 40, 16, 16)
    expected = net(x) if planned else one_by_one(net, x)
    x[3, 7, 4, 6] = np.nan
    got = net(x) if planned else one_by_one(net, x)
    assert np.isnan(got[3]).any()
    assert np.isfinite(got[3]).any()
    others = np.arange(len(x)) != 3
    assert got[others].tobytes() == expected[others].tobytes()


def test_softmax_and_rows_of_more_axes():
    net = fnn.Sequential(fnn.Linear(5, 8), fnn.Sigmoid(), fnn.Linear(8, 6), fnn.LogSoftmax(), fnn.Softmax(2)).eval()
    assert_same(net, normal(3, 4, 5))


ELEMENTWISE = (
    fnn.ReLU, fnn.Sigmoid, fnn.Tanh, lambda: fnn.LeakyReLU(0.2), lambda: fnn.ELU(0.7), fnn.SELU, fnn.GELU,
    lambda: fnn.GELU("tanh"), fnn.SiLU, lambda: fnn.Softplus(2, 1.5), lambda: fnn.Hardtanh(-0.5, 0.8), fnn.Hardswish,
    fnn.ReLU6, fnn.PReLU, lambda: fnn.PReLU(8, init=0.1), fnn.Identity, lambda: fnn.Unflatten(2, (5, 1)),
)  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", ELEMENTWISE, ids=lambda make: repr(make()))
def test_elementwise_layers_are_planned(make, threads, monkeypatch):
    """First, between two layers, and last; with the bits of their forward, and without a call of it."""
    net = fnn.Sequential(make(), fnn.Conv2d(8, 8, 3, padding=1), make(), fnn.Flatten(), fnn.Linear(200, 8), make())
    if "Unflatten" in repr(net):
        net = fnn.Sequential(fnn.Flatten(), fnn.Linear(200, 10), fnn.Unflatten(1, (2, -1)), fnn.Softmax())
    net.eval()
    x = normal(31, 8, 5, 5)
    x[3, 2, 1], x[7] = np.nan, np.inf
    expected = one_by_one(net, x)

    def forward(self, x, activation=None):
        raise AssertionError(f"{type(self).__name__} was run by itself")

    for kind in {type(layer) for layer in net}:
        monkeypatch.setattr(kind, "forward", forward)
    with fnn.num_threads(threads):
        for _ in range(2):
            assert net(x).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (fnn.LeakyReLU, "negative_slope", 0.5),
        (fnn.ELU, "alpha", 0.5),
        (fnn.GELU, "approximate", "tanh"),
        (fnn.Softplus, "beta", 2.0),
        (fnn.Softplus, "threshold", 0.0),
        (fnn.Hardtanh, "min_val", -0.25),
        (fnn.Hardtanh, "max_val", np.float32(0.25)),
        (fnn.LeakyReLU, "negative_slope", np.array(0.5)),
        (lambda: fnn.PReLU(4), "weight", fnn.Parameter(normal(4))),
    ],
)
def test_settings_of_elementwise_layers_may_change(make, name, value):
    fnn.manual_seed(0)
    net, x = fnn.Sequential(fnn.Linear(4, 4), make()).eval(), normal(20, 4)
    before = net(x)
    setattr(net[1], name, value)
    assert_same(net, x)
    assert net(x).tobytes() != before.tobytes(), "nothing was changed: nothing was tested"
    if isinstance(value, np.ndarray):
        value[...] = 0.25
        assert_same(net, x)


def test_slopes_may_be_written_to():
    net, x = fnn.Sequential(fnn.Linear(4, 4), fnn.PReLU(4)).eval(), normal(3, 4)
    for value in (0.5, -2):
        net[1].weight.data[...] = value
        assert_same(net, x)


def test_results_are_independent_arrays():
    net = lenet()
    first, x = net(x_of(2)), x_of(2)
    kept = first.tobytes()
    net(x_of(2, seed=1))
    assert first.tobytes() == kept
    assert x.tobytes() == x_of(2).tobytes()


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: np.repeat(a, 2, 0)[::2]], ids=["Fortran", "strided"])
def test_input_layouts(layout):
    net, x = lenet(), x_of(3)
    assert net(layout(x)).tobytes() == net(x).tobytes()


# What is run layer by layer


class Doubled(fnn.Module):
    """A layer that somebody wrote."""

    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return 2 * x

    def backward(self, dy, accumulate=False, needs_dx=True):
        return 2 * dy


@pytest.mark.parametrize("place", [0, 2, 4])
def test_layers_of_others_run_anywhere(place):
    layers, own = list(lenet()), Doubled()
    layers.insert(place, own)
    net = fnn.Sequential(*layers).eval()
    assert_same(net, x_of(3))
    calls = own.calls
    net(x_of(3))
    assert own.calls == calls + 1


def test_layers_of_others_run_inside_a_nested_network():
    net = fnn.Sequential(fnn.Linear(4, 4), fnn.Sequential(fnn.ReLU(), Doubled()), fnn.Sequential(fnn.Tanh())).eval()
    assert_same(net, normal(3, 4))


class Negated(fnn.Linear):
    """A layer of fastnn that somebody changed."""

    def forward(self, x):
        return -super().forward(x)


class Shifted(fnn.Linear):
    """Another: its bias is not an attribute."""

    @property
    def bias(self):
        return fnn.Parameter(np.full(self.out_features, 3, np.float32))

    @bias.setter
    def bias(self, value):
        pass


@pytest.mark.parametrize("kind", [Negated, Shifted])
def test_changed_layers_run_as_they_are(kind):
    net = fnn.Sequential(kind(4, 5), fnn.ReLU(), fnn.Linear(5, 2)).eval()
    x = normal(3, 4)
    assert_same(net, x)
    if kind is Shifted:
        np.testing.assert_allclose(net[:1](x), functional.linear(x, net[0].weight.data) + 3, rtol=1e-5)


def test_a_forward_put_on_a_layer():
    net = lenet()
    net(x_of(2))
    net[0].forward = lambda x, activation=None: np.zeros((len(x), 6, 8, 8), np.float32)
    assert_same(net, x_of(2))


def test_a_network_of_another_class():
    class Net(fnn.Sequential):
        def forward(self, x):
            return super().forward(x / 2)

    net = Net(fnn.Linear(4, 4)).eval()
    np.testing.assert_array_equal(net(normal(3, 4)), net[0](normal(3, 4) / 2))
    outer = fnn.Sequential(net, fnn.ReLU()).eval()
    np.testing.assert_array_equal(outer(normal(3, 4)), functional.relu(net(normal(3, 4))))


@pytest.mark.parametrize(
    "layers",
    [(), (fnn.Flatten(),), (fnn.Softmax(0),), (fnn.Flatten(0), fnn.ReLU()), (fnn.MaxPool2d([2, 2]),)],
    ids=["none", "nothing computed", "along the batch", "batch flattened", "a setting that can be changed"],
)
def test_what_has_no_plan(layers):
    net = fnn.Sequential(*layers).eval()
    assert_same(net, normal(3, 2, 4, 4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_planes_of_another_size(dtype):
    """Pools that share out planes and interpolation are run in the plan, with the bits of the layers one by one."""
    net = fnn.Sequential(
        fnn.Upsample(scale_factor=(1.5, 2)), fnn.AdaptiveMaxPool2d((5, None)), fnn.Upsample(7, mode="bilinear"),
        fnn.Conv2d(3, 4, 3, dtype=dtype), fnn.AdaptiveAvgPool2d((1, 1)), fnn.Flatten(), fnn.Linear(4, 2, dtype=dtype),
    ).eval()  # fmt: skip
    for threads in (1, 2):
        with fnn.num_threads(threads):
            for n in (1, 9):
                assert_same(net, normal(n, 3, 4, 6, dtype=dtype))
    only_run(net)


@pytest.mark.parametrize("x", [normal(4), normal(0, 4), normal(2, 3, 4)], ids=["no batch", "empty batch", "more axes"])
def test_other_shapes_of_rows(x):
    assert_same(fnn.Sequential(fnn.Linear(4, 3), fnn.ReLU()).eval(), x)


def test_errors_are_those_of_the_layers():
    net = lenet()
    for x, error, message in (
        (x_of(2)[:, :, :3, :3], ValueError, "kernel_size: got"),
        (x_of(2).astype(np.float64), TypeError, "x and weight: got float64 and float32"),
        (x_of(2).astype(np.int32), TypeError, "x: got an array of int32"),
        ([1.0], TypeError, "x: got list"),
        (np.zeros((2, 3, 12, 12), np.float32), ValueError, "for 1 input channels; expected 3"),
    ):
        for _ in range(2):
            with pytest.raises(error, match=message):
                net(x)
    assert_same(net, x_of(2))


def test_the_reference_takes_no_part():
    net, x = lenet(), x_of(3)
    planned = net(x)
    with fnn.implementation("reference"):
        reference = net(x)
    assert reference.tobytes() == one_by_one_on_reference(net, x).tobytes()
    np.testing.assert_allclose(planned, reference, rtol=1e-4, atol=1e-5)


def one_by_one_on_reference(net, x):
    with fnn.implementation("reference"):
        return one_by_one(net, x)


# Threads, memory, lifetimes


def test_the_number_of_threads_may_change():
    net, x = lenet(), x_of(9)
    expected = one_by_one(net, x)
    for n in (1, 3, 2, 7, 1):
        with fnn.num_threads(n):
            assert net(x).tobytes() == expected.tobytes()


def test_concurrent_python_threads():
    """Threads call one network with inputs of their own, while another changes it back and forth as a whole."""
    net = fnn.Sequential(fnn.Conv2d(3, 17, 3, padding=1, bias=False), fnn.ReLU(), fnn.MaxPool2d(2)).eval()
    weights = [normal(17, 3, 3, 3, seed=seed) for seed in (1, 2)]
    xs = [normal(n, 3, 10, 10, seed=n) for n in (1, 2, 5, 5)]
    expected = []
    for w in weights:
        net[0].weight.data = w.copy()
        expected.append([one_by_one(net, x).tobytes() for x in xs])
    wrong, stop = [], threading.Event()

    def infer(i):
        for _ in range(300):
            if net(xs[i]).tobytes() not in (expected[0][i], expected[1][i]):
                wrong.append(i)

    def change():
        while not stop.wait(2e-4):
            for w in weights:
                net[0].weight.data = w.copy()

    changer, workers = threading.Thread(target=change), [threading.Thread(target=infer, args=(i,)) for i in range(4)]
    for thread in (changer, *workers):
        thread.start()
    for worker in workers:
        worker.join(timeout=120)
    stop.set()
    changer.join()
    assert not any(worker.is_alive() for worker in workers)
    assert not wrong
    assert_same(net, xs[0])


def test_batches_of_any_size():
    """More sizes than there are plans kept for."""
    net = lenet()
    for n in (*range(1, 40), *range(40, 1, -3)):
        assert_same(net, x_of(n))


def test_a_network_goes_when_nobody_has_it():
    """Its weights may be large: they do not wait for the collector of circles."""
    gc.disable()
    try:
        net = lenet()
        net(x_of(3))
        gone = weakref.ref(net[0])
        del net
        assert gone() is None
    finally:
        gc.enable()


# Any stack of layers

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402


@st.composite
def networks(draw):
    """Layers that fit one another, some of them in a network of their own, and the shape of the input."""
    n, c, h, w = draw(st.integers(1, 9)), draw(st.integers(1, 20)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    shape, layers, dtype = (n, c, h, w), [], draw(st.sampled_from(DTYPES))
    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(("conv", "conv", "pool", "linear", "map", "branches")))
        if kind in ("conv", "pool") and len(shape) == 4:
            kernel = draw(st.integers(1, min(shape[2], 5))), draw(st.integers(1, min(shape[3], 5)))
            stride, bias = (draw(st.integers(1, 3)), draw(st.integers(1, 3))), draw(st.booleans())
            padding = draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))
            if kind == "conv":
                layer = fnn.Conv2d(shape[1], draw(st.integers(1, 40)), kernel, stride, padding, bias=bias, dtype=dtype)
            else:
                counting = {"count_include_pad": False, "divisor_override": draw(st.sampled_from((None, 3)))}
                pool, options = draw(
                    st.sampled_from(((fnn.MaxPool2d, {}), (fnn.AvgPool2d, {}), (fnn.AvgPool2d, counting)))
                )
                layer = pool(kernel, stride, padding, ceil_mode=bias, **options)
        elif kind == "linear":
            if len(shape) == 4 and draw(st.booleans()):
                layers.append(fnn.Flatten())
                shape = (n, shape[1] * shape[2] * shape[3])
            layer = fnn.Linear(shape[-1], draw(st.integers(1, 70)), bias=draw(st.booleans()), dtype=dtype)
        elif kind == "branches":
            layer = draw(st.sampled_from((
                fnn.Residual(fnn.ReLU()), fnn.Residual(fnn.Tanh(), fnn.Sequential(fnn.Sigmoid(), fnn.ReLU())),
                fnn.Residual(fnn.Dropout()), fnn.Concat([fnn.ReLU(), fnn.Dropout(), fnn.Residual(fnn.ReLU())]),
                fnn.Concat([fnn.Sequential(fnn.ReLU(), fnn.Tanh()), fnn.Residual(fnn.Tanh())], dim=-1),
            )))  # fmt: skip
            layer = copy.deepcopy(layer)
        else:
            layer = draw(
                st.sampled_from(
                    (fnn.ReLU, fnn.ReLU, fnn.GELU, lambda: fnn.PReLU(dtype=dtype), fnn.Softmax, fnn.LogSoftmax)
                )
            )()
        layers.append(layer)
        shape = layer.forward(np.zeros((0, *shape[1:]), dtype)).shape
    cut = draw(st.integers(0, len(layers)))
    net = (
        fnn.Sequential(*layers[:cut], fnn.Sequential(*layers[cut:])) if draw(st.booleans()) else fnn.Sequential(*layers)
    )
    return net.eval(), normal(n, c, h, w, dtype=dtype)


def check_network(network, threads):
    net, x = network
    with fnn.num_threads(threads):
        assert_same(net, x, repr(net))
        for p in net.parameters():
            p.data[...] += 1
        assert_same(net, x, repr(net))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(networks(), st.sampled_from((1, 2, 7)))
def test_any_network(network, threads):
    check_network(network, threads)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, derandomize=True, database=None)
@given(networks(), st.sampled_from((1, 2, 7)))
def test_many_networks(network, threads):
    check_network(network, threads)
