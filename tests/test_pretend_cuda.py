"""The pretended CUDA device refuses what CUDA refuses and otherwise computes what the CPU does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lt_interp.model.parts.unseen import fused
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage
from lt_interp.training.loss import linear_cross_entropy

from .pretend_cuda import pretend_cuda


@pytest.fixture
def cuda() -> Iterator[None]:
    with pretend_cuda():
        yield


def counted(device: str = "cuda") -> Tensor:
    return torch.arange(6.0, device=device).reshape(2, 3)


def test_a_context_ends() -> None:
    before = torch.cuda.is_available(), torch.Generator
    with pretend_cuda():
        x = counted()
        assert torch.cuda.is_available()
        assert torch.cuda.device_count() == 1
    assert (torch.cuda.is_available(), torch.Generator) == before
    assert not torch.__future__.get_swap_module_params_on_conversion()
    assert not torch._C._only_lift_cpu_tensors()
    assert (x + 1).tolist() == [[1, 2, 3], [4, 5, 6]]  # outlives it


@pytest.mark.usefixtures("cuda")
class TestDevices:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: torch.zeros(2, device="cuda"),
            lambda: torch.zeros(2, device=torch.device("cuda")),
            lambda: torch.zeros(2, device="cuda:0"),
            lambda: torch.tensor([1.0, 2.0], device="cuda"),
            lambda: torch.as_tensor(np.ones(2), device="cuda"),
            lambda: torch.from_numpy(np.ones(2)).to("cuda"),
            lambda: torch.zeros(2).cuda(),
            lambda: torch.zeros(2).to(counted()),
            lambda: torch.zeros_like(counted()),
            lambda: counted().new_full((2,), -torch.inf),
            lambda: counted() + 1,
            lambda: counted()[0].requires_grad_().detach(),
        ],
    )
    def test_made_or_moved_there(self, make: Callable[[], Tensor]) -> None:
        x = make()
        assert x.is_cuda
        assert x.device == torch.device("cuda:0")
        assert x.device.type == "cuda"
        assert x.to("cuda") is x

    @pytest.mark.parametrize(
        "make",
        [
            lambda: counted().cpu(),
            lambda: counted().to("cpu"),
            lambda: counted().to("cpu", torch.float64),
            lambda: torch.zeros_like(counted(), device="cpu"),
            lambda: torch.from_numpy(np.ones(2)),
            lambda: torch.zeros(2).copy_(counted()[0, :2]),
            lambda: torch.zeros(2),
        ],
    )
    def test_plain_on_the_cpu(self, make: Callable[[], Tensor]) -> None:
        x = make()
        assert type(x) is Tensor
        assert x.device == torch.device("cpu")
        x.numpy()

    def test_values_come_back(self) -> None:
        x = counted()
        assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert x.cpu().numpy().tolist() == x.tolist()
        assert x.numpy(force=True).tolist() == x.tolist()
        assert (x[1, 2].item(), float(x[1, 1]), int(x[1, 0]), bool(x[0, 0])) == (5, 4, 3, False)
        assert f"{x.sum():.1f}" == "15.0"
        assert "cuda:0" in repr(x)

    @pytest.mark.parametrize("take", [lambda x: x.numpy(), np.asarray])
    def test_numpy_is_refused(self, take: Callable[[Tensor], object]) -> None:
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            take(counted())


@pytest.mark.usefixtures("cuda")
class TestMixing:
    @pytest.mark.parametrize(
        "mix",
        [
            lambda x: x + torch.ones(2, 3),
            lambda x: torch.ones(2, 3) * x,
            lambda x: x @ torch.ones(3, 1),
            lambda x: torch.cat([x, torch.ones(2, 3)]),
            lambda x: torch.stack([x[0, 0], torch.tensor(1.0)]),
            lambda x: torch.where(x.cpu() > 1, x, 0.0),
            lambda x: nn.functional.embedding(torch.tensor([0]), x),
            lambda x: x.gather(1, torch.zeros(2, 1, dtype=torch.long)),
            lambda x: x.add_(torch.ones(2, 3)),
            lambda x: torch.ones(2, 3).add_(x),
            lambda x: torch.tensor(1.0).add_(x[0, 0]),
            lambda x: torch.ones(2) + x[0, 0],
            lambda x: torch.add(x, 1, out=torch.empty(2, 3)),
            lambda x: x.index_put_((torch.tensor([0]),), torch.ones(1, 3)),
            lambda x: nn.Linear(3, 1)(x),
        ],
    )
    def test_is_refused(self, mix: Callable[[Tensor], object]) -> None:
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            mix(counted())

    def test_scalars_of_the_cpu_may_mix_elementwise(self) -> None:
        x, one = counted(), torch.tensor(1.0)
        for mixed in (x + one, one - x, torch.where(x > 1, x, one), x.masked_fill(x > 1, one)):
            assert mixed.is_cuda
        assert (x + one).tolist() == [[1, 2, 3], [4, 5, 6]]
        assert x.add_(one) is x

    def test_indices_of_the_cpu_may_index(self) -> None:
        x = counted()
        assert x[torch.tensor([1])].tolist() == [[3, 4, 5]]
        assert x[torch.tensor([False, True])].is_cuda
        assert x[torch.tensor(1)].is_cuda
        x[torch.tensor([0])] = torch.tensor(9.0)
        assert x[0].tolist() == [9, 9, 9]

    def test_indices_of_cuda_do_not_index_the_cpu(self) -> None:
        with pytest.raises(RuntimeError, match="indices should be either on cpu"):
            torch.ones(2, 3)[torch.tensor([1], device="cuda")]
        with pytest.raises(RuntimeError, match="indices should be either on cpu"):
            torch.ones(2, 3)[torch.tensor([True, False], device="cuda")] = 1.0

    def test_copies_go_between_devices(self) -> None:
        x, y = counted(), torch.zeros(2, 3)
        x[0] = torch.tensor([7.0, 8.0, 9.0])
        y[:] = x
        assert y.tolist() == [[7, 8, 9], [3, 4, 5]]

    def test_generators_are_of_their_device(self) -> None:
        generator = torch.Generator(device=counted().device).manual_seed(1)
        drawn = torch.multinomial(counted()[1], 3, generator=generator)
        assert drawn.is_cuda
        same = torch.Generator().manual_seed(1)
        assert drawn.tolist() == torch.multinomial(counted("cpu")[1], 3, generator=same).tolist()
        torch.empty(2, device="meta").normal_(generator=same)
        with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator"):
            torch.rand(2, device="cuda", generator=torch.Generator())
        with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator"):
            torch.rand(2, generator=torch.Generator("cuda"))

    def test_a_module_with_a_tensor_of_its_own_is_caught(self) -> None:
        class Numbered(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = nn.Parameter(torch.ones(3))

            def forward(self, x: Tensor) -> Tensor:
                return self.scale * x + torch.arange(x.shape[-1])

        module = Numbered()
        module(counted("cpu"))
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            module.to("cuda")(counted())


@pytest.mark.usefixtures("cuda")
class TestInPlace:
    def test_views_share_their_values(self) -> None:
        x = counted()
        x[0] = 1
        x[:, 1:].mul_(2)
        x.view(-1)[3] = -1
        x.t()[2, 1] += 0.5
        x[x > 9] = 0
        assert x.tolist() == [[1, 2, 2], [-1, 8, 0]]

    def test_out_is_written(self) -> None:
        held = torch.zeros(4, 2, device="cuda")
        x, weight = counted()[:, :2], torch.eye(2, device="cuda")
        logits = torch.addmm(weight[0], x, weight, out=held[:2])
        assert logits.tolist() == held[:2].tolist() == [[1, 1], [4, 4]]
        assert torch.softmax(logits, dim=-1, out=logits) is logits
        assert held.tolist() == [[0.5, 0.5], [0.5, 0.5], [0, 0], [0, 0]]

    @pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
    def test_what_is_changed_is_returned(self, mode: Callable[[], AbstractContextManager]) -> None:
        with mode():
            x, y = counted(), torch.zeros(2, 3)
            assert x.add_(1) is x
            assert torch.add(x, 1, out=x) is x
            assert y.copy_(x) is y
            assert y.tolist() == x.tolist() == [[2, 3, 4], [5, 6, 7]]

    def test_a_change_of_shape_is_refused(self) -> None:
        with pytest.raises(NotImplementedError, match="changes a shape in place"):
            counted().resize_(7)


def trained(device: str) -> dict[str, Tensor]:
    """Every parameter, gradient and state of two steps of a small module."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.LayerNorm(4), nn.Linear(4, 2))
    adamw = torch.optim.AdamW(module.parameters(), lr=0.1, fused=True)
    parameters = list(module.parameters())
    module.to(device)
    for mine, still in zip(module.parameters(), parameters):
        assert mine is still
        assert isinstance(mine, nn.Parameter)
    found = {}
    for step in range(2):
        adamw.zero_grad()
        module(counted(device)).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        adamw.step()
        found |= {f"{step} {name}": p.detach().clone() for name, p in module.named_parameters()}
        found |= {f"{step} {name} grad": p.grad for name, p in module.named_parameters()}
    states = {name: adamw.state[p] for name, p in module.named_parameters()}
    return found | {f"{name} {k}": v for name, state in states.items() for k, v in state.items()}


def assert_same(on_cpu: dict[str, Tensor], on_cuda: dict[str, Tensor]) -> None:
    assert on_cpu.keys() == on_cuda.keys()
    for name, value in on_cuda.items():
        assert value.is_cuda, name
        assert torch.equal(on_cpu[name], value.cpu()), name


class TestModules:
    def test_training_gives_the_bits_of_the_cpu(self) -> None:
        on_cpu = trained("cpu")
        with pretend_cuda():
            assert_same(on_cpu, trained("cuda"))

    @pytest.mark.usefixtures("cuda")
    def test_tensors_that_pytorch_makes_itself(self) -> None:
        attention = nn.MultiheadAttention(4, 2, add_zero_attn=True).to("cuda")
        x = torch.ones(3, 4, device="cuda")
        assert attention(x, x, x)[0].is_cuda

    @pytest.mark.usefixtures("cuda")
    def test_safetensors_saves_the_values(self) -> None:
        x = counted()
        saved = safetensors.torch.load(safetensors.torch.save({"x": x, "y": x + 1}))
        assert saved["x"].tolist() == x.tolist()
        assert saved["y"].tolist() == (x + 1).tolist()

    @pytest.mark.usefixtures("cuda")
    def test_states_go_between_devices(self) -> None:
        module, other = nn.Linear(3, 2).to("cuda"), nn.Linear(3, 2)
        weight = module.weight
        assert all(value.is_cuda for value in module.state_dict().values())
        module.load_state_dict(other.state_dict())
        assert module.weight is weight
        assert weight.is_cuda
        assert torch.equal(weight.cpu(), other.weight)
        assert type(module.to("cpu").weight) is nn.Parameter
        assert module.weight is weight


def stage_run(device: str) -> dict[str, Tensor]:
    """Logits in the open and fused, cache, loss and gradients of a model with random weights."""
    model = StageModel(get_stage("10_moe_gated").config).to(device)
    tokens = torch.arange(24).reshape(2, 12).to(device)
    seen: dict[str, Tensor] = {}
    handle = model.blocks[0].register_forward_hook(lambda *run: seen.update(hook=run[-1]))
    logits = model(tokens, return_type="logits")
    handle.remove()
    cached, cache = model.run_with_cache(tokens)
    with fused(), sdpa_kernel(SDPBackend.MATH):
        hidden = model.hidden(tokens[:, :-1])
    loss = linear_cross_entropy(hidden.flatten(0, 1), model.W_U, model.b_U, tokens[:, 1:].flatten())
    loss.backward()
    gradients = {f"{name} grad": p.grad for name, p in model.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())
    runs = {"logits": logits, "cached": cached, "hidden": hidden, "loss": loss}
    return runs | seen | gradients | dict(cache.items())


def test_a_stage_gives_the_bits_of_the_cpu() -> None:
    on_cpu = stage_run("cpu")
    with pretend_cuda():
        assert_same(on_cpu, stage_run("cuda"))
