"""A whole study on the toy world, small enough to be made in a test."""

from pathlib import Path

STUDY = """
study: tiny
seeds: [230, 231]
data: {name: toy, toy_seed: 23}
world: {topics: topic, bounds_sessions: 64}
teacher: {encoder: hashed, questions_per_user: 1}
reward: {epochs: 1, weight_decays: [3.0]}
pretrain: {env_steps: 800}
online: {env_steps: 2000, strategies: [scratch, frozen], controls: [random]}
"""


def make_toy_study(root: Path) -> Path:
    """Run the study in this process and return its folder."""
    import torch

    from simrec.config import load_config
    from simrec.progress import bars
    from simrec.study import run_study

    path = root / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    threads = torch.get_num_threads()
    try:
        with bars() as shown:
            run_study(load_config(path), root, bars=shown, say=lambda line: None, workers=1)
    finally:
        torch.set_num_threads(threads)
    return root / "tiny"
