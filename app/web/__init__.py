"""HTTP: what Saleor, old clients and machines call; no rules of its own."""
