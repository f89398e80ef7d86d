"""Text and pictures for Qwen2-VL and its kin, whose pictures have tokens by their size.

Their own processor also reads videos, for which it needs torchvision and, without it, cannot be
made at all. Pictures alone need the image processor and the tokenizer, put together as here.
"""

from collections.abc import Sequence
from typing import Any

from transformers import BatchFeature

FAMILY = frozenset({"qwen2_vl", "qwen2_5_vl"})  # model_type of configurations read here


class GridPictures:
    """What a processor does for one prompt, without videos."""

    def __init__(self, images: Any, tokenizer: Any, image_token_id: int) -> None:
        """Put the parts together.

        Args:
            images: Image processor that cuts a picture into a grid of patches.
            tokenizer: Of the same model.
            image_token_id: Token that stands for a part of a picture.
        """
        self._images, self._tokenizer = images, tokenizer
        self._token_id = image_token_id
        self._mark = str(tokenizer.convert_ids_to_tokens(image_token_id))

    def apply_chat_template(self, chat: list[dict[str, Any]], **options: Any) -> str:
        """Return a chat in the tokenizer's template."""
        return str(self._tokenizer.apply_chat_template(chat, **options))

    def __call__(
        self,
        *,
        text: Sequence[str],
        images: Sequence[Any],
        return_tensors: str,
        add_special_tokens: bool,
    ) -> BatchFeature:
        """Return the model's inputs for one opened prompt, its marks grown to one for each token.

        Raises:
            ValueError: The template put another number of marks into it than there are pictures.
        """
        seen = self._images(images=list(images), return_tensors=return_tensors)
        tokens = (seen["image_grid_thw"].prod(1) // self._images.merge_size**2).tolist()
        first, *others = text[0].split(self._mark)
        if len(others) != len(tokens):
            raise ValueError(
                f"the chat template shows {len(others)} of {len(tokens)} pictures as {self._mark}"
            )
        grown = first + "".join(
            self._mark * count + part for count, part in zip(tokens, others, strict=True)
        )
        read = self._tokenizer(
            [grown], return_tensors=return_tensors, add_special_tokens=add_special_tokens
        )
        kinds = (read["input_ids"] == self._token_id).long()  # 1 = of a picture
        return BatchFeature(
            {
                "input_ids": read["input_ids"],
                "attention_mask": read["attention_mask"],
                "mm_token_type_ids": kinds,
                **seen,
            }
        )
