"""Saleor's GraphQL API over the records of a simulated shop."""
