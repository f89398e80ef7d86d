"""A card that is none: `cuda` tensors whose numbers the CPU holds and works out.

Inside `pretend_card()` PyTorch says that there is a card, and whatever is put on `cuda` reports
that it is there. The project's own code runs on it unchanged; mixing places without saying so
fails, as on a card.

Caught: an operation on tensors of two places (also in a backward pass and in an optimiser),
`.numpy()` and NumPy or compiled code handed a card's tensor, a CPU tensor indexed by a card's, an
output left in the other place, a generator of the CPU asked for luck on the card, files and
checkpoints of a card read as if one were there.

Not caught: what a card's own kernels compute (they differ in last digits, and add in no fixed
order), which of them exist for which number format, PyTorch's fused and per-list optimisers (which
it takes on real cards only), a gradient that a backward pass written by hand leaves in the other
place (here it is moved), memory but for one tensor's, streams, speed, several cards, other
processes and threads, whatever calls CUDA itself (bitsandbytes).
"""

import contextlib
import functools
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
import torch.serialization as files
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

CARD = torch.device("cuda", 0)
CPU = torch.device("cpu")
META = torch.device("meta")
CROSSES = ("aten::copy_", "aten::copy", "aten::_to_copy")  # what may read of another place
# What takes single numbers of the CPU without being marked as pointwise.
TAKES_SINGLE = ("aten::masked_fill", "aten::masked_fill_", "aten::index_put", "aten::index_put_")
INDEXES = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_unsafe_index")

_saved: dict[int, Any] = {}  # address -> numbers of the card that went into a file
_loaded: dict[int, Any] = {}  # the same, come out of one


class Carded(torch.Tensor):
    """A tensor that says it is on the card; `inner` holds its numbers on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Carded":
        with torch.inference_mode(False):  # views of what was made outside of it need this
            made: Carded = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls,
                inner.size(),
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                device=META,  # for PyTorch's parts in C++, where a build without CUDA has no cuda
                requires_grad=inner.requires_grad,
            )
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CARD

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return done(func, args, kwargs or {})

    # With these two `nn.Module.to` keeps a parameter the object it was, as it does on a card.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, torch.Tensor], *rest: Any) -> "Carded":
        return Carded(parts["inner"])

    # What C++ does for tensors with memory of their own only.
    def tolist(self) -> Any:
        return self.inner.tolist()

    def new_tensor(self, data: Any, *, dtype: torch.dtype | None = None) -> torch.Tensor:  # type: ignore[override]
        return torch.tensor(data, dtype=dtype or self.dtype, device=CARD)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if isinstance(self, torch.nn.Parameter):
            parts = (self.detach(), self.requires_grad, OrderedDict())
            return torch._utils._rebuild_parameter, parts
        storage = self.inner.untyped_storage()
        _saved[storage.data_ptr()] = storage
        return self.inner.__reduce_ex__(protocol)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Carded({self.inner})"


class _Pretending(TorchDispatchMode):
    shapes = False  # whether somebody asks for PyTorch's meta device itself
    room = 2**62  # bytes that one tensor may take

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would import PyTorch's compiler first

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if torch.is_inference_mode_enabled() and func._can_decompose():
            with self:  # autograd, which takes such operations apart, is not there
                out = func.decompose(*args, **kwargs or {})
            if out is not NotImplemented:
                return out
        return done(func, args, kwargs or {})


class _Numbered(TorchFunctionMode):
    """Says cuda:0 for cuda: a build without CUDA cannot ask which card is the current one."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if any(
            isinstance(one, str | torch.device) and str(one) == "meta"
            for one in (kwargs.get("device"), *args[1:2])
        ):
            with patch.object(_Pretending, "shapes", True):
                return func(*args, **kwargs)
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": _numbered(kwargs["device"])}
        if func is torch.Tensor.to:
            args = tuple(
                _numbered(one) if isinstance(one, str | torch.device) else one for one in args
            )
        if func in (torch.tensor, torch.as_tensor) and isinstance(args[0], list | tuple):
            args = mapped(args, Carded, bare)  # single numbers
        if func is torch.Tensor.cuda:
            func, args, kwargs = torch.Tensor.to, (args[0], CARD), {}
        return func(*args, **kwargs)


def _numbered(device: Any) -> Any:
    return CARD if torch.device(device) == torch.device("cuda") else device


def bare(one: Carded) -> torch.Tensor:
    return one.inner


def mapped(content: Any, kind: type, function: Callable[[Any], Any]) -> Any:
    """Return nested lists, tuples and dicts with a function applied to what is of a kind."""
    if isinstance(content, kind):
        return function(content)
    if isinstance(content, list | tuple):
        return type(content)([mapped(one, kind, function) for one in content])
    if isinstance(content, dict):
        return type(content)((key, mapped(one, kind, function)) for key, one in content.items())
    return content


def tensors(content: Any) -> list[torch.Tensor]:
    """Return the tensors in nested lists, tuples and dicts."""
    found: list[torch.Tensor] = []
    mapped(content, torch.Tensor, found.append)
    return found


def done(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run one operation where its tensors are, or raise RuntimeError where a card would."""
    name = func._schema.name
    if name == "aten::_fused_sdp_choice":
        return 0  # attention step by step: the CPU's fused forms have other names than a card's
    place = place_of(func, name, args, kwargs)
    luck = kwargs.get("generator")
    if place == CARD and luck is not None and luck.device.type == "cpu":
        raise RuntimeError(f"{name}: expected a 'cuda' generator, got one of 'cpu'")
    if place == CARD and kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": CPU}
    out = func(*mapped(args, Carded, bare), **mapped(kwargs, Carded, bare))
    if place != CARD:
        return out
    sizes = [one.nbytes for one in tensors(out)]
    if max(sizes, default=0) > _Pretending.room:
        raise torch.OutOfMemoryError("CUDA out of memory")
    out = mapped(out, torch.Tensor, Carded)
    return return_and_correct_aliasing(func, args, kwargs, out)


def place_of(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> torch.device:
    """Return where an operation's result lies; raise RuntimeError where a card would."""
    wanted = kwargs.get("device")
    if name in CROSSES:
        return args[0].device if wanted is None else _meant(wanted)
    read = [*tensors(args), *tensors(kwargs)]
    if name in INDEXES and args[0].device == CARD:  # an index may come from the CPU
        read = [args[0], *args[2:3]]
    single = torch.Tag.pointwise in func.tags or name in TAKES_SINGLE
    places = {one.device for one in read if not (single and one.dim() == 0 and one.device == CPU)}
    places = places or {one.device for one in read}
    if len(places) > 1:
        raise RuntimeError(f"{name}: tensors on {' and '.join(sorted(map(str, places)))}")
    place = places.pop() if places else CPU
    for n, argument in enumerate(func._schema.arguments):
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        written = args[n] if n < len(args) else kwargs.get(argument.name)
        for one in tensors(written):
            if one.device != place:
                raise RuntimeError(f"{name}: from {place} written to a tensor on {one.device}")
    return place if wanted is None else _meant(wanted)


def _meant(wanted: Any) -> torch.device:
    wanted = torch.device(wanted)
    inside = wanted == META and not _Pretending.shapes  # PyTorch's C++ asks for its like
    return CARD if inside or wanted.type == "cuda" else wanted


@contextlib.contextmanager
def pretend_card(
    capability: tuple[int, int] = (8, 0), *, room: int = _Pretending.room
) -> Iterator[None]:
    """Let PyTorch see one card of this compute capability, made of the CPU.

    Args:
        capability: What it says it is.
        room: Bytes above which a single tensor is too much for its memory.
    """
    load, rebuild = torch.load, torch._utils._rebuild_tensor_v2

    def tag(storage: Any) -> str | None:
        return "cuda:0" if storage.data_ptr() in _saved else None

    def restore(storage: Any, location: str) -> Any:
        if not location.startswith("cuda"):
            return None
        _loaded[storage.data_ptr()] = storage
        return storage

    def back(one: torch.Tensor) -> torch.Tensor:
        known = not isinstance(one, Carded) and one.untyped_storage().data_ptr() in _loaded
        return Carded(one) if known else one

    @functools.wraps(rebuild)  # pickles name it
    def rebuilt(*args: Any) -> torch.Tensor:
        return back(rebuild(*args))

    def loads(*args: Any, **kwargs: Any) -> Any:
        return mapped(load(*args, **kwargs), torch.Tensor, back)

    seen = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_capability": lambda device=None: capability,
        "is_bf16_supported": lambda *_: capability >= (8, 0),
        "mem_get_info": lambda device=None: (2**35, 2**35),
        "synchronize": lambda device=None: None,
        "_lazy_init": lambda: None,
    }
    kept, lifts = list(files._package_registry), torch._C._only_lift_cpu_tensors()
    try:
        files.register_package(0, tag, restore)
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` goes to the card by `to`
        with contextlib.ExitStack() as all_:
            for name, said in seen.items():
                all_.enter_context(patch.object(torch.cuda, name, said))
            # Both ways out of a file: `torch.load`, and plain pickles such as a checkpoint.
            all_.enter_context(patch.object(torch, "load", loads))
            all_.enter_context(patch.object(torch._utils, "_rebuild_tensor_v2", rebuilt))
            # Modes hold in one thread only, so transformers is to load its weights in this one.
            all_.enter_context(patch.dict(os.environ, {"HF_DEACTIVATE_ASYNC_LOAD": "1"}))
            all_.enter_context(patch.object(_Pretending, "room", room))
            all_.enter_context(_Pretending())
            all_.enter_context(_Numbered())
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(lifts)
        files._package_registry[:] = kept
        _saved.clear()
        _loaded.clear()
