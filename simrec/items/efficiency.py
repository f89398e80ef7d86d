"""Why cached states are cheap: one training step with the encoder in it, beside it and behind it.

IISAN (Fu et al., SIGIR 2024, arXiv 2404.02059) claims less memory and time because no gradient and
no forward pass goes through the encoder. Its figures need a GPU and real weights; what is counted
here is their structure: work and memory of a step against the encoder's depth and the layers kept.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from simrec.errors import SimrecError, nearest
from simrec.items.pooling import even_layers
from simrec.items.side_adapter import SideAdapter

ROUTES = ("cached", "frozen", "tuned")  # encoder never run; run without gradients; trained


@dataclass(frozen=True)
class StepSize:
    """How large a step is."""

    items: int = 256  # encoded in a step
    tokens: int = 16
    width: int = 64
    depth: int = 4  # layers of the encoder
    kept: int = 3  # of its depth + 1 states, for the adapter


@dataclass(frozen=True)
class StepCost:
    """What one training step takes."""

    seconds: float  # median
    flops: int  # of forward and backward pass
    saved_bytes: int  # kept for the backward pass, weights not counted
    parameters: int  # trainable ones
    encoder_gradients: int  # weights of the encoder that received one


class _Encoder(nn.Module):
    """Random transformer layers on random token states; returns every state's mean over tokens."""

    def __init__(self, size: StepSize) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(size.width, 4, 4 * size.width, 0.0, batch_first=True)
            for _ in range(size.depth)
        )
        self.kept = even_layers(size.depth + 1, size.kept)

    def forward(self, tokens: Tensor) -> Tensor:
        states = [tokens]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return torch.stack([states[k].mean(1) for k in self.kept], 1)


class RouteStep:
    """A step that can be repeated."""

    def __init__(self, route: str, size: StepSize, seed: int = 0) -> None:
        """Draw encoder, adapter and contents.

        Args:
            route: A member of ROUTES.
            size: Of the step.
            seed: Draws everything.

        Raises:
            SimrecError: There is no such route, or more layers are kept than there are.
        """
        if route not in ROUTES:
            raise SimrecError(f"there is no route '{route}'; {nearest(route, ROUTES)}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # torch's layers know only the global generator
            self.encoder = _Encoder(size).requires_grad_(route == "tuned")
            tokens = torch.randn(size.items, size.tokens, size.width)
            self.wanted = torch.randn(size.items, size.width)
        rng = torch.Generator().manual_seed(seed)
        dims, layers = {"text": size.width}, {"text": size.kept}
        self.adapter = SideAdapter(dims, layers, rng=rng, width=size.width, dropout=0.0)
        self.present = torch.ones(size.items, 1, dtype=torch.bool)
        self.route, self.tokens = route, tokens
        if route == "cached":
            with torch.no_grad():
                self.cache = self.encoder(tokens)

    def trainable(self) -> list[nn.Parameter]:
        """Return the weights that are trained."""
        modules = (self.encoder, self.adapter)
        return [p for module in modules for p in module.parameters() if p.requires_grad]

    def __call__(self) -> None:
        """Run the step: forward and backward."""
        if self.route == "cached":
            states = self.cache
        else:
            with torch.set_grad_enabled(self.route == "tuned"):
                states = self.encoder(self.tokens)
        for weight in self.trainable():
            weight.grad = None
        fused, _ = self.adapter({"text": states}, self.present)
        ((fused - self.wanted) ** 2).mean().backward()


def saved_bytes(step: RouteStep) -> int:
    """Return the bytes that autograd keeps between the passes, each storage once, no weights."""
    weights = {w.untyped_storage().data_ptr() for w in step.trainable()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(kept.values())


def step_cost(
    route: str,
    size: StepSize | None = None,
    *,
    steps: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> StepCost:
    """Measure a step.

    Args:
        route: A member of ROUTES.
        size: Of the step; None takes the defaults.
        steps: Timed after an untimed one.
        clock: Seconds.
    """
    step = RouteStep(route, size or StepSize())
    with FlopCounterMode(display=False) as counter:
        step()
    spent = []
    for _ in range(steps):
        began = clock()
        step()
        spent.append(clock() - began)
    return StepCost(
        statistics.median(spent),
        int(counter.get_total_flops()),
        saved_bytes(step),
        sum(w.numel() for w in step.trainable()),
        sum(w.numel() for w in step.encoder.parameters() if w.grad is not None),
    )


def train_route(route: str, size: StepSize, steps: int) -> tuple[float, int]:
    """Take steps with Adam; return seconds of all but the first, and the trainable weights."""
    step = RouteStep(route, size)
    optimiser = torch.optim.Adam(step.trainable())
    began = 0.0
    for number in range(steps + 1):
        if number == 1:
            began = time.perf_counter()
        step()
        optimiser.step()
    return time.perf_counter() - began, sum(w.numel() for w in step.trainable())
