"""Pure computation on what was read: no input, no output, nothing drawn."""
