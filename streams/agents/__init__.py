"""The Faust agents: load, think, save, emit. No rules inside."""
