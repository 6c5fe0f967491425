"""Looking something up in the manuals with a model's help: other words to search for, and the best of what was found.

    assisted = AssistedSearch.open(settings, rewrite=True, rerank=True, halt=halt)
    found = assisted.look_up(store, [Asked("1", "how is ... set")], top=5)

The retrieval itself is in ``knowledge``, and gets what the model says as plain data: a model can add words to a search
and order its passages, and nothing else.
"""

from agents.looking_up.assisted import Asked, AssistedSearch, Found

__all__ = ["Asked", "AssistedSearch", "Found"]
