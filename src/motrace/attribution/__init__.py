"""Pure: what the loop thread did in each piece of time, and who worked while it was blocked."""
