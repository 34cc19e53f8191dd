"""Another tool's file -> tables of declared schema; one module per source."""
