"""People: their records and fields, which of them are selected or suppressed, and the story of each."""
