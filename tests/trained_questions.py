"""What a trained model is asked: plain facts, and films of a made-up catalogue."""

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.llm.form import chances
from simrec.llm.protocol import LanguageModel, LLMPrompt

# Written down before the model was asked any of them; the right answer stands in every place. How
# they are put was chosen on the first fourteen: with the four words listed after the question, this
# small model found seven of them, not more than guessing may. The last ten came after that choice.
FACTS = (
    ("What is the capital of France?", ("Berlin", "Paris", "Madrid", "Rome"), "Paris"),
    ("What is the capital of Italy?", ("Rome", "London", "Paris", "Madrid"), "Rome"),
    ("Which of these is a colour?", ("dog", "table", "blue", "seven"), "blue"),
    ("Which of these is an animal?", ("chair", "green", "river", "horse"), "horse"),
    ("Which of these is a fruit?", ("apple", "hammer", "cloud", "shoe"), "apple"),
    ("Which of these is a number?", ("window", "three", "bread", "tree"), "three"),
    ("What do people drink?", ("stone", "sand", "water", "paper"), "water"),
    ("What is the opposite of hot?", ("cold", "long", "old", "blue"), "cold"),
    ("Which planet do we live on?", ("Mars", "Earth", "Venus", "Jupiter"), "Earth"),
    ("What is two plus two?", ("five", "four", "nine", "one"), "four"),
    ("What language is spoken in Germany?", ("French", "Spanish", "German", "Italian"), "German"),
    ("Which day comes after Monday?", ("Sunday", "Friday", "Tuesday", "Saturday"), "Tuesday"),
    ("Which is a musical instrument?", ("piano", "potato", "pencil", "pocket"), "piano"),
    ("Which season is the coldest?", ("summer", "spring", "autumn", "winter"), "winter"),
    ("Who wrote Romeo and Juliet?", ("Shakespeare", "Einstein", "Mozart", "Bach"), "Shakespeare"),
    ("What is the largest ocean?", ("Atlantic", "Pacific", "Indian", "Arctic"), "Pacific"),
    ("What is frozen water called?", ("ice", "fire", "wood", "gold"), "ice"),
    ("What gas do people need to breathe?", ("helium", "neon", "oxygen", "methane"), "oxygen"),
    ("Which animal barks?", ("cat", "cow", "fish", "dog"), "dog"),
    ("What do bees make?", ("milk", "honey", "silk", "bread"), "honey"),
    ("What is the capital of Japan?", ("Tokyo", "Beijing", "Seoul", "Bangkok"), "Tokyo"),
    ("What is the opposite of big?", ("red", "fast", "small", "new"), "small"),
    ("Which star is closest to the Earth?", ("Sirius", "Polaris", "Vega", "Sun"), "Sun"),
    ("Where are the pyramids of Giza?", ("China", "Egypt", "Brazil", "Norway"), "Egypt"),
)
TRUE_AND_FALSE = (
    ("Is a dog an animal?", "Is a stone an animal?"),
    ("Is Paris a city in France?", "Is Tokyo a city in France?"),
    ("Is snow cold?", "Is fire cold?"),
    ("Is the sky blue?", "Is grass blue?"),
    ("Can birds fly?", "Can stones fly?"),
    ("Is ten more than two?", "Is two more than ten?"),
)
PUT = "{} Reply with the answer only, in one word."


def known_facts(model: LanguageModel) -> tuple[int, int]:
    """Return right answers to FACTS, and pairs whose true half is called true more surely."""
    right = 0
    for words, choices, answer in FACTS:
        (reply,) = model.complete([LLMPrompt(PUT.format(words))], max_tokens=8, choices=choices)
        chance = chances(reply, choices)
        right += max(chance, key=chance.__getitem__) == answer
    sides = [p for pair in TRUE_AND_FALSE for p in pair]
    asked = [LLMPrompt(PUT.format(words)) for words in sides]
    replies = model.complete(asked, max_tokens=8, choices=("yes", "no"))
    yes = np.array([chances(reply, ("yes", "no"))["yes"] for reply in replies]).reshape(-1, 2)
    return right, int((yes[:, 0] > yes[:, 1]).sum())


def bar(most: float) -> int:
    """Return the least number of FACTS that guessing reaches with a probability below `most`."""
    chance = np.ones(1)  # of 0, 1, ... hits
    for _, choices, _ in FACTS:
        chance = np.convolve(chance, [1.0 - 1.0 / len(choices), 1.0 / len(choices)])
    tail = chance[::-1].cumsum()[::-1]
    return int(np.argmax(tail < most))


GENRES = {
    "space": ("rockets", "robots", "planets", "astronauts"),
    "cooking": ("chefs", "bakeries", "soups", "kitchens"),
    "war": ("soldiers", "tanks", "generals", "battles"),
    "love": ("weddings", "letters", "kisses", "couples"),
    "crime": ("thieves", "detectives", "banks", "judges"),
}


def films() -> Catalogue:
    """Return twenty made-up films, four of a genre."""
    named = [(genre, word) for genre, words in GENRES.items() for word in words]
    titles = tuple(f"The {word[:-1].title()}" for _, word in named)
    texts = tuple(f"A film about {genre}, with many {word}." for genre, word in named)
    n = len(named)
    return Catalogue("made-up films", tuple(map(str, range(n))), titles, texts, (None,) * n)


def genre_prompts() -> list[LLMPrompt]:
    """Return a question about each film's genre; GENRES are the choices."""
    told = films()
    return [
        LLMPrompt(
            f'{told.texts[n]} It is called "{told.titles[n]}". What is its genre? Reply with one '
            f"word: {', '.join(GENRES)}."
        )
        for n in range(len(told.titles))
    ]


def genre_scores(model: LanguageModel) -> NDArray[np.float64]:
    """Return log P(genre) of each film, shape (20, 5)."""
    replies = model.complete(genre_prompts(), max_tokens=8, choices=tuple(GENRES))
    return np.array([[(reply.logprobs or {})[genre] for genre in GENRES] for reply in replies])
