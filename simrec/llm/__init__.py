"""Teachers: language models, and honest stand-ins, that say what a user would like."""
