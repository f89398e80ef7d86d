"""The pretended card refuses what a card refuses, and works out what the CPU works out."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.pretend_card import Carded, pretend_card

Attempt = Callable[[torch.Tensor, torch.Tensor], object]  # of a CPU tensor and a card's, both (3,)


def optimiser(here: torch.Tensor, there: torch.Tensor) -> None:
    weight = nn.Parameter(there)
    mover = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3, device="cuda")
    mover.step()
    mover.state[weight]["exp_avg"] = here
    mover.step()


REFUSED: dict[str, Attempt] = {
    "a sum": lambda here, there: here + there,
    "a sum in place": lambda here, there: here.add_(there),
    "a product": lambda here, there: torch.eye(3) @ there,
    "side by side": lambda here, there: torch.cat([here, there]),
    "a choice": lambda here, there: torch.where(there > 0, here, there),
    "to numpy": lambda here, there: there.numpy(),
    "to numpy, unasked": lambda here, there: np.asarray(there),
    "an index": lambda here, there: here[there.long()],
    "a mask": lambda here, there: here[there > 0],
    "a gathering": lambda here, there: there.gather(0, here.long()),
    "an output": lambda here, there: torch.exp(there, out=here),
    "a place in another": lambda here, there: torch.stack([here, here]).index_put_(
        (torch.tensor([0]),), there
    ),
    "luck": lambda here, there: torch.rand(3, generator=torch.Generator(), device="cuda"),
    "luck in place": lambda here, there: there.uniform_(generator=torch.Generator()),
    "a layer left behind": lambda here, there: nn.Linear(3, 2)(there),
    "an optimiser": optimiser,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_card_refuses(name: str) -> None:
    with pretend_card():
        here, there = torch.arange(3.0), torch.arange(3.0, device="cuda")
        with pytest.raises((RuntimeError, TypeError)):
            REFUSED[name](here, there)


def test_what_a_card_allows() -> None:
    with pretend_card():
        here, there = torch.arange(3.0), torch.as_tensor(np.arange(3.0), device="cuda")
        assert torch.cuda.is_available() and there.is_cuda and str(there.device) == "cuda:0"
        assert (there + torch.tensor(2.0)).tolist() == [2.0, 3.0, 4.0]  # a single number
        assert there[torch.tensor([0, 2])].tolist() == [0.0, 2.0]  # an index
        there[1] = 5.0
        there[torch.tensor([True, False, False])] = 7.0
        assert there.cpu().numpy().tolist() == [7.0, 5.0, 2.0]
        assert here.copy_(there).tolist() == [7.0, 5.0, 2.0]
        assert float(there.sum()) == 14.0 and int(there.argmax()) == 0
        assert there.new_tensor([1, 2]).is_cuda and torch.zeros_like(there).is_cuda
        assert not torch.zeros(2).is_cuda and torch.zeros(2, device="meta").is_meta
        with torch.inference_mode():
            assert here.to("cuda").is_cuda
    assert not isinstance(torch.zeros(2), Carded)


def test_a_module_moves_and_learns_the_same() -> None:
    found = []
    for device in ("cpu", "cuda"):
        with pretend_card(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layer = nn.Linear(3, 2)
            before = [*layer.parameters()]
            assert all(a is b for a, b in zip(layer.to(device).parameters(), before, strict=True))
            twin = copy.deepcopy(layer)
            mover = torch.optim.AdamW(twin.parameters(), lr=0.1)
            for _ in range(3):
                mover.zero_grad()
                twin(torch.ones(4, 3, device=device)).square().sum().backward()
                torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
                mover.step()
            assert all(isinstance(p, nn.Parameter) for p in twin.parameters())
            found.append([p.detach().cpu() for p in (*layer.parameters(), *twin.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_what_a_card_wrote_is_known_as_such_without_one(tmp_path: Path) -> None:
    with pretend_card():
        there = torch.arange(3.0, device="cuda")
        torch.save({"a": there, "b": torch.ones(2)}, tmp_path / "two.pt")
        pickled = pickle.dumps(nn.Parameter(there))
        back, weight = torch.load(tmp_path / "two.pt"), pickle.loads(pickled)
        assert back["a"].is_cuda and not back["b"].is_cuda and back["a"].tolist() == [0, 1, 2]
        assert weight.is_cuda and isinstance(weight, nn.Parameter)
        assert not torch.load(tmp_path / "two.pt", map_location="cpu")["a"].is_cuda
        assert torch.load(tmp_path / "two.pt", map_location="cuda")["b"].is_cuda
    if torch.cuda.is_available():
        return
    with pytest.raises(RuntimeError, match="deserialize object on a CUDA device"):
        torch.load(tmp_path / "two.pt")
    with pytest.raises(RuntimeError, match="deserialize object on a CUDA device"):
        pickle.loads(pickled)
    assert torch.load(tmp_path / "two.pt", map_location="cpu")["a"].tolist() == [0, 1, 2]
