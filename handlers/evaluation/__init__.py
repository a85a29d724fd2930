"""Prequential evaluation: a history told to the live core, and how good its predictions were."""
