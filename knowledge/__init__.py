"""Manuals and profiles in, cited passages out; rules learned from runs."""
