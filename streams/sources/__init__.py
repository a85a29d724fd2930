"""One pure file per sender: a payload in, canonical events out."""
