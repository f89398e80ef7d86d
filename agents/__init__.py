"""Recommenders: learners, adaptation strategies and baselines."""
