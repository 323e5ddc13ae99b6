"""The parts of a model, one a file, each with its hook points inside."""
