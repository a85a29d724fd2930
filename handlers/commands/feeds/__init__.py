"""The sources of events: which are late, told by people or noticed by themselves."""
