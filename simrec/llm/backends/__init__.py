"""Language models behind one protocol, by name: `language_model("transformers:DIR")`."""

from simrec.llm.backends.factory import language_model

__all__ = ["language_model"]
