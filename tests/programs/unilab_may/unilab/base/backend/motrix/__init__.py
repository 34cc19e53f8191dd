"""Of the stand-in for UniLab of May 2026."""
