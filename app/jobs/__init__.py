"""Work that happens later: an engine that carries row ids, and what it runs. Rows are the truth."""
