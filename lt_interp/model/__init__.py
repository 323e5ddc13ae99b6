"""The one model of the project: parts that a stage switches on, with hook points inside them."""
