"""`fastnn bench` measures what it says, and everybody in it computes the same thing. Nothing here is timed."""

import json
import os
import sys
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _bench
from fastnn._bench import busy, chart, report, timing
from fastnn._bench.cases import CASES, PAIRS, QUICK, RESAMPLES, STEPS, BenchCase, cases_of, draw
from fastnn._bench.contestants import PEERS, base, fastnn_kernels, installed_peers, takes_part
from fastnn._bench.networks import NETWORKS
from fastnn._bench.timing import Times, in_turns
from fastnn.cli import main

ONE_IMAGE = [case for case in cases_of("inference") if case.name.endswith("-b1")]
# With dropout everybody has other random numbers.
SMALL = [
    case
    for case in CASES
    if (QUICK.search(str(case)) and case.family not in ("training", "inference", "dropout", *STEPS))
    or case.family in ("nll_loss", "embedding", "index_select", *PAIRS, *RESAMPLES)
]


def contestants(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's import warns on some versions
        return [fastnn_kernels(), *(PEERS[name]() for name in installed_peers() if takes_part(name, case))]


@pytest.mark.parametrize("case", [*SMALL, *ONE_IMAGE], ids=str)
def test_everybody_computes_the_same(case):
    arrays = draw(case)
    results = {}
    for who in contestants(case):
        with who.threads(1):
            result = who.prepare(case, arrays)()
        results[who.name] = [np.asarray(r) for r in (result if isinstance(result, tuple) else (result,))]
    for name, values in results.items():
        # PyTorch's positions are places in the image.
        count = 1 if str(case).startswith("max_pool2d") else len(values)
        for got, expected in zip(values[:count], results["fastnn"][:count], strict=True):
            if case.family == "layer_norm":  # PyTorch's statistics have axes of length 1 where it normalised
                got = got.reshape(expected.shape)
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max(), err_msg=name)


def test_another_network_is_not_timed():
    case = ONE_IMAGE[0]
    x = draw(case)["x"]
    expected = case.setting.module().eval()(x)
    base.checked("somebody", lambda: expected * np.float32(1.0001), case.setting, x)
    for wrong in (expected * np.float32(1.1), expected * np.float32(np.nan), expected[:, :-1]):
        with pytest.raises(AssertionError, match="somebody computes another network"):
            base.checked("somebody", lambda wrong=wrong: wrong, case.setting, x)


LONG = ("vgg", "resnet", "squeezenet")  # to train, for the reference; test_networks.py has their gradients


@pytest.mark.parametrize(
    "case", [case for case in cases_of("training") if not any(net in case.name for net in LONG)], ids=str
)
def test_everybody_trains_the_same(case):
    # Nobody drops the same elements as another, so nobody may drop any.
    if case.name.startswith("cnn"):
        case = replace(case, setting=replace(case.setting, make=partial(case.setting.make, dropout=0.0)))
    arrays, expected = draw(case), None
    for who in contestants(case):
        with who.threads(1):
            step = who.prepare(case, arrays)
            losses = [step() for _ in range(3)]
        losses = [float(loss.detach() if hasattr(loss, "detach") else loss) for loss in losses]
        expected = expected or losses
        np.testing.assert_allclose(losses, expected, rtol=1e-3, err_msg=who.name)
    assert expected[2] < expected[0]


@pytest.mark.parametrize("case", [case for case in cases_of(*STEPS) if case.name == "lenet"], ids=str)
def test_everybody_takes_the_same_step(case):
    def as_array(p):
        return p.detach().numpy() if hasattr(p, "detach") else p.data

    expected = None
    for who in contestants(case):
        with who.threads(1):
            step = who.prepare(case, draw(case))
            params = [as_array(p).copy() for _ in range(2) for p in step()]
        expected = expected or params
        for p, wanted in zip(params, expected, strict=True):
            np.testing.assert_allclose(p, wanted, rtol=1e-4, atol=1e-6, err_msg=who.name)


def test_networks_are_what_their_table_says():
    for network in NETWORKS.values():
        net = network.module()
        assert sum(p.size for p in net.parameters()) == network.parameters
        assert net.eval()(draw(BenchCase("inference", "", "", network))["x"]).shape == (1, network.classes or 1024)
        for (name, a), b in zip(net.state_dict().items(), network.module().state_dict().values(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_every_shape_of_the_plan_is_there():
    assert len(cases_of("conv")) == 2 * 21
    assert len(cases_of("conv_transpose")) == 2
    assert len(cases_of("max_pool2d", "avg_pool2d")) == 3 * 2 * 2
    assert len(cases_of("linear")) == 2 * 4
    trained_on = {
        "resnet-b32",
        "squeezenet-b16",
        "lenet-b64",
        "cnn-b32",
        "svgg-b64",
        "vgg11-b128",
        "mlp-b100",
        "mlp-b4",
        "autoencoder-b36",
        "lenet5-b2048",
        "lenet5-b128",
        "lenet5-b32",
        "tanh-b10000",
        "tanh-b100",
    }
    assert {case.name for case in cases_of("training")} == trained_on
    networks = {"lenet", "cnn", "svgg", "vgg11", "resnet", "squeezenet", "mlp", "autoencoder"}
    assert {case.name for case in cases_of("inference")} == {f"{net}-b{n}" for net in networks for n in (1, 64)}
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names)


def test_table(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    files = tmp_path / "b.json", tmp_path / "b.md", tmp_path / "b.png"
    arguments = ["--quick", "--against", "reference", "--threads", "1,2", "--cases", "softmax/digits|relu"]
    pytest.importorskip("threadpoolctl")
    for option, file in zip(("--json", "--markdown", "--chart"), files, strict=True):
        arguments += [option, str(file)]
    assert _bench.main([*arguments, "--seconds", "0"]) == 0
    out = capsys.readouterr().out
    assert "1 thread\n" in out
    assert "2 threads\n" in out
    assert fnn.isa() in out.splitlines()[0]
    assert out.count("relu/lenet/forward") == 2
    assert "geometric means" in out
    document = json.loads(files[0].read_text())
    assert document["machine"]["isa"] == fnn.isa()
    assert {row["threads"] for row in document["results"]} == {1, 2}
    first = document["results"][0]
    assert first["shape"] == "64x500"
    seconds = {who: times["median"] for who, times in first["seconds"].items()}
    assert first["ratio"]["reference"] == pytest.approx(seconds["reference"] / seconds["fastnn"])
    markdown = files[1].read_text()
    assert markdown.count("### ") == 2
    assert "| relu/lenet/forward | 64x500 |" in markdown
    assert files[2].read_bytes().startswith(b"\x89PNG")


def test_chart_has_a_bar_for_every_case_of_a_network_and_for_every_group():
    pytest.importorskip("matplotlib")
    cases = [*cases_of("training"), *cases_of("inference"), *cases_of("conv")]
    seconds = {"fastnn": Times((1.0,)), "reference": Times((0.1,)), "torch": Times((2.0,)), "openvino": Times((0.5,))}
    results = [report.Result(case, n, seconds) for n in (1, 2) for case in cases]
    figure = chart.ratio_chart(report.machine(), {name: name for name in seconds if name != "fastnn"}, results)
    (axes,) = figure.axes
    rows = len(cases_of("training")) + len(cases_of("inference")) + 2
    assert len(axes.patches) == 2 * rows
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(ends, 0.5)  # the fastest is never the reference
    headings = [label.get_text() for label in axes.get_yticklabels() if label.get_weight() == "bold"]
    assert headings == ["training step", "inference, batch 1", "inference, batch 64", "operations"]
    assert "LeNet, batch 64" in [label.get_text() for label in axes.get_yticklabels()]


def test_alone(capsys):
    assert _bench.main(["--against", "none", "--threads", "1", "--cases", "relu/lenet", "--seconds", "0"]) == 0
    assert "against nobody" in capsys.readouterr().out


def test_list(capsys):
    assert _bench.main(["--list", "--cases", "^conv/vgg"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["conv/vgg1/forward", "conv/vgg1/backward"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "tensorflow"], "--against: got 'tensorflow'; expected some of reference, torch"),
        (["--threads", "0"], "--threads: got '0'"),
        (["--threads", "one"], "--threads: got 'one'"),
        (["--cases", "("], "--cases: got '('"),
        (["--cases", "nothing"], "--cases: got 'nothing', which no case matches"),
        (["--seconds", "-1"], "--seconds: got '-1'"),
        (["--json", "no/such/folder/b.json"], f"there is no folder {str(Path('no/such/folder'))!r}"),
        (["--chart", "b.txt"], "got the ending '.txt'"),
        (["--chart", "b.png", "--against", "none"], "--chart: there is nobody to compare with"),
        (["--busy", "--chart", "b.png"], "--chart: it shows ratios to peers, which --busy does not measure"),
        (["--busy", "--memory"], "not allowed with"),
        (["--busy", "--cases", "conv"], "--cases: got 'conv', which no case matches"),
        (["--scaling", "--against", "openvino"], "--against: openvino cannot train"),
        (["--fast"], "--fast"),
    ],
)
def test_wrong_options(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


posix = pytest.mark.skipif(sys.platform == "win32", reason="asks the system for what Windows has not")


@pytest.mark.skipif(sys.platform != "win32", reason="other systems have what it asks for")
@pytest.mark.parametrize("study", ["--busy", "--memory"])
def test_studies_that_windows_refuses(study, capsys):
    assert main(["bench", study]) == 2
    assert f"{study}: it asks the system for what Windows has not" in capsys.readouterr().err


@pytest.mark.parametrize("study", [pytest.param("--busy", marks=posix), "--scaling"])
def test_studies(study, capsys, tmp_path):
    files = tmp_path / "b.json", tmp_path / "b.md"
    arguments = [study, "--against", "none", "--cases", "mlp-b4", "--seconds", "0"]
    assert _bench.main([*arguments, "--json", str(files[0]), "--markdown", str(files[1])]) == 0
    out = capsys.readouterr().out
    document = json.loads(files[0].read_text())
    assert document["machine"]["isa"] == fnn.isa()
    for title, rows in document["tables"].items():
        assert title in out
        assert f"### {title}" in files[1].read_text()
        assert all(len(row) > 1 for row in rows)
    first = document["tables"][next(iter(document["tables"]))][0]
    assert first["case"] == "mlp-b4"
    if study == "--busy":
        assert first["fastnn ratio"] == pytest.approx(first["fastnn busy"] / first["fastnn idle"])
    else:
        assert first["fastnn ratio"] == pytest.approx(first["fastnn 1T"] / first["fastnn 2T"])
        _, images = document["tables"].values()
        assert [row["network"] for row in images] == ["training/mlp", "inference/mlp"]
        assert list(images[0])[1:] == [str(2**i) for i in range(10)]


@posix
def test_neighbours_sleep_until_they_are_wanted():
    def stopped(process):
        return os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])

    def continued(process):
        return os.WIFCONTINUED(os.waitpid(process.pid, os.WCONTINUED)[1])

    with busy.Neighbours(2) as neighbours:
        assert all(map(stopped, neighbours.processes))
        with neighbours.awake():
            assert all(map(continued, neighbours.processes))
        assert all(map(stopped, neighbours.processes))
    assert all(process.returncode is not None for process in neighbours.processes)


@pytest.mark.skipif(sys.platform != "linux", reason="the system has no /proc")
def test_memory_is_that_of_the_run_alone(run_python):
    source = (
        "import numpy as np\n"
        "from fastnn._bench import memory\n"
        "from fastnn._bench.cases import cases_of\n"
        "before = memory.resident()\n"
        "mine = np.ones(2**26)\n"  # 512 MiB
        "enough = 500 * 2**20\n"  # the kernel counts pages in batches
        "assert memory.resident() - before >= enough, (memory.resident(), before)\n"
        "assert memory.peak_resident() >= enough, memory.peak_resident()\n"
        "(case,) = (case for case in cases_of('training') if case.name == 'mlp-b4')\n"
        "start, peak, growth = memory.in_a_process('fastnn', case, 3, 1)\n"
        "assert 10 * 2**20 < start <= peak < 2**29, (start, peak)\n"
        "assert growth < 2**20, growth"
    )
    process = run_python("-c", source)
    assert process.returncode == 0, process.stderr


def test_turns():
    order = []
    works = {name: lambda name=name: order.append(name) for name in "abc"}
    times = in_turns(works, seconds=0, least_blocks=4, block=0)
    assert {name: len(t.blocks) for name, t in times.items()} == {"a": 4, "b": 4, "c": 4}
    assert all(t.best <= t.median for t in times.values())
    turns = [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name]
    # Once each to count calls, then to and fro: the same name meets itself where the direction changes.
    assert "".join(turns) in ("abcabcbabcba", "abc" + "abcbabcba")


def test_a_block(monkeypatch):
    """A block of 0.1 s, of calls of 4 ms: 8 calls that are not timed, then samples of 2 calls until 0.1 s are over."""
    now = 0.0

    def work():
        nonlocal now
        calls.append(now)
        now += 0.004

    calls = []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now)
    samples = timing.timed(work, 0.1, 2)
    assert samples == pytest.approx([0.004] * 13)
    assert len(calls) == 8 + 2 * 13
    calls.clear()
    assert timing.timed(work, 0, 1) == pytest.approx([0.004])
    assert len(calls) == 2


def test_figures_of_a_case():
    times = {"fastnn": Times((1.0, 2.0, 4.0)), "torch": Times((3.0, 4.0, 5.0))}
    result = report.Result(CASES[0], 1, times)
    assert times["fastnn"].best == 1.0
    assert result.ratio("torch") == 2.0
    assert times["torch"].spread == pytest.approx(0.25)
    assert result.spread == pytest.approx(0.75)
    assert report.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)


def test_a_busy_machine_is_warned_of():
    busy, idle = (report.Result(CASES[0], 1, {"fastnn": Times((1.0, 1.0, second))}) for second in (1.3, 1.1))
    assert report.row(busy, []).endswith("spread 15%")
    assert "spread" not in report.row(idle, [])
    assert report.busy_warning([idle.spread]) == ""
    assert "in 1 of 2 cases" in report.busy_warning([idle.spread, busy.spread])


def test_who_does_not_take_part_has_no_mean():
    training, inference = (cases_of(family)[0] for family in ("training", "inference"))
    results = [
        report.Result(training, 1, {"fastnn": Times((1.0,)), "torch": Times((2.0,))}),
        report.Result(inference, 1, {"fastnn": Times((1.0,)), "torch": Times((8.0,)), "openvino": Times((0.5,))}),
    ]
    assert list(report.means(results, ["torch", "openvino"])) == [
        ("training step", 1, [pytest.approx(2.0), None]),
        ("inference forward", 1, [pytest.approx(8.0), pytest.approx(0.5)]),
        ("all", 2, [pytest.approx(4.0), None]),
    ]


def test_the_fastest_peer_counts():
    def result(case, **seconds):
        return report.Result(case, 1, {who: Times((s,)) for who, s in {"fastnn": 1.0, **seconds}.items()})

    (training, *_), (first, second, *_) = (cases_of(family) for family in ("training", "inference"))
    summaries = report.against_fastest(
        [
            result(training, torch=0.1, reference=0.2),
            result(first, torch=4.0, openvino=0.5, reference=0.1),
            result(second, torch=2.0),
        ]
    )
    assert summaries == {
        "inference forward": report.AgainstFastest(2, pytest.approx(1.0), 0.5, first.name, "openvino"),
    }
    assert report.against_fastest([result(first, reference=2.0)]) == {}


def test_modes_of_pytorch():
    assert "torch-compile" not in installed_peers()

    def named(family, start):
        return next(case for case in cases_of(family) if case.name.startswith(start))

    runs = {("torch-nhwc", "training", "lenet"), ("torch-nhwc", "conv", "lenet1"), ("torch-nhwc", "batch_norm", "cmu1")}
    runs |= {("torch-compile", "training", "mlp"), ("torch-compile", "inference", "lenet")}
    not_run = {("torch-nhwc", "linear", "mlp"), ("torch-nhwc", "training", "auto"), ("torch-nhwc", "batch_norm", "mlp")}
    not_run |= {("torch-compile", "conv", "lenet1")}
    assert all(takes_part(name, named(family, start)) for name, family, start in runs)
    assert not any(takes_part(name, named(family, start)) for name, family, start in not_run)


@pytest.mark.slow
def test_torch_compile_trains_and_infers_the_same():
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compiled = PEERS["torch-compile"]()
        except ImportError as error:
            pytest.skip(str(error))
        training = next(case for case in cases_of("training") if case.name == "mlp-b4")
        losses = [float(who.prepare(training, draw(training))()) for who in (fastnn_kernels(), compiled)]
        compiled.prepare(ONE_IMAGE[0], draw(ONE_IMAGE[0]))  # which compares
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_torch_is_not_imported_unasked(run_python):
    source = (
        "import sys, fastnn._bench as b\n"
        "b.main(['--against', 'none', '--threads', '1', '--cases', 'relu/lenet', '--seconds', '0'])\n"
        "print('torch' in sys.modules)"
    )
    process = run_python("-c", source)
    assert process.stdout.splitlines()[-1] == "False", process.stderr
