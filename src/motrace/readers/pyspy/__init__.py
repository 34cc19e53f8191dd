"""Files that py-spy writes."""
