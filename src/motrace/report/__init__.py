"""Shows what was computed; computes nothing."""
