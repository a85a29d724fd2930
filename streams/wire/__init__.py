"""What crosses the wire: topics, codecs, headers, dead letters."""
