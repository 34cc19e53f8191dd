"""A foreign file -> tables of declared schema; one module per source."""
