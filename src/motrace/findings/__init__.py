"""What the tables say: typed findings, the verdict among them."""
