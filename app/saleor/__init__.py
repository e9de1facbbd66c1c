"""Saleor as Saleor writes it: manifest, signatures, payloads and answers, calls; and the endpoint for notices."""
