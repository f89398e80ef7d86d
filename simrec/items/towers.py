"""Frozen transformer encoders of four modalities, every kept layer pooled; nothing is fetched."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.items.audio import read_wave, resampled
from simrec.items.pooling import even_layers, pooled, rule_for
from simrec.items.transformer_text import folder_hash
from simrec.items.video import read_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

# a checkpoint of two towers holds one class a modality: model_type, modality -> class
_TWO_TOWERS = {
    ("clip", "text"): "CLIPTextModel",
    ("clip", "image"): "CLIPVisionModel",
    ("clip", "video"): "CLIPVisionModel",
    ("siglip", "text"): "SiglipTextModel",
    ("siglip", "image"): "SiglipVisionModel",
    ("siglip", "video"): "SiglipVisionModel",
    ("clap", "audio"): "ClapModel",  # its tower alone would not find its weights
}

_Made = tuple[NDArray[np.float32], NDArray[np.float32]]


@contextmanager
def _quiet() -> "Iterator[None]":
    """Silence progress bars and the report about the other tower's weights, for a while."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


class TransformerTower:
    """One frozen encoder of a local model folder, for the feature store."""

    def __init__(
        self,
        folder: Path | str,
        modality: str,
        *,
        keep: int | None = None,
        pooling: str | None = None,
        max_tokens: int = 128,
        frames: int = 8,
        batch: int = 32,
        workers: int = 1,
    ) -> None:
        """Locate the model; weights are loaded when something is encoded.

        Args:
            folder: As `save_pretrained` writes it, with tokenizer or processor.
            modality: "text", "image", "audio" or "video".
            keep: States kept, evenly spaced over depth (the embedding output counts as one); None
                keeps all L + 1.
            pooling: A rule of `simrec.items.pooling`; None takes the family's.
            max_tokens: Longer texts are cut.
            frames: Pictures taken of a video by an image model; VideoMAE takes its own number.
            batch: Contents encoded at once.
            workers: Threads that encode batches side by side, each with weights of its own; with
                one thread of torch for each they wait for nobody.

        Raises:
            SimrecError: The folder is missing or holds no config.json.
        """
        self.folder = Path(folder).expanduser()
        self.modality, self.keep, self.pooling = modality, keep, pooling
        self.max_tokens, self.frames, self.batch = max_tokens, frames, batch
        self.workers = workers
        if not (self.folder / "config.json").is_file():
            what = "has no config.json" if self.folder.is_dir() else "does not exist"
            raise SimrecError(
                f"the model folder '{self.folder}' {what}; expected a directory written by "
                f"transformers' save_pretrained; put one there, nothing is downloaded"
            )

    @property
    def name(self) -> str:
        """Name written into records; the folder's own name, not its place."""
        return f"transformers:{self.folder.name}"

    @cached_property
    def version(self) -> str:
        """Sixteen hex digits over weights, transformers' version, kept layers, pooling, sizes."""
        import transformers

        settings = [self.modality, self.keep, self.pooling, self.max_tokens, self.frames]
        return fingerprint(folder_hash(self.folder), str(transformers.__version__), settings)

    def _load(self, loader: Callable[..., Any], what: str) -> Any:
        try:
            with _quiet():
                return loader(str(self.folder), local_files_only=True)
        except (OSError, ValueError, ImportError, KeyError) as error:
            line = str(error).strip().split("\n")[0]
            raise SimrecError(
                f"cannot load the {what} in '{self.folder}' ({line}); expected what "
                f"save_pretrained writes; put the model's directory there"
            ) from error

    @cached_property
    def _model(self) -> Any:
        import transformers

        config = self._load(transformers.AutoConfig.from_pretrained, "configuration")
        name = _TWO_TOWERS.get((config.model_type, self.modality), "AutoModel")
        model = self._load(getattr(transformers, name).from_pretrained, "model").float().eval()
        model = getattr(model, "audio_model", model)
        self._rule = rule_for(model.config.model_type, self.modality, self.pooling)
        return model

    @cached_property
    def _models(self) -> list[Any]:
        return [self._model, *(deepcopy(self._model) for _ in range(self.workers - 1))]

    @cached_property
    def _processor(self) -> Any:
        import transformers as t

        makers = {"text": t.AutoTokenizer, "audio": t.AutoFeatureExtractor}
        maker = makers.get(self.modality, t.AutoImageProcessor)
        return self._load(maker.from_pretrained, "processor")

    def states(self, contents: Sequence[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encode texts, picture bytes, WAV bytes or clips.

        Returns:
            (B, K, D) pooled states of the kept layers, and (B, D) the pooled output, which is the
            last state after the final normalisation that some families have.

        Raises:
            SimrecError: Contents or model cannot be read, or layers differ in width.
        """
        models = self._models
        size = 1 if self.modality == "audio" else self.batch  # sounds differ in length: no padding
        order = np.arange(len(contents))
        if self.modality == "text":  # texts alike in length share a batch: hardly any padding
            contents = self._tokens(list(contents))
            order = np.argsort([len(tokens) for tokens in contents], kind="stable")
            contents = [contents[place] for place in order.tolist()]
        back = np.argsort(order)
        batches = [contents[i : i + size] for i in range(0, len(contents), size)]

        def share(worker: int) -> list[_Made]:
            return [
                self._encoded(models[worker], batch) for batch in batches[worker :: len(models)]
            ]

        if len(models) == 1:
            parts = [share(0)]
        else:
            with ThreadPoolExecutor(len(models)) as pool:
                parts = list(pool.map(share, range(len(models))))
        made = [parts[n % len(models)][n // len(models)] for n in range(len(batches))]
        hidden, final = (np.concatenate(arrays) for arrays in zip(*made, strict=True))
        return hidden[back], final[back]

    def _encoded(self, model: Any, contents: Sequence[Any]) -> _Made:
        """Return the kept states (B, K, D) and the pooled output (B, D) of one batch."""
        import torch

        with torch.inference_mode():
            inputs, mask, repeats = self._inputs(contents)
            output = model(**inputs, output_hidden_states=True)
            if self._rule == "pooler":
                vectors = output.pooler_output.numpy()
                return vectors[:, None], vectors
            layers = [*output.hidden_states, output.last_hidden_state]
            if any(state.shape != layers[0].shape for state in layers):
                raise SimrecError(
                    f"the layers of '{self.folder.name}' differ in width; expected a model "
                    f"whose states are all alike; choose another model"
                )
            if mask is None:
                mask = torch.ones(layers[0].shape[:2])
            kept = even_layers(len(layers) - 1, self.keep or len(layers) - 1)
            rows = torch.stack([pooled(layers[k], mask, self._rule) for k in (*kept, -1)], 1)
            means = rows.reshape(-1, repeats, *rows.shape[1:]).mean(1).numpy()
        return means[:, :-1], means[:, -1]

    def _inputs(self, contents: Sequence[Any]) -> tuple[dict[str, Any], Any, int]:
        """Return the model's arguments, a token mask or None, and rows for each content.

        Texts come as their tokens.
        """
        import torch

        model = self._model
        if self.modality == "text":
            return self._text(list(contents))
        if self.modality == "audio":
            rate = int(self._processor.sampling_rate)
            # CLAP's extractor cuts longer sounds at a random place: give it no more than it takes
            most = getattr(self._processor, "nb_max_samples", None)
            sounds = [resampled(*read_wave(content), rate)[:most] for content in contents]
            made = self._processor(sounds, sampling_rate=rate, return_tensors="pt")
            taken = ("input_values", "input_features", "is_longer")
            return {name: made[name] for name in taken if name in made}, None, 1
        if self.modality == "image":
            clips = [read_frames(content, 1) for content in contents]
        else:
            n = int(getattr(model.config, "num_frames", self.frames))
            clips = [read_frames(content, n) for content in contents]
        if model.config.model_type == "videomae":
            made = [self._processor(clip, return_tensors="pt")["pixel_values"] for clip in clips]
            return {"pixel_values": torch.cat(made)}, None, 1
        pictures = [frame for clip in clips for frame in clip]
        made = self._processor(images=pictures, return_tensors="pt")
        return {"pixel_values": made["pixel_values"]}, None, len(clips[0])

    @property
    def _limit(self) -> int:
        places = int(getattr(self._model.config, "max_position_embeddings", self.max_tokens))
        return int(min(self.max_tokens, places, self._processor.model_max_length))

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        made = self._processor(texts, truncation=True, max_length=self._limit)["input_ids"]
        return [list(tokens) for tokens in made]

    def _text(self, tokens: list[list[int]]) -> tuple[dict[str, Any], Any, int]:
        import torch

        full = self._rule == "final_place"  # this family saw texts padded to full length only
        width = self._limit if full else max(1, *(len(t) for t in tokens))
        ids = torch.full((len(tokens), width), self._processor.pad_token_id or 0, dtype=torch.long)
        mask = torch.zeros((len(tokens), width), dtype=torch.long)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = torch.tensor(own, dtype=torch.long)
            mask[row, : max(len(own), 1)] = 1
        return ({"input_ids": ids} if full else {"input_ids": ids, "attention_mask": mask}), mask, 1
