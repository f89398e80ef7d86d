"""Counts of asking: how far it is, and what its answers cost."""

from dataclasses import dataclass


@dataclass
class Tally:
    """What has happened so far in one call of `LLMTeacher.prefer`."""

    total: int = 0  # asks, second tries not counted
    done: int = 0  # of these, answered or given up
    hits: int = 0  # of these, found in the cache
    failures: int = 0  # of these, without a readable reply after a second try
    errors: int = 0  # of the failures, never answered at all
    sent: int = 0  # requests to the model, second tries counted
    prompt_tokens: int = 0  # of requests of this call only
    completion_tokens: int = 0  # of requests of this call only


@dataclass
class Spent:
    """What a set of answers cost, whoever asked first and whenever; equal prompts count once."""

    requests: int = 0  # second tries counted
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, other: "Spent") -> None:
        """Count another set of answers as well."""
        self.requests += other.requests
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
