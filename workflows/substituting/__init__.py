"""The search for replacements of an element: compositions, properties, phases and facts about elements together."""
