"""play.json in IsaacLab's bundle schema."""
