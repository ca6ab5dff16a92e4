"""Where plans wait: in the source itself, or beside a source that may not be written."""
