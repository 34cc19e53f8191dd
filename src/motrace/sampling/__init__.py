"""Pure: stack samples, classified, counted and transferred to unprofiled runs."""
