"""PyTorch's modules as networks: the same outputs, gradients, names and modes."""

import warnings

import numpy as np
import pytest

import fastnn as fnn
from fastnn.interop.onnx import Function as Operator
from fastnn.interop.torch import from_torch, to_torch
from networks import normal
from test_to_torch import LAYERS, assert_close

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns on some versions
    torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def assert_same(theirs, *shapes, examples=True, eval_batch=5):
    """Outputs and gradients in train mode, then outputs in eval mode, for batches of another size."""
    theirs = theirs.double()
    arrays = [normal(*shape, seed=place, dtype=np.float64) for place, shape in enumerate(shapes)]
    leaves = [torch.from_numpy(each.copy()).requires_grad_() for each in arrays]
    before = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    ours = from_torch(theirs, *(arrays if examples else ()))
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    expected, found = (y if isinstance(y, tuple) else (y,) for y in (theirs(*leaves), ours(*arrays)))
    assert len(expected) == len(found)
    for y, other in zip(found, expected, strict=True):
        assert_close(y, other, "train")
    grads = [normal(*y.shape, seed=5, dtype=np.float64) for y in found]
    torch.autograd.backward(expected, [torch.from_numpy(dy) for dy in grads])
    dx = ours.backward(grads[0] if len(grads) == 1 else tuple(grads))
    for each, leaf in zip(dx if isinstance(dx, tuple) else (dx,), leaves, strict=True):
        assert_close(each, leaf.grad, "dx")
    learnt = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        assert_close(p.grad, learnt[name].grad, name)
    for name, array in ours.state_dict().items():
        if name in theirs.state_dict():
            assert_close(array, theirs.state_dict()[name], name)
    ours.eval()
    theirs.eval()
    arrays = [normal(eval_batch, *shape[1:], seed=7, dtype=np.float64) for shape in shapes]
    expected, found = theirs(*map(torch.from_numpy, arrays)), ours(*arrays)
    for y, other in zip(*(each if isinstance(each, tuple) else (each,) for each in (found, expected)), strict=True):
        assert_close(y, other, "eval")
    return ours


@pytest.mark.parametrize(("layer", "given"), LAYERS, ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_what_became_a_module_comes_back(layer, given):
    layer.train()
    back = from_torch(to_torch(layer), *(() if isinstance(given, np.ndarray) else (np.ones(given),)))
    if "Graph(" not in repr(back):
        assert repr(back) == repr(layer)
    state = back.state_dict()
    assert sorted(state) == sorted(layer.state_dict())
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(state[name], array)
    x = given if isinstance(given, np.ndarray) else normal(*given, dtype=np.float64)
    y = layer(x)
    assert_close(back(x), torch.from_numpy(np.ascontiguousarray(y)), "train")
    layer.train()


class Function(nn.Module):
    """A layer, and then any function."""

    def __init__(self, function, inputs=6, outputs=6):
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)
        self.function = function

    def forward(self, x):
        return self.function(self.layer(x))


WITHOUT_EXAMPLES = [
    lambda x: x.view(x.size(0), -1) + x.view(-1, 6),
    lambda x: x.reshape(x.shape[0], 2, 3).flatten(1).unflatten(1, (3, 2)).permute(0, 2, 1),
    lambda x: 1 - x + x / 2 * 3 - -x,
    lambda x: torch.add(x, x).sub(x).mul(2.0).div(4) + torch.square(x) + x**2,
    lambda x: x[:, 1:3] + x[..., -2:],
    lambda x: x[:, None].mean(1) + x.unsqueeze(-1).mean(-1, keepdim=False),
    lambda x: torch.cat([x, x], 1),
    lambda x: torch.cat(torch.split(x, [2, 4], dim=1), dim=1),
    lambda x: torch.stack([x, x.relu()], 1).mean(dim=(1,)),
    lambda x: F.relu(x, inplace=True) * F.relu6(x) + F.leaky_relu(x, 0.1) + F.elu(x, 0.5) + F.selu(x),
    lambda x: F.gelu(x, approximate="tanh") + F.silu(x) + F.hardtanh(x, -0.5, 0.5) + F.softplus(x, 2.0),
    lambda x: F.softmax(x, dim=1) + torch.log_softmax(x, -1) + x.softmax(dim=-1) + torch.sigmoid(x) + x.tanh(),
    lambda x: F.dropout(F.dropout(x, 0.0), 0.5, training=False),
    lambda x: F.pad(x.view(-1, 1, 2, 3), (1, 0, 0, 2), value=0.5).flatten(1),
    lambda x: F.max_pool2d(x.view(-1, 1, 2, 3), 2, stride=1).flatten(1),
    lambda x: F.avg_pool2d(x.view(-1, 1, 2, 3), (2, 1)).flatten(1),
    lambda x: F.adaptive_avg_pool2d(x.view(-1, 1, 2, 3), (1, None)).flatten(1),
    lambda x: F.interpolate(x.view(-1, 1, 2, 3), scale_factor=2, mode="bilinear", align_corners=False).flatten(1),
    lambda x: F.layer_norm(x, (6,)).contiguous(),
    lambda x: x.sum(1, keepdim=True) * x + torch.sum(x[:, None], dim=(1,)),
    lambda x: x.clamp(-0.5, 0.5) + torch.clamp(x, min=0.1) + x.clamp_max(0.3) + torch.clip(x, max=0.2),
    lambda x: x.unsqueeze(2) @ x.unsqueeze(1) + torch.sum(input=x[:, None, None], dim=-1, keepdim=True),
    lambda x: torch.bmm(x.view(-1, 2, 3), x.view(-1, 3, 2)),
    lambda x: torch.einsum("bij,bkj->bik", x.view(-1, 2, 3), x.view(-1, 2, 3)),
    lambda x: torch.einsum("bqhd,bkhd->bhqk", x.view(-1, 3, 1, 2), x.view(-1, 3, 1, 2)),
    lambda x: x.unsqueeze(1).mean(-1, keepdim=True).expand(-1, 5, 6).flatten(1),
    lambda x: x.mean(1, keepdim=True).expand_as(x) * x,
    lambda x: torch.exp(x) + (x * x + 1).log() + torch.sqrt(x.abs() + 1) + (x**3 + x.square()).sin().cos(),
    lambda x: torch.maximum(x, x.erf()) * torch.minimum(x, F.mish(x)) + (x * x + 0.5).pow(-0.5) + F.softsign(x),
    lambda x: F.normalize(x, dim=1) + F.normalize(x, dim=-1, eps=3.0),
    lambda x: (x, x.relu()),
]


@pytest.mark.parametrize("function", WITHOUT_EXAMPLES)
def test_a_function_without_an_example(function):
    assert_same(Function(function), (4, 6), examples=False)


WITH_EXAMPLES = [
    lambda x: x.view(x.size(0), 2, x.size(1) // 2).transpose(1, -1).reshape(x.size(0), -1),
    lambda x: torch.cat(x.chunk(3, dim=1), 1) + x.unsqueeze(2).squeeze(-1),
    lambda x: x.view(x.size(0) * 2, 3).relu().view(x.size(0), -1),
    lambda x: F.interpolate(x.view(-1, 1, 2, 3), size=x.view(-1, 1, 3, 2).shape[2:]).flatten(1),
    lambda x: x.view(x.shape) + x * x.shape[-1] + x.dim(),
    lambda x: torch.cat(x.view(-1, 2, 3).unbind(-1), 1) * x.view(-1, 3, 2).mT.flatten(1),
    lambda x: F.scaled_dot_product_attention(x.view(-1, 2, 3), x.view(-1, 2, 3) * 2, x.view(-1, 2, 3)).flatten(1),
    lambda x: F.scaled_dot_product_attention(
        x[:, None], x[:, None], x[:, None], torch.eye(1, dtype=torch.float64), scale=0.3
    ).flatten(1),
    lambda x: torch.einsum("...ij,...jk->...ik", x.view(-1, 2, 3), x.view(-1, 3, 2)),
]


@pytest.mark.parametrize("function", WITH_EXAMPLES)
def test_a_function_with_an_example(function):
    assert_same(Function(function), (4, 6))
    with pytest.raises(TypeError, match=r"expected an example of the inputs: from_torch\(module, x\)"):
        from_torch(Function(function))


REFUSED = [
    (torch.erfinv, "node erfinv: erfinv() has no form"),
    (lambda x: x if x.sum() > 0 else -x, "torch.fx cannot trace its forward: symbolically traced variables"),
    (lambda x: x + x.size(0), "node add: add() uses the number of examples in the batch"),
    (lambda x: F.softmax(x), "a softmax without dim"),
    (lambda x: torch.einsum("ij->i", x), "node einsum: einsum() of 'ij->i' has no form in a graph; expected a product"),
    (lambda x: torch.einsum("ij,ij->i", x, x), "node einsum: einsum() of 'ij,ij->i' has no form"),
    (lambda x: torch.einsum("ij,kj", x, x), "node einsum: einsum() of 'ij,kj' has no form"),
    (lambda x: torch.addmm(x, x, x, beta=2), "node addmm: addmm() takes beta or alpha; expected none"),
    (lambda x: x.view(-1, 2, 3).unbind(), "node unbind: unbind() depends on the number of axes; expected an example"),
    (lambda x: torch.einsum("...i,...i->...", x, x), "node einsum: einsum() with ... depends on the number of axes"),
    (lambda x: torch.einsum("ij,jk->ikk", x, x), "node einsum: einsum() of 'ij,jk->ikk' has no form"),
    (lambda x: x.sum(), "sum() of all elements"),
    (lambda x: x.clamp(), "clamp(): min: got None, and max None; expected at least one number"),
    (lambda x: x.clamp(0, x.size(1)), "clamp() uses the length of axis 1; expected an example of the inputs"),
    (lambda x: x.clamp(x, x), "clamp() between tensors"),
    (lambda x: F.batch_norm(x, None, None, training=True), "batch_norm() depends on the number of axes"),
    (lambda x: x.T, "T depends on the number of axes; expected an example of the inputs"),
    (lambda x: x.H, "the attribute H has no form"),
    (lambda x: x.mean(), "mean() of all elements"),
    (lambda x: x[x > 0], "node gt: gt() has no form"),
    (lambda x: x.size(0), "returns a shape or length"),
    (lambda x: {"y": x}, "returns dict"),
    (lambda x: F.linear(x, x), "linear() gets weight that is computed"),
    (lambda x: (x.view(-1, 3).relu_(), x)[1], "relu_() writes into the memory of layer, which is read later"),
    (lambda x: F.max_pool1d(x, 2, return_indices=True)[0], "has no form"),
    (lambda x: F.interpolate(x, 2, mode="bilinear", antialias=True), "antialias: got True; expected False"),
    (lambda x: torch.add(x, x, alpha=2), "takes alpha"),
    (lambda x: x**x, "pow() with Value"),
    (lambda x: F.normalize(x, 1), "normalize() takes p=1"),
    (lambda x: F.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention() depends on the number of axes"),
    (lambda x: F.scaled_dot_product_attention(x, x, x, None, 0.0, True), "takes more than a mask that is added"),
]


@pytest.mark.filterwarnings("ignore:Implicit dimension")
@pytest.mark.parametrize(("function", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_has_no_form_is_named(function, message):
    with pytest.raises(TypeError) as error:
        from_torch(Function(function))
    assert message in str(error.value)
    assert str(error.value).startswith("Function: ")


def hooked():
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: None)
    return layer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LSTM(3, 4), r"^LSTM has no counterpart in fastnn$"),
        (lambda: nn.Sequential(nn.ReLU(), nn.Sequential(nn.GLU())), r"^layer 1\.0 \(GLU\) has no counterpart"),
        (lambda: nn.Linear(3, 3).half(), r"^Linear: got parameters of torch\.float16; expected float32 or float64$"),
        (lambda: nn.Softmax(), r"^Softmax: dim: got None"),
        (lambda: nn.Embedding(4, 3, max_norm=1.0), r"^Embedding: max_norm: got 1\.0"),
        (hooked, r"^layer Linear: has a hook; expected none$"),
        (lambda: 3, r"^module: got int; expected a torch\.nn\.Module$"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), r"node _weight_norm: _weight_norm\(\) has no"),
        (lambda: nn.Sequential(Function(torch.erfinv)), r"^layer 0: node erfinv: erfinv\(\) has no form"),
    ],
)
def test_layers_that_are_not_there_are_named(make, message):
    with pytest.raises(TypeError, match=message):
        from_torch(make())


def test_an_example_that_does_not_fit():
    with pytest.raises(TypeError, match=r"^Function: cannot be run with these inputs: mat1 and mat2"):
        from_torch(Function(torch.relu), np.ones((3, 5), np.float32))


class Everything(nn.Module):
    """Parameters and buffers of its own, a layer with a forward of its own, layers that are used twice, defaults."""

    class Own(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight, self.bias)

    def __init__(self):
        super().__init__()
        self.own = self.Own(6, 6)
        self.scale = nn.Parameter(torch.rand(6))
        self.register_buffer("offset", torch.rand(6))
        self.register_buffer("factor", torch.rand(6), persistent=False)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True)) for _ in range(2)])
        self.relu = nn.ReLU()

    def forward(self, x, other, flag=None, times=2):
        if flag is not None:
            x = x + flag
        y = self.own(x) * self.scale + self.offset * self.factor
        for block in self.blocks:
            y = self.relu(y + block(other)) + self.blocks[0](y)
        return y * times, y


class Products(nn.Module):
    """Products with parameters, on either side, and a norm whose parameters the module holds itself."""

    class Norm(nn.Module):
        def __init__(self, own):
            super().__init__()
            self.weight, self.bias = (nn.Parameter(torch.rand(6)), nn.Parameter(torch.rand(6))) if own else (None, None)
            self.register_buffer("running_mean", torch.rand(6))
            self.register_buffer("running_var", torch.rand(6) + 0.5)

        def forward(self, x):
            statistics = self.running_mean, self.running_var
            return F.batch_norm(x, *statistics, self.weight, self.bias, self.training, momentum=0.3, eps=1e-3)

    def __init__(self, own=True):
        super().__init__()
        self.weight, self.mixed = nn.Parameter(torch.rand(5, 6)), nn.Parameter(torch.rand(2, 3))
        self.norm = self.Norm(own)

    def forward(self, x):
        y = self.norm(x @ self.weight.t() @ self.weight)
        z = self.norm(y.view(y.size(0), 6, 1, 1))
        return torch.matmul(self.mixed, y.view(y.size(0), 3, 2)), z


@pytest.mark.parametrize("own", [True, False], ids=["affine", "plain"])
def test_products_and_norms(own):
    net = Products(own)
    ours = assert_same(net, (4, 6))
    assert set(ours.state_dict()) >= set(net.state_dict())
    assert set(to_torch(ours).state_dict()) >= set(net.state_dict())


class Vectors(nn.Module):
    """Products with vectors, of three kinds of names, and a token that is expanded to the batch."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(6, 5)), nn.Parameter(torch.rand(5))
        self.token = nn.Parameter(torch.rand(1, 1, 3))

    def forward(self, x):
        y = torch.addmm(self.bias, x, self.weight)
        z = torch.cat([self.token.expand(x.shape[0], -1, -1), x.view(-1, 2, 3)], 1)
        z = torch.einsum("...i,ji->...j", z, self.weight.T[:, :3])
        return y @ self.bias, torch.matmul(z, self.bias), torch.mv(x, self.weight[:, 0]), self.weight[0] @ y.mT


def test_vectors_and_tokens():
    assert set(to_torch(assert_same(Vectors(), (4, 6))).state_dict()) == {"weight", "bias", "token"}
    ours = assert_same(Vectors(), (4, 6))
    x = np.ones((7, 6), np.float64)
    assert [each.shape for each in ours(x)] == [(7,), (7, 3), (7,), (7,)]


class Coder(nn.Module):
    """A variational autoencoder's two ways, with modules that no layer is."""

    def __init__(self):
        super().__init__()
        self.mean, self.logvar = nn.Sequential(nn.Linear(6, 4), nn.Mish()), nn.Linear(6, 4)
        self.back = nn.Sequential(nn.Linear(4, 6), nn.Softsign())

    def forward(self, x):
        mean, logvar = self.mean(x), self.logvar(x)
        z = mean + torch.exp(0.5 * logvar)
        return self.back(z), -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum(1)


def test_formulas_come_back_and_are_saved(tmp_path):
    net = Coder()
    ours = assert_same(net, (4, 6), examples=False)
    back = to_torch(ours)
    assert set(back.state_dict()) == set(net.state_dict())
    x = normal(3, 6, dtype=np.float64)
    for found, expected in zip(back(torch.from_numpy(x)), net(torch.from_numpy(x)), strict=True):
        assert_close(found.detach().numpy(), expected, "back")
    pytest.importorskip("safetensors")
    fnn.save(ours, tmp_path / "net.safetensors")
    for found, expected in zip(fnn.load(tmp_path / "net.safetensors")(x), ours(x), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_hardsigmoid():
    """In float32: PyTorch's own slope is the sixth of a float32, in float64 too."""
    ours, x = from_torch(nn.Sequential(nn.Hardsigmoid())), normal(4, 6) * 4
    leaf = torch.from_numpy(x.copy()).requires_grad_()
    expected = F.hardsigmoid(leaf)
    np.testing.assert_allclose(ours(x), expected.detach().numpy(), rtol=1e-6)
    expected.sum().backward()
    np.testing.assert_allclose(ours.backward(np.ones_like(x)), leaf.grad.numpy(), rtol=1e-6)
    np.testing.assert_allclose(to_torch(ours)(leaf).detach().numpy(), expected.detach().numpy(), rtol=1e-6)


def test_an_operator_that_pytorch_has_not():
    with pytest.raises(TypeError, match=r"^Function LRN has no counterpart in PyTorch"):
        to_torch(Operator("LRN", {"size": 3}))


def test_a_norm_without_statistics():
    assert_same(Function(lambda x: F.batch_norm(x, None, None, training=True)), (4, 6))


@pytest.mark.parametrize("training", [True, False])
def test_a_norm_in_another_mode_is_refused(training):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(6))
            self.register_buffer("var", torch.ones(6))

        def forward(self, x):
            return F.batch_norm(x, self.mean, self.var, training=training)

    with pytest.raises(TypeError, match=rf"batch_norm\(\) gets training={training} in .* mode; expected training=self"):
        from_torch(Net().train(not training), np.ones((4, 6), np.float32))


def test_everything_at_once():
    net = Everything()
    net.blocks[1][0].bias.requires_grad = False
    net.blocks[1].eval()
    ours = from_torch(net)
    assert ours.inputs == ("x", "other")
    assert set(ours.state_dict()) == set(net.state_dict())
    assert [p.requires_grad for _, p in ours.named_parameters()].count(False) == 1
    assert ours["blocks.1.0"].training is False
    assert ours["blocks.0.0"].training is True
    assert set(to_torch(ours).state_dict()) == set(net.state_dict())
    assert_same(Everything(), (4, 6), (4, 6), examples=False)


def test_writing_in_place_is_read_by_later_readers():
    relu = nn.ReLU(inplace=True)

    def twice(x):
        y = relu(x)
        return x + 2 * y

    def added(x):
        y = x.contiguous()
        y += 1
        return x * 2 + y

    for function in (twice, added):
        net = Function(function)
        net.relu = relu
        assert_same(net, (4, 6), examples=False)


def test_a_tensor_that_the_forward_makes():
    net = Function(lambda x: x + torch.ones(6, dtype=torch.float64))
    before = set(vars(net))
    ours = assert_same(net, (4, 6), examples=False)
    assert set(vars(net)) == before
    assert list(ours.state_dict()) == ["layer.weight", "layer.bias"]


def test_a_subclass_without_a_forward_is_the_layer():
    class Norm(nn.BatchNorm1d):
        def __init__(self):
            super().__init__(6, eps=1e-3)

    ours = assert_same(nn.Sequential(nn.Linear(4, 6, bias=False), Norm()), (5, 4), examples=False)
    assert type(ours[1]) is fnn.BatchNorm1d


def test_a_pool_that_returns_indices():
    class Net(nn.Module):
        def __init__(self, both):
            super().__init__()
            self.conv, self.pool, self.both = nn.Conv2d(2, 3, 1), nn.MaxPool2d(2, return_indices=True), both

        def forward(self, x):
            y, places = self.pool(self.conv(x))
            return (y * 2, places) if self.both else y * 2

    assert_same(Net(False), (4, 2, 4, 6), examples=False)
    net = Net(True).eval()
    x = normal(4, 2, 4, 6)
    for ours, theirs in zip(from_torch(net)(x), net(torch.from_numpy(x)), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_what_is_shared_is_shared():
    layer, tied = nn.Linear(3, 3), nn.Linear(3, 3)
    tied.weight = layer.weight
    ours = from_torch(nn.Sequential(layer, nn.Tanh(), tied))
    assert ours[2].weight is ours[0].weight
    tanh = nn.Tanh()
    graph = assert_same(nn.Sequential(layer, tanh, nn.Linear(3, 3), tanh, layer), (4, 3), examples=False)
    assert [type(node[0]).__name__ for node in graph.nodes().values()] == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]
    assert list(graph.nodes()) == ["0", "1", "2", "1_1", "0_1"]


def test_no_random_numbers_are_drawn():
    fnn.manual_seed(3)
    expected = fnn.Linear(2, 2).weight.numpy()
    fnn.manual_seed(3)
    from_torch(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(3, 2)))
    np.testing.assert_array_equal(fnn.Linear(2, 2).weight.numpy(), expected)


def test_an_empty_sequential_and_named_layers():
    assert len(from_torch(nn.Sequential())) == 0
    net = nn.Sequential()
    net.add_module("first", nn.Linear(2, 2))
    ours = from_torch(net.eval())
    assert list(ours.state_dict()) == ["first.weight", "first.bias"]
    assert not ours.training
    assert not ours[0].training


def test_without_pytorch_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'torch is needed for .*: pip install "fastnn-kernels\[torch\]"'):
        from_torch(nn.ReLU())
