"""A small library for a network from scratch on Fashion-MNIST; start reading at `network`."""
