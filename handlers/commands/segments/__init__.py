"""`rapport segments`: how steady segments are, who moved, what the tiers' cut-points could be, what clusters would propose."""
