"""Characters of printable text, for drawn text: drawn as such, because drawing any text and filtering it mostly draws in vain."""

from typing import Final

from hypothesis import strategies as st

PRINTABLE: Final = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
"""What `str.isprintable` lets through."""
