"""Where a learner's tensors live: on the CPU, or on a card where there is one and it is of use."""

import torch

from simrec.errors import SimrecError

# What is compiled for the processor, and faster there than on a card: PyTorch needs longer to hand
# such small sums over than the processor to do them.
COMPILED = {
    "kac": "learner 'kac' runs on the CPU, for which its steps are compiled",
    "two-level": "the two-level policy runs on the CPU, for which its scores are compiled",
}


def device_of(wanted: str, learner: str, head: str = "flat") -> torch.device:
    """Return where a learner, its pretraining and the reward it is pretrained on run.

    Args:
        wanted: "cpu", "cuda" or "cuda:N"; "auto" takes the first card, where there is one, for
            whatever is not compiled for the processor.
        learner: "kac", "a2c" or "ppo".
        head: "flat" or "two-level".

    Raises:
        SimrecError: The card named is not here, or what runs cannot use one.
    """
    compiled = COMPILED.get(learner) or COMPILED.get(head)
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and not compiled else "cpu")
    if wanted == "cpu":
        return torch.device("cpu")
    if compiled:
        raise SimrecError(
            f"learner.device is '{wanted}', but {compiled}; set learner.device: auto"
            + (", or learner.name: a2c" if learner == "kac" else ", or learner.policy: flat")
        )
    if not torch.cuda.is_available():
        raise SimrecError(
            f"learner.device is '{wanted}', but PyTorch sees no card; set learner.device: auto"
        )
    number, count = torch.device(wanted).index or 0, torch.cuda.device_count()
    if number >= count:
        raise SimrecError(
            f"learner.device is '{wanted}', but PyTorch sees {count} card{'s' * (count > 1)}, "
            "counted from 0; set learner.device: cuda"
        )
    return torch.device(wanted)
