"""Tables of constant schema, and how they are stored."""
