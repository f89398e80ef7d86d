"""The stages of a study, each a function from inputs to a file that is made once."""
