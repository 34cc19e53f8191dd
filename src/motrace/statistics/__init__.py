"""Pure: intervals, distributions and scaling fits."""
