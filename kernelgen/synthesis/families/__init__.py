"""Semantic entries by family: each module lists ``ENTRIES``, one entry an overload, as short as the operator allows."""
