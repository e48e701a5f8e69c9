"""Candidates, properties, units, packaged data, sources and generators."""

from matloop.data.compiled_code import place_compiled_code

place_compiled_code()
