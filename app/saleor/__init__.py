"""Saleor as Saleor writes it: manifest, signatures, client, payloads."""
