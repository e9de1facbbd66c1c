"""A Saleor shop in memory, with Saleor's API, webhooks, signatures and tokens, for tests and demonstrations."""
