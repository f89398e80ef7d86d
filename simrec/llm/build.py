"""From the teacher's section of a study to a language model ready to be asked."""

import json
from collections.abc import Callable
from typing import Any

from simrec.catalogue import Catalogue
from simrec.config import TeacherConfig
from simrec.llm.ask import LLMTeacher
from simrec.llm.backends import language_model
from simrec.llm.cache import AnswerCache
from simrec.llm.deferred import DeferredModel
from simrec.llm.forms import make_form
from simrec.llm.prompts import told
from simrec.llm.tally import Tally
from simrec.llm.templates import SHIPPED, own_template
from simrec.served import what_answers

WARNING = (
    "a language model may have read a public data set, or what people wrote about its items, in "
    "its training, so results with it on such a set may be optimistic"
)


def llm_teacher(
    config: TeacherConfig,
    catalogue: Catalogue,
    cache: AnswerCache,
    tell: Callable[[Tally], None] | None = None,
) -> LLMTeacher:
    """Return the teacher a study of kind llm describes; its model is loaded when first needed.

    Raises:
        SimrecError: The form, the template or an attribute to tell cannot be used.
    """
    options: dict[str, Any] = dict(config.options)
    known, counts = what_answers(config.model, options)
    spec = known + (f" {json.dumps(counts, sort_keys=True)}" if counts else "")
    template = SHIPPED[config.form] if config.template is None else own_template(config.template)
    return LLMTeacher(
        DeferredModel(spec, lambda: language_model(config.model, **options), cache),
        make_form(
            config.form,
            like_at=config.like_at,
            like_share=config.like_share,
            liked_by=config.liked_by,
        ),
        template,
        cache,
        told(catalogue, config.attributes, config.description),
        domain=config.domain,
        pictures=config.pictures,
        tell=tell,
    )
