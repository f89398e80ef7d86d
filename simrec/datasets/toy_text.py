"""Titles and descriptions of the toy world, written by a small grammar."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Topic:
    """The words of one topic."""

    name: str
    actions: tuple[str, ...]
    objects: tuple[str, ...]
    places: tuple[str, ...]
    details: tuple[str, ...]


TOPICS = (
    Topic(
        "cooking",
        ("simmering", "tasting", "seasoning", "plating"),
        ("a ramen broth", "garlic dumplings", "a lemon curry", "tomato pasta", "onion soup"),
        ("in a tiny kitchen", "at a noodle stall", "over a charcoal grill"),
        ("The recipe needs five spices.", "The sauce thickens slowly.", "Chop the herbs last."),
    ),
    Topic(
        "football",
        ("scoring", "blocking", "replaying", "practising"),
        ("a late penalty", "a free kick", "a diving header", "a corner kick", "a volley"),
        ("on a muddy pitch", "in an empty stadium", "at the training ground"),
        ("The goalkeeper never moved.", "The striker runs wide.", "The coach shouts offside."),
    ),
    Topic(
        "gardening",
        ("planting", "watering", "pruning", "repotting"),
        ("tulip bulbs", "a rose hedge", "tomato seedlings", "a fern", "lavender cuttings"),
        ("on a sunny balcony", "in a greenhouse", "along the flower bed"),
        ("Mix compost into the soil.", "The roots like shade.", "Snails love the leaves."),
    ),
    Topic(
        "hiking",
        ("climbing", "crossing", "mapping", "descending"),
        ("a rocky ridge", "a glacier trail", "a forest summit", "a canyon path", "a snowy pass"),
        ("above the clouds", "near the alpine hut", "by a mountain lake"),
        ("Pack a warm jacket.", "The boots got soaked.", "The view opens after the last bend."),
    ),
    Topic(
        "makeup",
        ("blending", "matching", "applying", "reviewing"),
        ("a plum lipstick", "smoky eyeshadow", "a matte foundation", "winged eyeliner", "blush"),
        ("in front of a vanity mirror", "backstage at a fashion show", "with a soft brush"),
        ("The shade suits cool skin.", "Set it with powder.", "Mascara goes on at the end."),
    ),
    Topic(
        "dance",
        ("rehearsing", "mirroring", "freestyling", "counting"),
        ("a hip hop routine", "a salsa turn", "a breakdance spin", "ballet steps", "a shuffle"),
        ("in the studio", "on a subway platform", "at a street battle"),
        ("The beat drops on eight.", "Keep the hips loose.", "The crew moves in sync."),
    ),
    Topic(
        "gaming",
        ("speedrunning", "unlocking", "defeating", "streaming"),
        ("a dungeon boss", "a pixel platformer", "the hidden level", "a racing lap", "a raid"),
        ("on an old console", "with a cheap controller", "in ranked mode"),
        ("The loot was legendary.", "Save before the portal.", "The patch broke the glitch."),
    ),
    Topic(
        "pets",
        ("grooming", "adopting", "chasing", "feeding"),
        ("a sleepy kitten", "a corgi puppy", "a rescue dog", "a grumpy cat", "two hamsters"),
        ("on the sofa", "at the dog park", "in a cardboard box"),
        ("The tail never stops wagging.", "Treats solve it.", "The vet was very patient."),
    ),
    Topic(
        "woodworking",
        ("sanding", "carving", "gluing", "varnishing"),
        ("an oak table", "a walnut bowl", "a pine shelf", "dovetail joints", "a cedar stool"),
        ("in the workshop", "on a lathe", "with a hand plane"),
        ("The grain shows under oil.", "Clamp it overnight.", "Mind the chisel's edge."),
    ),
    Topic(
        "science",
        ("measuring", "freezing", "explaining", "magnifying"),
        ("a copper crystal", "liquid nitrogen", "a magnet motor", "plant cells", "a prism"),
        ("in a school laboratory", "under the microscope", "inside a vacuum jar"),
        ("The reaction glows blue.", "Gravity does the work.", "The theory fits the data."),
    ),
    Topic(
        "guitar",
        ("strumming", "tuning", "recording", "fingerpicking"),
        ("a blues riff", "an acoustic ballad", "a minor chord", "a bass line", "a slide solo"),
        ("on the porch", "through a tube amp", "at an open mic"),
        ("The melody sits in D.", "New strings sound bright.", "The chorus comes twice."),
    ),
    Topic(
        "trains",
        ("boarding", "filming", "timing", "riding"),
        ("a night sleeper", "a steam locomotive", "the coastal express", "a tram", "a freight"),
        ("at the central station", "across the viaduct", "from the dining car"),
        ("The timetable was honest.", "The tracks hug the shore.", "Window seats cost more."),
    ),
)

_HOOKS = (
    "Watch until the end",
    "You have to see this",
    "Nobody told me about this",
    "Day one of trying again",
    "What a morning",
)
_PEOPLE = ("My sister", "A neighbour", "My flatmate", "Grandpa", "A total beginner", "Our friend")
_SHARED = (
    "It took longer than planned.",
    "Part two comes tomorrow.",
    "Tell me what you would change.",
    "Filmed in one take.",
    "We tried it three times.",
    "The light was perfect that day.",
)


def write_text(first: int, second: int, rng: np.random.Generator) -> tuple[str, str]:
    """Write one item's title and description.

    One title in five is a hook that names no topic, one description in four gives no detail of its
    topic, so that a text encoder recognises topics often, not always.

    Args:
        first: Main topic, a row of TOPICS.
        second: Other topic the item touches; the same as `first` where it touches none.
        rng: Draws the words.

    Returns:
        The title and the description.
    """

    def pick(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    topic = TOPICS[first]
    action, thing = pick(topic.actions), pick(topic.objects)
    form = rng.random()
    if form < 0.2:
        title = pick(_HOOKS)
    elif form < 0.6:
        title = f"{action.capitalize()} {thing}"
    else:
        title = f"{action.capitalize()} {thing} {pick(topic.places)}"
    sentences = [f"{pick(_PEOPLE)} ends up {pick(topic.actions)} {pick(topic.objects)}."]
    if rng.random() < 0.75:
        sentences.append(pick(topic.details))
    if second != first:
        sentences.append(f"Then it turns into {pick(TOPICS[second].objects)}.")
    sentences.append(pick(_SHARED))
    return title, " ".join(sentences)
