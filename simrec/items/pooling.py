"""From the states of tokens to one vector a layer: which tokens speak for the whole, by family.

A first token is a summary only where the model was trained to make it one: SigLIP's picture tower
and VideoMAE have none, AST has two, CLIP's text tower puts the summary where the text ends.
"""

from typing import Any

from simrec.errors import SimrecError, nearest

# family (transformers' model_type of the tower) -> rule; modality after it
FAMILIES: dict[str, tuple[str, str]] = {
    "bert": ("mean", "text"),
    "roberta": ("mean", "text"),
    "xlm-roberta": ("mean", "text"),
    "distilbert": ("mean", "text"),
    "mpnet": ("mean", "text"),
    "modernbert": ("mean", "text"),
    "llama": ("last", "text"),
    "mistral": ("last", "text"),
    "qwen2": ("last", "text"),
    "qwen3": ("last", "text"),
    "gemma2": ("last", "text"),
    "gpt2": ("last", "text"),
    "opt": ("last", "text"),
    "clip_text_model": ("last", "text"),  # the text's end token, the last one that is not padding
    "siglip_text_model": ("final_place", "text"),  # trained on texts padded to full length
    "vit": ("first", "image"),
    "dinov2": ("first", "image"),
    "clip_vision_model": ("first", "image"),
    "siglip_vision_model": ("mean", "image"),
    "audio-spectrogram-transformer": ("first_two", "audio"),
    "wav2vec2": ("mean", "audio"),
    "hubert": ("mean", "audio"),
    "clap_audio_model": ("pooler", "audio"),  # its stages differ in width: one state, its own
    "videomae": ("mean", "video"),
}
RULES = ("first", "first_two", "mean", "last", "final_place", "pooler")


def rule_for(family: str, modality: str, wanted: str | None) -> str:
    """Return the pooling rule of a model family, or the wanted one if it is a rule.

    Raises:
        SimrecError: An unknown family or rule, or a family of another modality.
    """
    if family not in FAMILIES:
        raise SimrecError(
            f"there is no pooling rule for '{family}' models; {nearest(family, FAMILIES)}"
        )
    rule, own = FAMILIES[family]
    if own != modality and (own, modality) != ("image", "video"):
        raise SimrecError(
            f"'{family}' models encode {own}, not {modality}; expected a model for {modality}; "
            f"choose another model folder"
        )
    if "pooler" in (rule, wanted) and wanted not in (None, rule):
        raise SimrecError(
            f"'{family}' models are pooled by '{rule}', not '{wanted}'; leave pooling out"
        )
    if wanted is not None and wanted not in RULES:
        raise SimrecError(f"there is no pooling rule '{wanted}'; {nearest(wanted, RULES)}")
    return wanted or rule


def pooled(states: Any, mask: Any, rule: str) -> Any:
    """Pool one layer's token states with torch.

    Args:
        states: (B, N, D) tensor.
        mask: (B, N) tensor, 1 for tokens that are real; padding is on the right.
        rule: A member of RULES.

    Returns:
        (B, D) tensor; "mean" and "last" never read padding.
    """
    if rule == "first":
        return states[:, 0]
    if rule == "first_two":
        return states[:, :2].mean(1)
    if rule == "final_place":
        return states[:, -1]
    weight = mask.to(states.dtype).unsqueeze(-1)
    if rule == "mean":
        return (states * weight).sum(1) / weight.sum(1).clamp(min=1.0)
    end = mask.long().sum(1).clamp(min=1) - 1
    return states[range(len(states)), end]


def even_layers(n: int, keep: int) -> tuple[int, ...]:
    """Return `keep` of n states evenly spaced, first and last among them (13, 7 -> 0, 2, .., 12).

    This is the layer drop of IISAN (Fu et al., SIGIR 2024, arXiv 2404.02059; abstract and public
    code read) stated for any depth, as IISAN-Versa's group layer drop does.

    Raises:
        SimrecError: `keep` is not between 1 and n.
    """
    if not 1 <= keep <= n:
        raise SimrecError(f"{keep} layers cannot be kept of {n}; expected 1 to {n}; keep fewer")
    if keep == 1:
        return (n - 1,)
    return tuple(round(i * (n - 1) / (keep - 1)) for i in range(keep))
