"""Edgehold: medical data stay on their owner's hub; analyses travel to them and only noised sums travel back."""

__version__ = "0.1.0"
